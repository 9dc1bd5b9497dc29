// Offline check of what a stopped bookie stores: what `stele repair check` says. Every entry that
// an index shows is read; with the cluster's metadata its digest is compared, too. Changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "metadata/ledger_manager.h"

namespace stele::bookie {

struct StorageCheckOptions {
  // The `current` directories. No index directories: those of the ledgers.
  std::vector<std::string> ledger_directories;
  std::vector<std::string> index_directories;
  metadata::LedgerManager* ledgers = nullptr;  // null: digests are not compared
};

struct StorageFinding {
  LedgerId ledger;
  EntryId entry = kNoEntry;  // kNoEntry: the ledger's index
  std::string what;
};

struct StorageCheckReport {
  int64_t ledgers = 0;
  int64_t entries = 0;
  int64_t bytes = 0;            // of their packets
  int64_t entries_proven = 0;   // whose digest was compared
  int64_t ledgers_unknown = 0;  // that the cluster's metadata does not have: garbage, not damage
  int64_t finding_count = 0;
  std::vector<StorageFinding> findings;  // at most kStorageFindingsMax
};
inline constexpr size_t kStorageFindingsMax = 1000;

// What is in the journals only is not looked at: the next start replays it. What `options` points
// to outlives the task.
//   errors   kOverloaded   the bookie runs: its directories are locked
//            those of OpenLedgerStorage, and of the metadata store
Task<absl::StatusOr<StorageCheckReport>> CheckStorage(Env env, StorageCheckOptions options);

}  // namespace stele::bookie
