// The one LedgerStorage there is; its parts, in the order of a ledger's life:
//   ledger_storage.cc         opening, the state of ledgers, putting
//   ledger_storage_flush.cc   flushing, deleting, compacting, and what was lost
//   ledger_storage_read.cc    reading
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_set.h"
#include "bookie/storage/entry_log_writer.h"
#include "bookie/storage/entry_logs.h"
#include "bookie/storage/flush.h"
#include "bookie/storage/index_store.h"
#include "bookie/storage/ledger_locks.h"
#include "bookie/storage/ledger_storage.h"
#include "bookie/storage/ledger_table.h"
#include "bookie/storage/log_compaction.h"
#include "bookie/storage/memtable.h"
#include "bookie/storage/same_entry.h"
#include "common/async/notification.h"

namespace stele::bookie {

inline constexpr size_t kEvictionStepsPerLoad = 64;

// What is not found in a ledger of which a part was lost.
absl::Status UnknownInLedger(LedgerId ledger);
// That an entry packet carries. Those of old journals may be too short to have one.
EntryId LacOf(std::string_view body);

struct EntryOnDisk {
  EntryLocation location;  // absent: the index has none
  Buffer body;
};

class Storage : public LedgerStorage {
 public:
  Storage(Env env, const StorageOptions& options, std::unique_ptr<EntryLogs> logs,
          std::unique_ptr<LedgerLocks> locks, std::unique_ptr<IndexStore> index)
      : env_(env),
        memtable_max_bytes_(options.memtable_max_bytes),
        logs_(std::move(logs)),
        writer_(logs_.get()),
        compaction_writer_(logs_.get()),
        locks_(std::move(locks)),
        index_(std::move(index)),
        table_(options.resident_ledgers_max),
        active_(std::make_unique<Generation>(1, &chunks_)),
        flush_ended_(env.executor) {
    index_->SetLossListener([this](LedgerId ledger) {
      if (ledger == watched_) watch_saw_loss_ = true;
      // Where it is not loaded, a later read finds the loss again.
      LedgerRecord* const record = table_.Find(ledger);
      if (record != nullptr) OnLoss(record);
      return record != nullptr;
    });
  }

  const LedgerState* FindLoaded(LedgerId ledger) override;
  Task<absl::StatusOr<const LedgerState*>> Load(LedgerId ledger) override;
  const LedgerState* CreateLedger(LedgerId ledger, std::optional<wire::MasterKey> key) override;

  PutResult Put(LedgerId ledger, EntryId entry, Buffer body) override;
  Task<absl::StatusOr<PutResult>> PutChecked(LedgerId ledger, EntryId entry, Buffer body) override;
  PutResult PutReplayed(LedgerId ledger, EntryId entry, Buffer body) override;

  void SetFenced(LedgerId ledger) override;
  void SetExplicitLac(LedgerId ledger, EntryId lac, Buffer packet) override;
  void SetKeyInJournal(LedgerId ledger) override { Resident(ledger)->state.key_in_journal = true; }
  bool SetMasterKey(LedgerId ledger, const wire::MasterKey& key) override;

  Task<absl::StatusOr<Buffer>> Read(LedgerId ledger, EntryId entry) override;
  Task<absl::StatusOr<std::vector<Buffer>>> ReadRun(LedgerId ledger, EntryId first,
                                                    RunLimits limits) override;
  Task<absl::StatusOr<Buffer>> ReadLast(LedgerId ledger) override;
  Task<absl::StatusOr<EntryId>> ReadLac(LedgerId ledger) override;
  Task<absl::StatusOr<std::vector<EntryId>>> ListEntries(LedgerId ledger) override;

  void SetLacListener(absl::AnyInvocable<void(LedgerId)> listener) override {
    lac_listener_ = std::move(listener);
  }
  void SetRoomListener(absl::AnyInvocable<void()> listener) override {
    room_listener_ = std::move(listener);
  }
  void SetFlushListener(absl::AnyInvocable<void()> listener) override {
    flush_listener_ = std::move(listener);
  }

  void SetLossListener(absl::AnyInvocable<void(LedgerId)> listener) override {
    loss_listener_ = std::move(listener);
  }
  void SetJournalWait(absl::AnyInvocable<Task<absl::Status>()> when_journalled) override {
    when_journalled_ = std::move(when_journalled);
  }

  Task<absl::Status> Flush() override;
  std::vector<LedgerId> Ledgers() const override;
  Task<absl::Status> DeleteLedger(LedgerId ledger) override;
  Task<absl::StatusOr<int64_t>> RemoveDeadEntryLogs(AreLedgersGone are_gone) override;
  std::vector<EntryLogUsage> EntryLogUsages() const override { return logs_->Usages(); }
  Task<absl::StatusOr<CompactedLog>> CompactEntryLog(EntryLogId log, uint64_t free_min_bytes,
                                                     AreLedgersGone are_gone,
                                                     BackgroundPace* pace) override;
  std::vector<LedgerId> StrayLedgers() const override { return {strays_.begin(), strays_.end()}; }
  Task<absl::Status> JudgeReplayedStrays() override;
  Task<absl::Status> CheckIndex(LedgerId ledger, BackgroundPace* pace) override;
  Task<absl::StatusOr<int64_t>> RecoverIndexes(std::vector<LedgerId> ledgers,
                                               BackgroundPace* pace) override;
  void SetUncertain(LedgerId ledger) override;
  void SetCertain(LedgerId ledger) override;
  void WatchForLosses(LedgerId ledger) override {
    watched_ = ledger;
    watch_saw_loss_ = false;
  }
  bool HasSeenLoss() const override { return watch_saw_loss_; }
  void SetEntryDamaged(LedgerId ledger, EntryId entry, bool damaged) override;
  Task<absl::Status> ReplaceEntry(LedgerId ledger, EntryId entry, Buffer body) override;
  IndexFormat index_format() const override { return index_->format(); }
  StorageStats Stats() const override;
  Task<absl::Status> Close() override;

