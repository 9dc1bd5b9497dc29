// LedgerStorage: a shard's part of the bookie's data: memtable, entry logs, per-ledger index files
// and the state of each ledger (master key, fence, LAC). What is put here is durable only after a
// flush; until then the journal keeps it.
//
// Shard: all calls on the owner shard. Put and the state setters never wait; everything that may
// touch a disk is a Task. Answers: "no such entry" is a vote in recovery, so it is given only when
// it is certain; damage and I/O errors have their own codes (kCorruptData, kIoError), and a ledger
// whose index was lost in part answers kUnknownLedgerState instead.
//
// A checkpoint is: read Journal::DurableMark(), co_await Flush(), and only if that succeeded store
// the mark. Format of the files: docs/FORMATS.md, "Entry logs" and "Index files".
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/storage/entry_log_format.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "common/wire/bookie_messages.h"

namespace stele::bookie {

// An explicit-LAC packet must fit into the first sector of an index file beside the master key.
// The packets of BookKeeper's clients have 16 to 36 bytes; larger ones: kBadRequest before the
// journal.
inline constexpr size_t kExplicitLacSizeMaxBytes = 256;

// Damaged entries that are remembered.
inline constexpr size_t kDamagedEntriesMax = 100'000;

// How the index lies on the disk.
enum class IndexFormat {
  kFiles,    // a file per ledger, as Java has it
  kExtents,  // runs of extents, for very many ledgers; Java cannot read them
};

struct StorageOptions {
  // Was this ledger deleted, although entry logs still have entries of it? Empty: not known.
  std::function<bool(LedgerId)> is_deleted;
  std::vector<std::string> ledger_directories;  // `current` directories
  std::vector<std::string>
      index_directories;  // `current` directories; empty: the ledger directories
  // stele.indexFormat; what has another form is converted when it is opened. nullopt: as it is.
  std::optional<IndexFormat> index_format;
  // Called while that goes on: so many ledgers are done, of so many. Empty: nobody wants to know.
  std::function<void(int64_t ledgers, int64_t of)> on_index_converted;
  // Called when the storage is opened, before anything is written: the index is damaged so that of
  // some ledgers nothing may be left, fenced ones without entries for instance. What it notes must
  // be durable when it returns. Empty: nobody notes it now, and the damage stays.
  std::function<Task<absl::Status>()> on_ledgers_lost;
  uint64_t entry_log_size_max_bytes = 1ull << 30;  // logSizeLimit
  // Asks for a flush when the active generation has so much. Two generations exist while one is
  // flushed; together they never exceed twice this, but for one entry.
  uint64_t memtable_max_bytes = 64ull << 20;
  // nettyMaxFrameSizeBytes; lower than what was stored before makes entries unreadable.
  uint32_t entry_size_max_bytes = 5u << 20;
  double disk_usage_threshold = 0.95;  // diskUsageThreshold
  size_t open_index_files_max = 512;   // openFileLimit
  size_t open_entry_logs_max = 128;    // for reading
  uint64_t location_cache_max_bytes = 32ull << 20;
  size_t resident_ledgers_max = 200'000;  // states kept in memory; those in use may exceed it
};

// The state of one ledger on this bookie. Read through the const pointer, which is good until the
// caller waits; change it by the calls below.
struct LedgerState {
  LedgerId ledger;
  bool has_master_key = false;  // false: only a fence of an old journal is known (SetMasterKey)
  wire::MasterKey master_key{};
  // Never taken back. One that Load has found may be what a killed process had not yet synced:
  // journal it once in this process before answering for it, like the key.
  bool fenced = false;
  // A part was lost: what is found is right, what is not found proves nothing. It is fenced, too,
  // unless a fence cannot have been lost with it.
  bool uncertain = false;
  EntryId lac;                  // highest LAC seen in entries and explicit LACs
  Buffer explicit_lac;          // the packet as the client sent it, 16 bytes or more; empty: none
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

// Does the cluster no longer have any of these ledgers, as far as can be told for certain? An error
// keeps their data.
using AreLedgersGone =
    absl::AnyInvocable<Task<absl::StatusOr<bool>>(std::vector<LedgerId> ledgers)>;

// How much of an entry log is of ledgers that exist.
struct EntryLogUsage {
  EntryLogId log;
  uint64_t total_bytes = 0;
  uint64_t live_bytes = 0;
};

// What a compaction of one entry log has done.
struct CompactedLog {
  int64_t records = 0;   // copied
  uint64_t bytes = 0;    // of these
  bool removed = false;  // else it stays, because it may hide what the index does not show
};

// Asked before each piece of work in the background.
class BackgroundPace {
 public:
  virtual ~BackgroundPace() = default;
  // So many bytes are to be read or written; waits for their turn. An error ends the work.
  virtual Task<absl::Status> Spend(uint64_t bytes) = 0;
};

// Of ReadRun.
struct RunLimits {
  int64_t count_max = INT64_MAX;
  size_t size_max_bytes = SIZE_MAX;
  size_t entry_overhead_bytes = 0;  // counts against size_max_bytes, for each entry
};

// For metrics and tests.
struct StorageStats {
  uint64_t memtable_bytes = 0;  // both generations
  int64_t ledgers = 0;
  int64_t resident_ledgers = 0;
  int64_t entry_logs = 0;
  int64_t flushes = 0;
  int64_t failed_flushes = 0;
  int64_t lost_indexes = 0;  // index files that this process has found to have lost locations
  int64_t index_runs = 0;    // of an index in extents, like the next
  int64_t failed_index_merges = 0;  // also those for which the disks had no room
};

// Outlives every task that it has given out.
class LedgerStorage {
 public:
  virtual ~LedgerStorage() = default;

