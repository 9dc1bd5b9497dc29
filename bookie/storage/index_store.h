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
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/index_format.h"
#include "bookie/storage/location_cache.h"
#include "bookie/storage/open_files.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/env.h"

namespace stele::bookie {

// How far back from the end of an index file the last entry is searched: zeroes behind it come from
// Java's page size, or from a crash. 64 MiB are 8 million entries.
inline constexpr uint64_t kLastEntrySearchMaxBytes = 64ull << 20;
// What List() goes through and gives at most.
inline constexpr uint64_t kListedIndexMaxBytes = 1ull << 30;
inline constexpr size_t kListedEntriesMax = 16u << 20;

struct IndexStoreOptions {
  std::vector<std::string> directories;
  uint32_t disk_usage_max_ppm = 950'000;
  size_t open_files_max = 512;
  uint64_t location_cache_max_bytes = 32ull << 20;
};

struct LoadedIndex {
  std::optional<IndexHeader> header;  // nullopt: lost (index_format.h)
  EntryId last_entry;
  bool last_entry_is_certain = true;  // false: not found within kLastEntrySearchMaxBytes
  bool is_cut = false;                // shorter than it was when it was synced: locations are lost
};

// A ledger's part of a flush. The spans stay good until Write() returns.
struct IndexUpdate {
  LedgerId ledger;
  std::optional<IndexHeader> header;   // nullopt: as it is; a new file needs one
  std::span<const int64_t> entries;    // ids, ascending
  std::span<const int64_t> locations;  // of these entries, packed
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
  // Absent when the file has no location for the entry. kCorruptData: it has bits that are none.
  Task<absl::StatusOr<EntryLocation>> Find(LedgerId ledger, EntryId entry);
  // As Find, at once; nullopt when the file must be asked.
  std::optional<absl::StatusOr<EntryLocation>> FindCached(LedgerId ledger, EntryId entry);
  // Where in their log the entries [entry, entry + count_max) end, as far as the cached page tells
  // and they lie one behind the other within `size_max` bytes; 0: there is no such run. A guess.
  uint64_t RunEnd(LedgerId ledger, EntryId entry, int64_t count_max, uint64_t size_max);
  // Ids of all entries, ascending. kOverloaded: too many.
  Task<absl::StatusOr<std::vector<EntryId>>> List(LedgerId ledger);

  // The caller holds the ledger's lock for these two. After an error of Write or SyncNames the
  // updates of all files that were new are written again.
  Task<absl::Status> Write(IndexUpdate update);
  Task<absl::Status> Remove(LedgerId ledger);

  // Makes the names of all files that were written durable. Then Contains() knows the new ones.
  Task<absl::Status> SyncNames();

 private:
  using Pages = std::vector<std::pair<int64_t, std::unique_ptr<LocationPage>>>;

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
  Task<absl::Status> FindLastEntry(File* file, uint64_t size, LoadedIndex* loaded);
  Task<absl::StatusOr<size_t>> ChooseForNew(LedgerId ledger);
  Task<absl::Status> WriteFile(std::string path, IndexUpdate update, bool is_new, Pages* written);
  Task<absl::StatusOr<int64_t>> WriteLocations(File* file, IndexUpdate update,
                                               int64_t count_on_file, Pages* written);
  Task<absl::Status> ClaimSize(File* file, LedgerId ledger, uint64_t synced_size_bytes);
  Task<absl::StatusOr<std::unique_ptr<LocationPage>>> LoadForUpdate(File* file, LedgerId ledger,
                                                                    int64_t page,
                                                                    int64_t count_on_file);
  std::vector<std::string> NamesToSync(const std::map<LedgerId, uint8_t>& made,
                                       const std::map<LedgerId, uint8_t>& found) const;

  Env env_;
  const IndexStoreOptions options_;
  absl::btree_map<LedgerId, uint8_t> directory_of_;
  OpenFiles readers_;
  LocationCache cache_;
  std::list<PageLoad*> loads_;             // pages on their way from the disk
  absl::flat_hash_set<LedgerId> writing_;  // looked up only
  // Files of ours that have their name, which is not durable yet. A failed flush makes each anew,
  // in the same directory, so that no ledger gets two.
  std::map<LedgerId, uint8_t> unsynced_names_;
  // Files of an earlier process that were written: it may have been killed before it had synced
  // their names. Once for each directory.
  std::map<LedgerId, uint8_t> doubtful_names_;
  std::vector<SyncedNames> synced_names_;  // by directory; those exist
};

}  // namespace stele::bookie
