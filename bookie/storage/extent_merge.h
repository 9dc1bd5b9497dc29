// Makes one extent run of several neighbouring ones.
#pragma once

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "bookie/storage/extent_run.h"
#include "common/async/executor.h"
#include "common/async/task.h"
#include "common/base/ids.h"

namespace stele::bookie {

struct MergedRun {
  std::shared_ptr<const ExtentRun> run;
  // A damaged block, which is passed over now, may have had locations of theirs.
  std::vector<LedgerId> lost_some;
};

// `inputs`: the newest first. What a newer one has goes before what an older one has.
//   is_oldest   there is no older run, so nobody needs to be told what is void
// Lets others run now and then. Errors: those of the file system. A damaged block is none: its
// ledgers are marked. One that the disk does not give is an error until it has not for long.
Task<absl::StatusOr<MergedRun>> MergeRuns(Executor* executor, ExtentRunWriter* writer,
                                          std::vector<std::shared_ptr<const ExtentRun>> inputs,
                                          bool is_oldest);

}  // namespace stele::bookie
