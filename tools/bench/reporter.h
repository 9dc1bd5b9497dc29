// Reporter: the figures of measured windows, for people, for programs, or for a runner that starts
// several systems' clients and reads what they say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "tools/bench/window.h"
#include "tools/shell/output.h"

namespace stele::bench {

struct ReporterOptions {
  // Processes whose CPU time is counted beside our own.
  std::vector<int64_t> server_pids;
  // "@start" and "@end {json}" around each window, as it happens, instead of a table at the end.
  // The runner then counts CPU time, in the same way for all systems.
  bool peer_protocol = false;
  std::string unit = "entries";  // what is counted
  shell::Format format = shell::Format::kTable;
};

class Reporter {
 public:
  explicit Reporter(ReporterOptions options) : options_(std::move(options)) {}

  //   kNoSuchFile  a server process has gone
  absl::Status BeginWindow();
  absl::Status EndWindow(const Window& window);

  // Windows that follow are of this kind: "cold".
  void SetLabel(std::string label);
  // Asks the runner to empty the page cache and waits until it has. Without the protocol: nothing.
  void DropPageCache();

  // All windows.
  void Print() const;

 private:
  struct Cpu {
    int64_t client_milliseconds = 0;
    int64_t servers_milliseconds = 0;
  };
  absl::Status ReadCpu(Cpu* cpu) const;

  const ReporterOptions options_;
  std::string label_;
  Cpu began_;
  std::vector<shell::Record> records_;
};

// The line that ends a window: ops, bytes, seconds, ops_s, mb_s, p50_us, p99_us, p999_us, max_us,
// failed; of a tail since_call_p50_us and since_call_p99_us too.
std::string PeerJson(const Window& window);

}  // namespace stele::bench
