#include "tools/bench/reporter.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/try.h"
#include "tools/bench/process_cpu.h"

namespace stele::bench {
namespace {

using shell::Format;
using shell::Record;

constexpr double kNanosecondsPerSecond = 1e9;
constexpr double kMillion = 1e6;

double SecondsOf(const Window& window) {
  return static_cast<double>(std::max<int64_t>(window.nanoseconds, 1)) / kNanosecondsPerSecond;
}

int64_t MicrosecondsAt(const observe::Histogram& nanoseconds, int permyriad) {
  return nanoseconds.Percentile(permyriad) / 1000;
}

double CpuSecondsPerMillion(int64_t milliseconds, const Window& window) {
  return static_cast<double>(milliseconds) / 1000 /
         static_cast<double>(std::max<int64_t>(window.operations, 1)) * kMillion;
}

void PrintNow(const std::string& line) {
  std::printf("%s\n", line.c_str());
  std::fflush(stdout);
}

}  // namespace

std::string PeerJson(const Window& window) {
  const double seconds = SecondsOf(window);
  const observe::Histogram& latency = window.latency_nanoseconds;
  std::string line = absl::StrFormat(
      "{\"ops\":%d,\"bytes\":%d,\"seconds\":%.3f,\"ops_s\":%.0f,\"mb_s\":%.1f,\"p50_us\":%d,"
      "\"p99_us\":%d,\"p999_us\":%d,\"max_us\":%d,\"failed\":%d",
      window.operations, window.bytes, seconds, static_cast<double>(window.operations) / seconds,
      static_cast<double>(window.bytes) / seconds / kMillion, MicrosecondsAt(latency, 5000),
      MicrosecondsAt(latency, 9900), MicrosecondsAt(latency, 9990), latency.max() / 1000,
      window.failed);
  if (window.since_call_nanoseconds.count() > 0) {
    absl::StrAppendFormat(&line, ",\"since_call_p50_us\":%d,\"since_call_p99_us\":%d",
                          MicrosecondsAt(window.since_call_nanoseconds, 5000),
                          MicrosecondsAt(window.since_call_nanoseconds, 9900));
  }
  return line + "}";
}

absl::Status Reporter::ReadCpu(Cpu* cpu) const {
  STELE_TRY(cpu->client_milliseconds, CpuMilliseconds(0));
  cpu->servers_milliseconds = 0;
  for (const int64_t pid : options_.server_pids) {
    STELE_TRY(const int64_t milliseconds, CpuMilliseconds(pid));
    cpu->servers_milliseconds += milliseconds;
  }
  return absl::OkStatus();
}

absl::Status Reporter::BeginWindow() {
  if (options_.peer_protocol) PrintNow("@start");
  return ReadCpu(&began_);
}

absl::Status Reporter::EndWindow(const Window& window) {
  if (options_.peer_protocol) PrintNow("@end " + PeerJson(window));
  Cpu ended;
  STELE_TRY_OK(ReadCpu(&ended));
  const int64_t client = ended.client_milliseconds - began_.client_milliseconds;
  const int64_t servers = ended.servers_milliseconds - began_.servers_milliseconds;
  const double seconds = SecondsOf(window);
  const observe::Histogram& latency = window.latency_nanoseconds;
  Record record;
  if (!label_.empty()) record.Set("window", label_);
  record.Set(options_.unit, window.operations)
      .Set("seconds", seconds)
      .Set(options_.unit + "_per_second",
           static_cast<int64_t>(static_cast<double>(window.operations) / seconds))
      .Set("mb_per_second", static_cast<double>(window.bytes) / seconds / kMillion)
      .Set("p50_us", MicrosecondsAt(latency, 5000))
      .Set("p99_us", MicrosecondsAt(latency, 9900))
      .Set("p999_us", MicrosecondsAt(latency, 9990))
      .Set("max_us", latency.max() / 1000);
  if (window.since_call_nanoseconds.count() > 0) {
    record.Set("since_call_p50_us", MicrosecondsAt(window.since_call_nanoseconds, 5000))
        .Set("since_call_p99_us", MicrosecondsAt(window.since_call_nanoseconds, 9900));
  }
  record.Set("failed", window.failed)
      .Set("client_cpu_s_per_million", CpuSecondsPerMillion(client, window));
  if (!options_.server_pids.empty()) {
    record.Set("servers_cpu_s_per_million", CpuSecondsPerMillion(servers, window))
        .Set("cpu_s_per_million", CpuSecondsPerMillion(client + servers, window));
  }
  records_.push_back(std::move(record));
  return absl::OkStatus();
}

void Reporter::SetLabel(std::string label) {
  label_ = std::move(label);
  if (options_.peer_protocol) PrintNow("@label " + label_);
}

void Reporter::DropPageCache() {
  if (!options_.peer_protocol) return;
  PrintNow("@drop");
  int c;
  do {
    c = std::getchar();
  } while (c != '\n' && c != EOF);
}

void Reporter::Print() const {
  if (!options_.peer_protocol) PrintRecords(records_, options_.format, "nothing was measured");
}

}  // namespace stele::bench
