// LedgerStorage: a shard's part of the bookie's data: memtable, entry logs, per-ledger index files
// and the state of each ledger (master key, fence, LAC). What is put here is durable only after a
// checkpoint; until then the journal keeps it.
//
// Shard: all calls on the owner shard. Put and the state setters never wait; everything that may
// touch a disk is a Task. Answers: "no such entry" is a vote in recovery, so it is given only when
// it is certain; damage and I/O errors have their own codes (kCorruptData, kIoError).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/journal/journal.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "common/wire/bookie_messages.h"

namespace stele::bookie {

// Entry ids that an .idx file can address (1024 + 8 * id fits its offsets, with room); above:
// kBadRequest before the journal.
inline constexpr int64_t kEntryIdMax = int64_t{1} << 40;

struct StorageOptions {
  std::vector<std::string> ledger_directories;  // `current` directories
  std::vector<std::string>
      index_directories;  // `current` directories; empty: the ledger directories
  uint64_t entry_log_size_max_bytes = 1ull << 30;  // logSizeLimit
  uint64_t memtable_max_bytes = 64ull << 20;       // per generation; two exist while one is flushed
  double disk_usage_threshold = 0.95;              // diskUsageThreshold
};

// The state of one ledger on this bookie. Read through the const pointer; change it by the calls
// below.
struct LedgerState {
  LedgerId ledger;
  wire::MasterKey master_key{};
  bool fenced = false;
  EntryId lac;                  // highest LAC seen in entries and explicit LACs
  Buffer explicit_lac;          // the packet as the client sent it; empty: none
  EntryId last_entry;           // highest entry id stored
  bool key_in_journal = false;  // this process has journalled the master key
};

enum class PutResult {
  kStored,
  kSameEntryExists,  // equal payload and length field: acknowledge, store nothing
  kConflict,         // other bytes under this id: refused, the first bytes stay
  kNeedsComparison,  // an entry of this id may be on disk: call PutChecked
  kFull,             // both memtable generations are full: stop reading sockets until OnRoom
};

class LedgerStorage {
 public:
  virtual ~LedgerStorage() = default;

  // The resident state, or null: unknown or not loaded yet.
  virtual const LedgerState* FindLoaded(LedgerId ledger) = 0;
  // Loads the state from disk; kNoSuchLedger when this bookie has never heard of it.
  virtual Task<absl::StatusOr<const LedgerState*>> Load(LedgerId ledger) = 0;
  // Makes a ledger that Load did not find. The caller journals the key.
  virtual const LedgerState* CreateLedger(LedgerId ledger, const wire::MasterKey& key) = 0;

  // Stores `body` (an entry packet, at least 24 bytes) in memory and raises the LAC by the one it
  // carries.
  virtual PutResult Put(LedgerId ledger, EntryId entry, Buffer body) = 0;
  virtual Task<absl::StatusOr<PutResult>> PutChecked(LedgerId ledger, EntryId entry,
                                                     Buffer body) = 0;

  virtual void SetFenced(LedgerId ledger) = 0;
  virtual void SetExplicitLac(LedgerId ledger, EntryId lac, Buffer packet) = 0;
  virtual void SetKeyInJournal(LedgerId ledger) = 0;

  // The entry packet. kNoSuchLedger, kNoSuchEntry (certain), kCorruptData, kIoError.
  virtual Task<absl::StatusOr<Buffer>> Read(LedgerId ledger, EntryId entry) = 0;
  // The entry with the highest id; kNoSuchEntry when there is none.
  virtual Task<absl::StatusOr<Buffer>> ReadLast(LedgerId ledger) = 0;
  // The known LAC, loaded from the last entry when nothing newer is known; kNoEntry when none can
  // be told.
  virtual Task<absl::StatusOr<EntryId>> ReadLac(LedgerId ledger) = 0;
  // Ids of all entries, ascending.
  virtual Task<absl::StatusOr<std::vector<EntryId>>> ListEntries(LedgerId ledger) = 0;

  // Called after each change of a ledger's LAC, explicit LAC or fence: wakes long polls.
  virtual void SetLacListener(absl::AnyInvocable<void(LedgerId)> listener) = 0;
  // Called when Put may succeed again after kFull.
  virtual void SetRoomListener(absl::AnyInvocable<void()> listener) = 0;

  // Writes everything put before this call to entry logs and indexes, durable, fences and LACs
  // included. One at a time; a second call waits. After an error the data stays in memory and the
  // mark must not move.
  virtual Task<absl::Status> Flush() = 0;

  // All ledgers that this shard stores, ascending.
  virtual std::vector<LedgerId> Ledgers() const = 0;
  // Forgets a ledger that metadata no longer knows; its index goes, its bytes go with their entry
  // log.
  virtual Task<absl::Status> DeleteLedger(LedgerId ledger) = 0;
  // Removes sealed entry logs in which no ledger is left. Gives their number.
  virtual Task<absl::StatusOr<int64_t>> RemoveDeadEntryLogs() = 0;

  // Flushes and closes.
  virtual Task<absl::Status> Close() = 0;
};

Task<absl::StatusOr<std::unique_ptr<LedgerStorage>>> OpenLedgerStorage(Env env,
                                                                       StorageOptions options);

}  // namespace stele::bookie
