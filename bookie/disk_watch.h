// DiskWatch: writes one block to each directory now and then, durably, and so learns of disks that
// fail, are slow, or do not answer at all, before a request does. One probe per directory at a
// time.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/time.h"
#include "common/seams/env.h"

namespace stele::bookie {

inline constexpr char kProbeFileName[] = "stele-probe";

struct DirectoryHealth {
  std::string directory;
  absl::Status status;       // of the last probe that ended; a full disk is ok
  absl::Duration last_time;  // that it took
  // Rounds that began while a probe was under way, in a row. Rounds and not time: a process that
  // was stopped for an hour has not waited for its disk for an hour.
  int rounds_without_answer = 0;
};

class DiskWatch {
 public:
  DiskWatch(Env env, std::vector<std::string> directories);

  // Begins a probe wherever none is under way.
  void BeginRound();
  const std::vector<DirectoryHealth>& health() const { return health_; }

 private:
  Task<void> Probe(size_t index);
  Task<absl::Status> WriteBlock(std::string directory);

  Env env_;
  std::vector<DirectoryHealth> health_;
  std::vector<bool> probing_;
  TaskScope scope_;
};

}  // namespace stele::bookie