  Task<absl::Status> FindStrays(std::function<bool(LedgerId)> is_deleted);

 private:
  // May the disk have an entry that memory does not have?
  enum class OnDisk { kAskWhenPossible, kNo };

  LedgerRecord* Resident(LedgerId ledger);
  bool Exists(LedgerId ledger) const {
    return unwritten_ledgers_.contains(ledger) || index_->Contains(ledger);
  }
  Task<absl::StatusOr<LedgerRecord*>> FindOrLoad(LedgerId ledger);
  Task<absl::StatusOr<LedgerRecord*>> LoadLocked(LedgerId ledger);
  void OnLoss(LedgerRecord* record);
  bool IsInMemory(LedgerId ledger) const;
  void EvictIdle(size_t steps_max) {
    table_.EvictIdle(steps_max,
                     [this](const LedgerRecord& idle) { return !IsInMemory(idle.state.ledger); });
  }

  PutResult PutIn(LedgerRecord* record, EntryId entry, const Buffer& body, OnDisk on_disk);
  Memtable::Ledger* ActiveEntries(LedgerRecord* record);
  std::optional<Buffer> FindInMemory(LedgerRecord* record, EntryId entry);
  PutResult Compare(std::string_view stored, const Buffer& offered) const {
    return comparer_.IsSame(stored, offered.view()) ? PutResult::kSameEntryExists
                                                    : PutResult::kConflict;
  }
  uint64_t MemtableBytes() const;
  void AskForFlush();
  void RaiseLac(LedgerRecord* record, EntryId lac);
  void NotifyLac(LedgerId ledger) {
    if (lac_listener_) lac_listener_(ledger);
  }

  // How a read goes on behind the entry that it asks for.
  struct ReadAhead {
    int64_t count_max = 1;     // entries that are wanted now
    bool is_in_order = false;  // others will follow
  };
  ReadAhead Observe(LedgerRecord* record, EntryId entry, int64_t count_max);
  bool IsDamaged(LedgerId ledger, EntryId entry) const {
    return !damaged_.empty() && damaged_.contains({ledger, entry});
  }
  std::optional<Buffer> FindWithoutDisk(LedgerId ledger, EntryId entry);
  uint64_t RunEnd(LedgerId ledger, EntryId entry, ReadAhead ahead);
  std::optional<absl::StatusOr<Buffer>> AnswerFromMemory(LedgerRecord* record, EntryId entry);
  Task<absl::StatusOr<Buffer>> ReadNext(LedgerId ledger, EntryId entry, ReadAhead ahead);
  Task<absl::StatusOr<Buffer>> ReadFromDisk(LedgerId ledger, EntryId entry, bool uncertain,
                                            size_t size_guess, ReadAhead ahead);
  Task<absl::StatusOr<EntryOnDisk>> FindOnDisk(LedgerId ledger, EntryId entry, size_t size_guess,
                                               ReadAhead ahead);
  Task<absl::StatusOr<LedgerFate>> FateOfLedger(LedgerId ledger);
  Task<absl::StatusOr<bool>> Has(LedgerId ledger, EntryId entry);
  Task<absl::Status> JudgeEntry(LedgerId ledger, EntryId entry, absl::btree_set<LedgerId>* lost);

  IndexHeader HeaderOf(LedgerId ledger);
  void Rotate();
  Task<absl::Status> FlushOlder();
  void Commit();

  Env env_;
  const uint64_t memtable_max_bytes_;
  std::unique_ptr<EntryLogs> logs_;
  EntryLogWriter writer_;
  EntryLogWriter compaction_writer_;
  std::unique_ptr<LedgerLocks> locks_;
  std::unique_ptr<IndexStore> index_;
  LedgerTable table_;
  absl::btree_set<LedgerId> unwritten_ledgers_;  // made here, not in an index file yet
  MemtableChunks chunks_;                        // outlives the generations
  absl::btree_set<LedgerId> strays_;
  absl::flat_hash_set<std::pair<LedgerId, EntryId>> damaged_;  // looked up only
  absl::btree_set<LedgerId> replayed_strays_;                  // made known, and not judged yet
  std::unique_ptr<Generation> active_;
  std::unique_ptr<Generation> older_;  // being flushed, or kept after a failed flush
  EntryComparer comparer_;
  bool flush_is_running_ = false;
  Notification flush_ended_;
  bool put_was_refused_ = false;  // for want of room
  int64_t flushes_ = 0;
  int64_t failed_flushes_ = 0;
  int64_t lost_indexes_ = 0;
  int64_t deletions_ = 0;  // of ledgers, by this process
  absl::AnyInvocable<void(LedgerId)> lac_listener_;
  absl::AnyInvocable<void()> room_listener_;
  absl::AnyInvocable<void()> flush_listener_;
  absl::AnyInvocable<void(LedgerId)> loss_listener_;
  std::optional<LedgerId> watched_;
  bool watch_saw_loss_ = false;
  absl::AnyInvocable<Task<absl::Status>()> when_journalled_;
};

}  // namespace stele::bookie
