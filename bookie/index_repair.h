// Offline repair of index files: what `stele repair index` does to a stopped bookie. Locations that
// index files have lost come back from the entry logs; a ledger whose file is gone gets a new one,
// uncertain and fenced, until a scrub of the running bookie has proven that it is whole.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/env.h"

namespace stele::bookie {

struct IndexRepairOptions {
  // The `current` directories. No index directories: those of the ledgers.
  std::vector<std::string> ledger_directories;
  std::vector<std::string> index_directories;
  std::vector<LedgerId> ledgers;  // only these; empty: all that have lost something
};

struct IndexRepairReport {
  std::vector<LedgerId> without_index;  // entry logs have them, no index file did
  std::vector<LedgerId> uncertain;      // a part of their index file was lost
  int64_t locations_found = 0;
};

// errors   kOverloaded     the bookie runs: its directories are locked
//          kInvalidArgument  one of `ledgers` has lost nothing
Task<absl::StatusOr<IndexRepairReport>> RepairIndexes(Env env, IndexRepairOptions options);

}  // namespace stele::bookie
