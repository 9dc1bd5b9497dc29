// HistoryFile: what a driver asked and was told, a line each, with the operating system before
// anything else happens. Whoever kills the driver has all it was told.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "client/entry.h"
#include "simulation/history/history.h"

namespace stele::rig {

// From any thread.
class HistoryFile {
 public:
  // Appends to the file.
  //   first_number   calls and handles of this process are numbered from here on; no other process
  //                  of the run has numbers within the next kNumbersPerProcess
  HistoryFile(const std::string& path, std::string process, int64_t first_number);
  HistoryFile(const HistoryFile&) = delete;
  HistoryFile& operator=(const HistoryFile&) = delete;
  ~HistoryFile();

  // A number for a handle or a writer.
  int64_t NextNumber();

  // Before the call is made. Gives its number.
  int64_t Invoke(history::Question question);
  // Before its answer is of any use to anybody.
  void Ok(int64_t call, history::Answer answer = {});
  void Error(int64_t call, const absl::Status& status);
  // One of the two.
  void End(int64_t call, const absl::Status& status);

  // Calls that have not ended.
  size_t pending() const;

 private:
  void Write(const std::string& line);

  const std::string process_;
  const int descriptor_;
  mutable std::mutex mutex_;
  int64_t next_number_;
  absl::flat_hash_map<int64_t, history::Question> pending_;
};

inline constexpr int64_t kNumbersPerProcess = 1'000'000'000;

history::EntrySeen SeenOf(const client::Entry& entry);

}  // namespace stele::rig
