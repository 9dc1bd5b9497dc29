// IndexFileStore: the index files of all ledgers: which exist, their headers, and where each entry
// is.
// Reads go through a bounded cache of pages and of open files. Writes are those of a flush: each
// opens the file anew, so that a file that failed once is never trusted again.
//
// Durable: what Write() wrote when Write() returns, but for the names of files that it made; those
// when SyncNames() returns. A file is made under another name and renamed when its content is
// durable, so no crash leaves a file of ours cut short.
#pragma once

#include <bitset>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/index_file.h"
#include "bookie/storage/index_store.h"
#include "bookie/storage/ledger_locks.h"
#include "bookie/storage/ledger_storage.h"
#include "bookie/storage/location_cache.h"
#include "bookie/storage/open_files.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/env.h"

namespace stele::bookie {

struct IndexFileStoreOptions {
  std::vector<std::string> directories;
  uint32_t disk_usage_max_ppm = 950'000;
  size_t open_files_max = 512;
  uint64_t location_cache_max_bytes = 32ull << 20;
};

class IndexFileStore final : public IndexStore {
 public:
  // `files`: what EnumerateIndexes has found in these directories. `locks` outlives the store.
  IndexFileStore(Env env, IndexFileStoreOptions options, LedgerLocks* locks,
                 absl::btree_map<LedgerId, uint8_t> files);

  IndexFormat format() const override { return IndexFormat::kFiles; }
  bool Contains(LedgerId ledger) const override { return directory_of_.contains(ledger); }
  std::vector<LedgerId> Ledgers() const override;
  size_t ledger_count() const override { return directory_of_.size(); }

  Task<absl::StatusOr<LoadedIndex>> Load(LedgerId ledger) override;
  Task<absl::StatusOr<EntryLocation>> Find(LedgerId ledger, EntryId entry) override;
  std::optional<absl::StatusOr<EntryLocation>> FindCached(LedgerId ledger, EntryId entry) override;
  uint64_t RunEnd(LedgerId ledger, EntryId entry, int64_t count_max, uint64_t size_max) override;
  Task<absl::StatusOr<std::vector<EntryId>>> List(LedgerId ledger) override;
  Task<absl::StatusOr<LocationPiece>> ReadPiece(LedgerId ledger, int64_t first) override;
  Task<absl::Status> LookForLosses(LedgerId ledger, BackgroundPace* pace) override;
  void SetLossListener(LossListener listener) override { loss_listener_ = std::move(listener); }

  Task<absl::Status> Write(IndexUpdates* updates, size_t at_a_time) override;
  Task<absl::Status> Remove(LedgerId ledger) override;
  Task<absl::Status> SyncNames() override;

 private:
  class PageLoad;
  class WriteGuard;
  // Directories below an index directory whose names this process has made durable.
  struct SyncedNames {
    std::bitset<256> outer;
    std::bitset<65536> inner;
  };

  std::string PathOf(size_t directory, LedgerId ledger) const;
  Task<absl::StatusOr<std::shared_ptr<File>>> OpenForReading(LedgerId ledger);
  Task<absl::StatusOr<size_t>> ChooseForNew(LedgerId ledger);
  Task<absl::Status> WriteOne(IndexUpdates* updates, size_t i);
  Task<absl::Status> WriteLedger(IndexUpdate update);
  Task<absl::Status> WriteFile(std::string path, IndexUpdate update, bool is_new);
  std::vector<std::string> NamesToSync(const std::map<LedgerId, uint8_t>& made,
                                       const std::map<LedgerId, uint8_t>& found) const;

  Env env_;
  const IndexFileStoreOptions options_;
  LedgerLocks* locks_;
  absl::btree_map<LedgerId, uint8_t> directory_of_;
  OpenFiles readers_;
  LocationCache cache_;                    // pages that have lost nothing
  std::list<PageLoad*> loads_;             // pages on their way from the disk
  absl::flat_hash_set<LedgerId> writing_;  // looked up only
  // Files of ours that have their name, which is not durable yet. A failed flush makes each anew,
  // in the same directory, so that no ledger gets two.
  std::map<LedgerId, uint8_t> unsynced_names_;
  // Files of an earlier process that were written: it may have been killed before it had synced
  // their names. Once for each directory.
  std::map<LedgerId, uint8_t> doubtful_names_;
  std::vector<SyncedNames> synced_names_;  // by directory; those exist
  LossListener loss_listener_ = [](LedgerId) { return false; };
};

}  // namespace stele::bookie
