// AckLog: a file that says which entries were acknowledged, one line each and in their order, soon
// after they were: "<entry id> <sha256 of the payload> <size>". Whoever kills the writer can hold
// the ledger against it.
#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/notification.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"
#include "common/seams/env.h"

namespace stele::shell {

// Belongs to one shard. A line is with the operating system as soon as the write before it is
// done: it survives the process, not the machine.
class AckLog {
 public:
  // Replaces what the file held.
  static Task<absl::StatusOr<std::unique_ptr<AckLog>>> Open(Env env, std::string path);

  //   latency_microseconds   a fourth column when it is not negative
  void Add(EntryId entry, const Buffer& payload, int64_t latency_microseconds);

  // Ok while everything could be written.
  const absl::Status& status() const { return status_; }

  // Completes when all lines are written.
  Task<absl::Status> Finish();

 private:
  AckLog(Executor* executor, std::unique_ptr<File> file);
  Task<void> Write();

  std::unique_ptr<File> file_;
  uint64_t offset_ = 0;
  std::string lines_;  // not written yet
  bool is_writing_ = false;
  absl::Status status_;
  Notification written_;
  TaskScope tasks_;
};

}  // namespace stele::shell
