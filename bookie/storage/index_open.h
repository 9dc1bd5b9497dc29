// Opens the index of a bookie in the form that is wanted. One that has the other form is converted
// first, ledger by ledger; an interrupted conversion goes on at the next start, in either
// direction.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bookie/storage/index_store.h"
#include "bookie/storage/ledger_locks.h"
#include "bookie/storage/ledger_storage.h"
#include "common/async/task.h"
#include "common/seams/env.h"

namespace stele::bookie {

struct IndexOptions {
  std::optional<IndexFormat> format;  // nullopt: as it is; of an empty bookie: kFiles
  std::function<void(int64_t ledgers, int64_t of)> on_converted;  // may be empty
  std::function<Task<absl::Status>()> on_ledgers_lost;            // may be empty (extent_store.h)
  std::vector<std::string> directories;
  uint32_t disk_usage_max_ppm = 950'000;
  size_t open_files_max = 512;
  uint64_t cache_max_bytes = 32ull << 20;
};

// `locks` outlives the store.
//   errors   those of IndexFileStore::Open and ExtentStore::Open, and of the disk
Task<absl::StatusOr<std::unique_ptr<IndexStore>>> OpenIndex(Env env, IndexOptions options,
                                                            LedgerLocks* locks);

}  // namespace stele::bookie
