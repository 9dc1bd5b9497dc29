// The journal files that a bookie of Apache's has kept behind its checkpoint.
#pragma once

#include <cstdint>

#include "absl/status/statusor.h"
#include "bookie/journal/journal_replay.h"
#include "common/async/task.h"
#include "common/seams/env.h"

namespace stele::bookie {

// Gives each record of the files up to the one that the mark names, when the newest file of the
// directory is Apache's: our first start over it. What they hold was checkpointed, but Apache's
// checkpoint passes over the header of an index that has no page in memory, and with it over a
// fence or an explicit LAC. Reads until the first damage of each file: nothing is owed to what lies
// in front of a mark.
//   gives    the number of records
//   errors   kIoError, or what `record` gives
Task<absl::StatusOr<int64_t>> ReadJavaBackups(Env env, ReplayOptions options, ReplayRecord record);

}  // namespace stele::bookie