  // The resident state, or null: unknown or not loaded yet.
  virtual const LedgerState* FindLoaded(LedgerId ledger) = 0;
  // Loads the state from disk; kNoSuchLedger when this bookie has never heard of it.
  // kUnknownLedgerState: a stray. kCorruptData: its index file is damaged beyond use; nothing is
  // known of the ledger, and nothing is lost yet.
  virtual Task<absl::StatusOr<const LedgerState*>> Load(LedgerId ledger) = 0;
  // Makes a ledger that Load did not find (no wait between the two). The caller journals the key.
  // Without a key: a fence record of a ledger whose key is nowhere. Of a stray only by a replay.
  virtual const LedgerState* CreateLedger(LedgerId ledger, std::optional<wire::MasterKey> key) = 0;

  // Stores `body` (an entry packet of this ledger and entry, at least 24 bytes; it is copied) in
  // memory and raises the LAC by the one it carries. The ledger is loaded; entry is at most
  // kEntryIdMax.
  virtual PutResult Put(LedgerId ledger, EntryId entry, Buffer body) = 0;
  // As Put, but compares with the disk when it must; the caller keeps other changes of this ledger
  // waiting. An equal entry that an earlier process wrote is stored again (kStored), because
  // nobody knows whether it is durable. kNoSuchLedger: the ledger was deleted meanwhile.
  virtual Task<absl::StatusOr<PutResult>> PutChecked(LedgerId ledger, EntryId entry,
                                                     Buffer body) = 0;
  // For the replay of a journal: stores unless memory has an entry of this id, never looks at the
  // disk. What an earlier process wrote and did not sync is thereby written again. After kFull:
  // Flush.
  virtual PutResult PutReplayed(LedgerId ledger, EntryId entry, Buffer body) = 0;

  // Each needs a loaded ledger.
  virtual void SetFenced(LedgerId ledger) = 0;
  // A packet that is not 16 .. kExplicitLacSizeMaxBytes long only raises the LAC.
  virtual void SetExplicitLac(LedgerId ledger, EntryId lac, Buffer packet) = 0;
  virtual void SetKeyInJournal(LedgerId ledger) = 0;
  // For a ledger without one; a master key never changes. False: it has another. The key of a
  // replayed record is given here also when the ledger has it, and so becomes durable with the next
  // flush.
  virtual bool SetMasterKey(LedgerId ledger, const wire::MasterKey& key) = 0;

  // The entry packet. kNoSuchLedger, kNoSuchEntry (certain), kUnknownLedgerState, kCorruptData,
  // kIoError; kOverloaded: no file can be opened now.
  virtual Task<absl::StatusOr<Buffer>> Read(LedgerId ledger, EntryId entry) = 0;
  // The entry packets of `first` and those behind it: at least one, and no more than the limits
  // allow. Fewer says nothing about the next one. Errors as Read, for `first`.
  virtual Task<absl::StatusOr<std::vector<Buffer>>> ReadRun(LedgerId ledger, EntryId first,
                                                            RunLimits limits) = 0;
  // The entry with the highest id; kNoSuchEntry when there is none.
  virtual Task<absl::StatusOr<Buffer>> ReadLast(LedgerId ledger) = 0;
  // The known LAC, loaded from the last entry when nothing newer is known; kNoEntry when none can
  // be told. Errors as ReadLast, but for kNoSuchEntry.
  virtual Task<absl::StatusOr<EntryId>> ReadLac(LedgerId ledger) = 0;
  // Ids of all entries, ascending. kUnknownLedgerState: the list could miss some. kOverloaded: the
  // index file is too large to go through.
  virtual Task<absl::StatusOr<std::vector<EntryId>>> ListEntries(LedgerId ledger) = 0;

  // The listeners are called inside the calls that cause them, so they post what takes long.
  // After each change of a ledger's LAC, explicit LAC or fence: wakes long polls.
  virtual void SetLacListener(absl::AnyInvocable<void(LedgerId)> listener) = 0;
  // When Put may succeed again after kFull.
  virtual void SetRoomListener(absl::AnyInvocable<void()> listener) = 0;
  // When the active generation has reached memtable_max_bytes, once: somebody should checkpoint.
  virtual void SetFlushListener(absl::AnyInvocable<void()> listener) = 0;
  // When a ledger's index file is found to have lost locations: the ledger is uncertain from then
  // on. Once, while its state is in memory.
  virtual void SetLossListener(absl::AnyInvocable<void(LedgerId)> listener) = 0;

