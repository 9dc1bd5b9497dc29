// LedgerStorage, what goes on beside requests: flushing, deleting, compacting, and the search for
// what was lost.
#include <algorithm>
#include <iterator>
#include <utility>

#include "bookie/storage/index_rebuild.h"
#include "bookie/storage/ledger_storage_impl.h"
#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/try.h"

namespace stele::bookie {

void Storage::Rotate() {
  STELE_CHECK(older_ == nullptr);
  older_ = std::exchange(active_, std::make_unique<Generation>(active_->number + 1, &chunks_));
}

Task<absl::Status> Storage::Flush() {
  while (flush_is_running_) co_await flush_ended_.Wait();
  struct Running {
    explicit Running(Storage* storage) : storage(storage) { storage->flush_is_running_ = true; }
    ~Running() {
      storage->flush_is_running_ = false;
      storage->flush_ended_.NotifyAll();
    }
    Storage* storage;
  };
  const Running running(this);
  // Left by a flush that failed or was dropped.
  if (older_ != nullptr) STELE_CO_TRY_OK(co_await FlushOlder());
  if (active_->empty()) co_return absl::OkStatus();
  Rotate();
  co_return co_await FlushOlder();
}

Task<absl::Status> Storage::FlushOlder() {
  absl::Status flushed = absl::OkStatus();
  if (when_journalled_) flushed = co_await when_journalled_();
  if (flushed.ok()) {
    const auto header_of = [this](LedgerId ledger) { return HeaderOf(ledger); };
    flushed = co_await FlushGeneration({&writer_, index_.get()}, older_.get(), header_of);
  }
  if (!flushed.ok()) {
    ++failed_flushes_;
    // What was asked for has not happened: the next put may ask again.
    active_->flush_was_asked_for = false;
    co_return flushed;
  }
  Commit();
  co_return flushed;
}

// The generation is durable: from here on its entries are read from the disk.
void Storage::Commit() {
  for (const LedgerFlush& flush : *older_->plan) {
    const bool has_entries = flush.entries != nullptr && !flush.entries->dropped();
    if (has_entries && !flush.ids.empty()) {
      LedgerRecord* record = Resident(flush.ledger);
      record->last_on_disk = std::max(record->last_on_disk, EntryId(flush.ids.back()));
    }
    if (index_->Contains(flush.ledger)) unwritten_ledgers_.erase(flush.ledger);
  }
  // Twice: the first look at a record only takes its second chance away.
  const size_t eviction_steps = 2 * older_->plan->size() + kEvictionStepsPerLoad;
  older_ = nullptr;
  logs_->SettleClosed();
  EvictIdle(eviction_steps);
  ++flushes_;
  if (std::exchange(put_was_refused_, false) && room_listener_) room_listener_();
}

std::vector<LedgerId> Storage::Ledgers() const {
  const std::vector<LedgerId> on_disk = index_->Ledgers();
  std::vector<LedgerId> all;
  all.reserve(on_disk.size() + unwritten_ledgers_.size());
  std::set_union(on_disk.begin(), on_disk.end(), unwritten_ledgers_.begin(),
                 unwritten_ledgers_.end(), std::back_inserter(all));
  return all;
}

Task<absl::Status> Storage::DeleteLedger(LedgerId ledger) {
  const LedgerLocks::Guard guard = co_await locks_->Acquire(ledger);
  strays_.erase(ledger);
  if (!Exists(ledger)) co_return absl::OkStatus();
  table_.Erase(ledger);
  unwritten_ledgers_.erase(ledger);
  active_->Drop(ledger);
  if (older_ != nullptr) older_->Drop(ledger);
  NotifyLac(ledger);
  ++deletions_;
  co_return co_await index_->Remove(ledger);
}

Task<absl::StatusOr<int64_t>> Storage::RemoveDeadEntryLogs(AreLedgersGone are_gone) {
  const auto exists = [this](LedgerId ledger) { return Exists(ledger); };
  co_return co_await logs_->RemoveDead(deletions_, exists, std::move(are_gone));
}

Task<absl::StatusOr<LedgerFate>> Storage::FateOfLedger(LedgerId ledger) {
  if (!Exists(ledger)) co_return LedgerFate::kStray;
  const absl::StatusOr<LedgerRecord*> record = co_await FindOrLoad(ledger);
  if (record.ok())
    co_return (*record)->state.uncertain ? LedgerFate::kUncertain : LedgerFate::kKnown;
  const ErrorCode code = CodeOf(record.status());
  if (code == ErrorCode::kNoSuchLedger) co_return LedgerFate::kStray;  // deleted meanwhile
  if (code == ErrorCode::kCorruptData) co_return LedgerFate::kUncertain;
  co_return record.status();
}

Task<absl::StatusOr<CompactedLog>> Storage::CompactEntryLog(EntryLogId log, uint64_t free_min_bytes,
                                                            AreLedgersGone are_gone,
                                                            BackgroundPace* pace) {
  if (!logs_->IsSettled(log)) co_return CompactedLog{};
  FateOf fate_of = [this](LedgerId ledger) { return FateOfLedger(ledger); };
  co_return co_await CompactLog({.logs = logs_.get(),
                                 .index = index_.get(),
                                 .writer = &compaction_writer_,
                                 .free_min_bytes = free_min_bytes},
                                log, &fate_of, &are_gone, pace);
}

// ---- What was lost

Task<absl::Status> Storage::FindStrays(std::function<bool(LedgerId)> is_deleted) {
  const auto is_settled = [&](LedgerId ledger) {
    return Exists(ledger) || (is_deleted && is_deleted(ledger));
  };
  STELE_CO_TRY(strays_, co_await logs_->FindStrays(is_settled));
  co_return absl::OkStatus();
}

Task<absl::StatusOr<bool>> Storage::Has(LedgerId ledger, EntryId entry) {
  STELE_CO_TRY(LedgerRecord * record, co_await FindOrLoad(ledger));
  if (FindInMemory(record, entry).has_value()) co_return true;
  if (!index_->Contains(ledger)) co_return false;
  STELE_CO_TRY(const EntryLocation location, co_await index_->Find(ledger, entry));
  co_return !location.IsAbsent();
}

// A flush that was interrupted leaves entries that the journal has too. An entry in a log that the
// replay did not bring had a location once, in the index file that is gone; or its journal record
// was cut off before it was acknowledged, which cannot be told from that.
Task<absl::Status> Storage::JudgeReplayedStrays() {
  const absl::btree_set<LedgerId> replayed = std::exchange(replayed_strays_, {});
  if (replayed.empty()) co_return absl::OkStatus();
  absl::btree_set<LedgerId> lost;
  const auto visit = [&](LedgerId ledger, EntryId entry) -> Task<absl::Status> {
    return JudgeEntry(ledger, entry, &lost);
  };
  STELE_CO_TRY_OK(co_await VisitEntries(logs_.get(), replayed, visit));
  for (const LedgerId ledger : lost) {
    STELE_CO_TRY_OK((co_await FindOrLoad(ledger)).status());
    SetUncertain(ledger);
    SetFenced(ledger);
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Storage::JudgeEntry(LedgerId ledger, EntryId entry,
                                       absl::btree_set<LedgerId>* lost) {
  if (lost->contains(ledger)) co_return absl::OkStatus();
  STELE_CO_TRY(const bool has, co_await Has(ledger, entry));
  if (!has) lost->insert(ledger);
  co_return absl::OkStatus();
}

Task<absl::StatusOr<int64_t>> Storage::RecoverIndexes(std::vector<LedgerId> ledgers,
                                                      BackgroundPace* pace) {
  absl::btree_set<LedgerId> searched;
  for (const LedgerId ledger : ledgers) {
    if (strays_.erase(ledger) > 0 && !Exists(ledger)) {
      CreateLedger(ledger, std::nullopt);
      SetUncertain(ledger);
      SetFenced(ledger);
    }
    if (Exists(ledger)) searched.insert(ledger);
  }
  STELE_CO_TRY_OK(co_await Flush());
  const auto on_found = [this](LedgerId ledger, EntryId last) {
    LedgerRecord* record = table_.Find(ledger);
    if (record == nullptr) return;  // it is loaded with them
    record->last_on_disk = std::max(record->last_on_disk, last);
    record->state.last_entry = std::max(record->state.last_entry, last);
    record->lac_is_known = false;
  };
  co_return co_await RebuildLocations({.logs = logs_.get(), .index = index_.get(), .pace = pace},
                                      std::move(searched), on_found);
}

Task<absl::Status> Storage::CheckIndex(LedgerId ledger, BackgroundPace* pace) {
  STELE_CO_TRY_OK((co_await FindOrLoad(ledger)).status());
  if (!index_->Contains(ledger)) co_return absl::OkStatus();
  co_return co_await index_->LookForLosses(ledger, pace);
}

void Storage::SetUncertain(LedgerId ledger) {
  Resident(ledger)->state.uncertain = true;
  active_->dirty.insert(ledger);
}

void Storage::SetCertain(LedgerId ledger) {
  Resident(ledger)->state.uncertain = false;
  active_->dirty.insert(ledger);
}

void Storage::SetEntryDamaged(LedgerId ledger, EntryId entry, bool damaged) {
  if (!damaged) {
    damaged_.erase({ledger, entry});
  } else if (damaged_.size() < kDamagedEntriesMax) {
    damaged_.insert({ledger, entry});
  }
}

Task<absl::Status> Storage::ReplaceEntry(LedgerId ledger, EntryId entry, Buffer body) {
  if (body.size() < kRecordIdsBytes || entry.IsNone() || entry.value() > kEntryIdMax ||
      LoadBigEndian<int64_t>(body.data()) != ledger.value() ||
      LoadBigEndian<int64_t>(body.data() + 8) != entry.value()) {
    co_return MakeError(ErrorCode::kInvalidArgument, "not a packet of this entry");
  }
  for (;;) {
    STELE_CO_TRY(LedgerRecord * record, co_await FindOrLoad(ledger));
    if (PutIn(record, entry, body, OnDisk::kNo) != PutResult::kFull) co_return absl::OkStatus();
    STELE_CO_TRY_OK(co_await Flush());
  }
}

}  // namespace stele::bookie
