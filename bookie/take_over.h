// Take-over: what a look at the directories of a stopped bookie, Apache's or ours, says about a
// start of our bookie over them. Changes nothing there.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/seams/env.h"

namespace stele::bookie {

struct TakeOverReport {
  std::vector<std::string> found;      // what is there
  std::vector<std::string> will_do;    // what the start will do with it
  std::vector<std::string> obstacles;  // why it must not start; empty: it may
};

// `directories`: all journal, ledger and index directories of the bookie, as they are configured.
//   errors   kOverloaded   a process of ours has a directory; kIoError, kNoSuchFile. Whatever is
//                          wrong with the content is an obstacle, not an error.
Task<absl::StatusOr<TakeOverReport>> CheckTakeOver(Env env, std::vector<std::string> directories);

}  // namespace stele::bookie