  // What each flush waits for before it writes: everything put until now is durable in the
  // journals. An error fails the flush. Without it an entry could be in an entry log that no replay
  // brings again, and could not be told from one whose index was lost (JudgeReplayedStrays). Unset:
  // there is nothing to wait for, as in a replay.
  virtual void SetJournalWait(absl::AnyInvocable<Task<absl::Status>()> when_journalled) = 0;

  // Writes everything put before this call to entry logs and indexes, durable, fences and LACs
  // included. One at a time; a second call waits. After an error the data stays in memory, the next
  // call tries again, and the mark must not move.
  virtual Task<absl::Status> Flush() = 0;

  // All ledgers that this shard stores, ascending.
  virtual std::vector<LedgerId> Ledgers() const = 0;
  // Forgets a ledger that metadata no longer knows; its index goes, its bytes go with their entry
  // log. Ok when it is not known.
  virtual Task<absl::Status> DeleteLedger(LedgerId ledger) = 0;
  // Removes sealed entry logs in which no ledger is left. Gives their number. Logs with damage are
  // kept. That a ledger is not known here proves nothing, its index file may have been lost: a log
  // goes only when `are_gone` holds for all that it has.
  virtual Task<absl::StatusOr<int64_t>> RemoveDeadEntryLogs(AreLedgersGone are_gone) = 0;
  // Of the entry logs that can be compacted, as the last RemoveDeadEntryLogs saw them.
  virtual std::vector<EntryLogUsage> EntryLogUsages() const = 0;
  // Moves what is live in `log` to another one and removes it (log_compaction.h). One at a time. A
  // log that went meanwhile, or cannot be compacted now, is passed over.
  //   free_min_bytes   what the disk must have for the copies
  //   errors           kDiskFull; those of `pace`; kIoError. What was moved stays moved.
  virtual Task<absl::StatusOr<CompactedLog>> CompactEntryLog(EntryLogId log,
                                                             uint64_t free_min_bytes,
                                                             AreLedgersGone are_gone,
                                                             BackgroundPace* pace) = 0;

  // Ledgers of which the entry logs have entries, and that have no index file: it was lost, or they
  // were deleted and leave with their logs. They answer kUnknownLedgerState.
  virtual std::vector<LedgerId> StrayLedgers() const = 0;
  // After the replay of the journals and before anything is served: a replay makes strays known,
  // and this tells those of a flush that was interrupted, which are whole, from those whose index
  // was lost, which are uncertain from now on. Errors: of reading.
  virtual Task<absl::Status> JudgeReplayedStrays() = 0;
  // Looks whether the ledger's index file still has what it says it had. One that has lost
  // something is uncertain from then on. Errors: of Load, of reading and of `pace`.
  virtual Task<absl::Status> CheckIndex(LedgerId ledger, BackgroundPace* pace) = 0;
  // Searches all entry logs for entries of these ledgers that the index does not show. A stray
  // ledger becomes a known one, uncertain and fenced, with its first. Gives how many were found.
  // Errors: of reading and of `pace`; what was found stays.
  virtual Task<absl::StatusOr<int64_t>> RecoverIndexes(std::vector<LedgerId> ledgers,
                                                       BackgroundPace* pace) = 0;
  // Each needs a loaded ledger. One that may have lost something is uncertain; if that may be a
  // fence, fence it as well, for ever. One that is certain has everything that metadata says it
  // must have.
  virtual void SetUncertain(LedgerId ledger) = 0;
  virtual void SetCertain(LedgerId ledger) = 0;
  // For who proves that a ledger is whole: whether it is found to have lost something from now on,
  // also while it is uncertain already. What was looked at before that is no proof any more. One
  // ledger at a time.
  virtual void WatchForLosses(LedgerId ledger) = 0;
  virtual bool HasSeenLoss() const = 0;
  // While it is damaged, what the disk has of this entry is answered by kCorruptData. In memory,
  // for kDamagedEntriesMax entries at most; a scrub finds it again.
  virtual void SetEntryDamaged(LedgerId ledger, EntryId entry, bool damaged) = 0;
  // Stores another copy of an entry that is damaged or was lost; it takes the place of what the
  // disk has with the next flush. Not journalled. Errors: of Load, and of a flush that made room.
  virtual Task<absl::Status> ReplaceEntry(LedgerId ledger, EntryId entry, Buffer body) = 0;

  virtual StorageStats Stats() const = 0;

  // Flushes, seals the entry log and closes. No call may follow.
  virtual Task<absl::Status> Close() = 0;
};

// Finds what the directories hold; they exist and are locked by the caller. Loads no ledger.
//   errors   kConfig        an option out of range
//            kUnsupported   directories of Java's DbLedgerStorage
//            kCorruptData   two entry logs of one id
Task<absl::StatusOr<std::unique_ptr<LedgerStorage>>> OpenLedgerStorage(Env env,
                                                                       StorageOptions options);

}  // namespace stele::bookie
