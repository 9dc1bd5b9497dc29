// IndexStore: where each entry of each ledger is, and the state of each ledger, on the disk. Two
// forms: an index file per ledger, as Java has it (index_file_store.h), and runs of sorted extents,
// for very many ledgers (extent_store.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/index_format.h"
#include "bookie/storage/ledger_storage.h"
#include "common/async/task.h"
#include "common/base/ids.h"

namespace stele::bookie {

// What List() gives at most.
inline constexpr size_t kListedEntriesMax = 16u << 20;

struct LoadedIndex {
  std::optional<IndexHeader> header;  // nullopt: lost (index_format.h)
  EntryId last_entry;
  bool last_entry_is_certain = true;  // false: not found within kLastEntrySearchMaxBytes
  bool is_cut = false;                // shorter than it was when it was synced
  bool has_lost_its_end = false;      // there was, or may have been, an entry behind last_entry
};

// A ledger's part of a flush. The spans stay good until the update has returned.
struct IndexUpdate {
  LedgerId ledger;
  std::optional<IndexHeader> header;   // nullopt: as it is; a new file needs one. Without a claim
  std::span<const int64_t> entries;    // ids, ascending
  std::span<const int64_t> locations;  // of these entries, packed
};

// A part of what is known of a ledger's entries.
struct LocationPiece {
  std::vector<int64_t> entries;    // ascending
  std::vector<int64_t> locations;  // of these, packed
  bool lost_some = false;          // the ledger had others, which are lost
  std::optional<int64_t> next;     // where the next piece begins; nullopt: this was the last one
};
// Entries of a piece, about.
inline constexpr size_t kPieceEntries = 64 << 10;

// The changes of one Write, ledger by ledger.
class IndexUpdates {
 public:
  virtual ~IndexUpdates() = default;
  virtual size_t count() const = 0;
  // Of a ledger there is one update at most.
  virtual LedgerId ledger(size_t i) const = 0;
  // Called with the ledger's lock held, which is kept until the update is durable. What the update
  // points to stays until Write has returned. nullopt: nothing is to be done, after all.
  virtual Task<absl::StatusOr<std::optional<IndexUpdate>>> Prepare(size_t i) = 0;
  // The update is durable; the lock is still held.
  virtual void OnWritten(size_t /*i*/) {}
};

// Of an index in extents.
struct IndexStats {
  int64_t runs = 0;
  int64_t failed_merges = 0;  // also those for which the disks had no room, and fewer were merged
};

absl::Status NoSuchLedger(LedgerId ledger);

class IndexStore {
 public:
  virtual ~IndexStore() = default;

  virtual bool Contains(LedgerId ledger) const = 0;
  // Ascending.
  virtual std::vector<LedgerId> Ledgers() const = 0;
  virtual size_t ledger_count() const = 0;

  // The next ones give kNoSuchLedger when Contains() is false. What should be there and is not is
  // kIoError.
  virtual Task<absl::StatusOr<LoadedIndex>> Load(LedgerId ledger) = 0;
  // Absent when there is no location for the entry. kCorruptData: there are bits that are none, or
  // what would say so was lost.
  virtual Task<absl::StatusOr<EntryLocation>> Find(LedgerId ledger, EntryId entry) = 0;
  // As Find, at once; nullopt when the disk must be asked.
  virtual std::optional<absl::StatusOr<EntryLocation>> FindCached(LedgerId ledger,
                                                                  EntryId entry) = 0;
  // Where in their log the entries [entry, entry + count_max) end, as far as memory tells and they
  // lie one behind the other within `size_max` bytes; 0: there is no such run. A guess.
  virtual uint64_t RunEnd(LedgerId ledger, EntryId entry, int64_t count_max, uint64_t size_max) = 0;
  // Ids of all entries, ascending. kOverloaded: too many. kCorruptData: some are lost.
  virtual Task<absl::StatusOr<std::vector<EntryId>>> List(LedgerId ledger) = 0;
  // What there is from entry `first` on, whether or not other locations were lost.
  virtual Task<absl::StatusOr<LocationPiece>> ReadPiece(LedgerId ledger, int64_t first) = 0;
  // Looks whether all that was written is still there.
  virtual Task<absl::Status> LookForLosses(LedgerId ledger, BackgroundPace* pace) = 0;

  // Called when a ledger is found to have lost locations, inside of the call that finds it; of Load
  // its result is enough. True: it is noted of the ledger, so a header of it that is certain later
  // says that nothing is missing. What was noted may be told again, or not. Set before anything is
  // read.
  using LossListener = absl::AnyInvocable<bool(LedgerId)>;
  virtual void SetLossListener(LossListener listener) = 0;

  // All is durable when it returns, but for new ledgers, which are known after SyncNames. After an
  // error of Write or SyncNames the updates of all ledgers that were new are written again.
  //   at_a_time   of ledgers that cost a device write each
  virtual Task<absl::Status> Write(IndexUpdates* updates, size_t at_a_time) = 0;
  // The caller holds the ledger's lock.
  virtual Task<absl::Status> Remove(LedgerId ledger) = 0;

  // Makes new ledgers durable that were written. Then Contains() knows them.
  virtual Task<absl::Status> SyncNames() = 0;

  virtual IndexStats Stats() const { return {}; }
};

}  // namespace stele::bookie
