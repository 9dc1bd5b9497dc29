// IndexStore: the index files of all ledgers: which exist, their headers, and where each entry is.
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
#include "bookie/storage/ledger_storage.h"
#include "bookie/storage/location_cache.h"
#include "bookie/storage/open_files.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/env.h"

namespace stele::bookie {

struct IndexStoreOptions {
  std::vector<std::string> directories;
  uint32_t disk_usage_max_ppm = 950'000;
  size_t open_files_max = 512;
  uint64_t location_cache_max_bytes = 32ull << 20;
};

class IndexStore {
 public:
  // Enumerates the files (index_enumeration.h).
  static Task<absl::StatusOr<std::unique_ptr<IndexStore>>> Open(Env env, IndexStoreOptions options);

  bool Contains(LedgerId ledger) const { return directory_of_.contains(ledger); }
  // Ascending.
  std::vector<LedgerId> Ledgers() const;
  size_t ledger_count() const { return directory_of_.size(); }

  // The next three give kNoSuchLedger when Contains() is false. A file that has gone is kIoError.
  Task<absl::StatusOr<LoadedIndex>> Load(LedgerId ledger);
  // Absent when the file has no location for the entry. kCorruptData: it has bits that are none, or
  // has lost the entry's sector.
  Task<absl::StatusOr<EntryLocation>> Find(LedgerId ledger, EntryId entry);
  // As Find, at once; nullopt when the file must be asked.
  std::optional<absl::StatusOr<EntryLocation>> FindCached(LedgerId ledger, EntryId entry);
  // Where in their log the entries [entry, entry + count_max) end, as far as the cached page tells
  // and they lie one behind the other within `size_max` bytes; 0: there is no such run. A guess.
  uint64_t RunEnd(LedgerId ledger, EntryId entry, int64_t count_max, uint64_t size_max);
  // Ids of all entries, ascending. kOverloaded: too many. kCorruptData: some are lost.
  Task<absl::StatusOr<std::vector<EntryId>>> List(LedgerId ledger);
  // Looks whether the file still has all that it claims.
  Task<absl::Status> LookForLosses(LedgerId ledger, BackgroundPace* pace);

  // Called each time when a ledger's file is found to have lost locations, inside of the call that
  // finds it, but for Load. Set before anything is read.
  void SetLossListener(absl::AnyInvocable<void(LedgerId)> listener) {
    loss_listener_ = std::move(listener);
  }

  // The caller holds the ledger's lock for these two. After an error of Write or SyncNames the
  // updates of all files that were new are written again.
  Task<absl::Status> Write(IndexUpdate update);
  Task<absl::Status> Remove(LedgerId ledger);

  // Makes the names of all files that were written durable. Then Contains() knows the new ones.
  Task<absl::Status> SyncNames();

 private:
  class PageLoad;
  class WriteGuard;
  // Directories below an index directory whose names this process has made durable.
  struct SyncedNames {
    std::bitset<256> outer;
    std::bitset<65536> inner;
  };

  IndexStore(Env env, IndexStoreOptions options, absl::btree_map<LedgerId, uint8_t> directory_of);

  std::string PathOf(size_t directory, LedgerId ledger) const;
  Task<absl::StatusOr<std::shared_ptr<File>>> OpenForReading(LedgerId ledger);
  Task<absl::StatusOr<size_t>> ChooseForNew(LedgerId ledger);
  Task<absl::Status> WriteFile(std::string path, IndexUpdate update, bool is_new);
  std::vector<std::string> NamesToSync(const std::map<LedgerId, uint8_t>& made,
                                       const std::map<LedgerId, uint8_t>& found) const;

  Env env_;
  const IndexStoreOptions options_;
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
  absl::AnyInvocable<void(LedgerId)> loss_listener_ = [](LedgerId) {};
};

}  // namespace stele::bookie
