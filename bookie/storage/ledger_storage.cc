#include "bookie/storage/ledger_storage.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/container/btree_set.h"
#include "bookie/storage/entry_log_writer.h"
#include "bookie/storage/entry_logs.h"
#include "bookie/storage/flush.h"
#include "bookie/storage/index_enumeration.h"
#include "bookie/storage/index_rebuild.h"
#include "bookie/storage/index_store.h"
#include "bookie/storage/ledger_locks.h"
#include "bookie/storage/ledger_table.h"
#include "bookie/storage/log_compaction.h"
#include "bookie/storage/memtable.h"
#include "bookie/storage/same_entry.h"
#include "common/async/notification.h"
#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/wire/entry_packet.h"

namespace stele::bookie {
namespace {

constexpr size_t kLacOffset = 16;  // in an entry packet
constexpr size_t kRecordSizeGuessMaxBytes = 64 << 10;
constexpr size_t kEvictionStepsPerLoad = 64;
// Who asks for an entry at most so far behind the last one reads in order.
constexpr int64_t kReadGapMax = 16;

absl::Status NoSuchLedger(LedgerId ledger) {
  return MakeError(ErrorCode::kNoSuchLedger, StrCat("ledger ", ledger.value()));
}

// What is not found in a ledger of which a part was lost.
absl::Status Unknown(LedgerId ledger) {
  STELE_SOMETIMES(kUncertainAnswer, true);
  return MakeError(ErrorCode::kUnknownLedgerState,
                   StrCat("a part of ledger ", ledger.value(), "'s index was lost"));
}

// Of an entry packet. Those of old journals may be too short to have one.
EntryId LacOf(std::string_view body) {
  if (body.size() < wire::kEntryIdsSize) return kNoEntry;
  return EntryId(LoadBigEndian<int64_t>(body.data() + kLacOffset));
}

// Of an explicit-LAC packet, which has 16 bytes or more.
EntryId LacOfPacket(std::string_view packet) {
  return EntryId(LoadBigEndian<int64_t>(packet.data() + sizeof(int64_t)));
}

struct EntryOnDisk {
  EntryLocation location;  // absent: the index has none
  Buffer body;
};

class Storage : public LedgerStorage {
 public:
  Storage(Env env, const StorageOptions& options, std::unique_ptr<EntryLogs> logs,
          std::unique_ptr<IndexStore> index)
      : env_(env),
        memtable_max_bytes_(options.memtable_max_bytes),
        logs_(std::move(logs)),
        writer_(logs_.get()),
        compaction_writer_(logs_.get()),
        index_(std::move(index)),
        locks_(env.executor),
        table_(options.resident_ledgers_max),
        active_(std::make_unique<Generation>(1, &chunks_)),
        flush_ended_(env.executor) {
    index_->SetLossListener([this](LedgerId ledger) {
      // Where it is not loaded, a later read finds the loss again.
      if (LedgerRecord* record = table_.Find(ledger); record != nullptr) OnLoss(record);
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
  std::optional<Buffer> FindWithoutDisk(LedgerId ledger, EntryId entry);
  uint64_t RunEnd(LedgerId ledger, EntryId entry, ReadAhead ahead);
  Task<absl::StatusOr<Buffer>> ReadWith(LedgerId ledger, EntryId entry, ReadAhead ahead);
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
  std::unique_ptr<IndexStore> index_;
  LedgerLocks locks_;
  LedgerTable table_;
  absl::btree_set<LedgerId> unwritten_ledgers_;  // made here, not in an index file yet
  MemtableChunks chunks_;                        // outlives the generations
  absl::btree_set<LedgerId> strays_;
  absl::btree_set<LedgerId> replayed_strays_;  // made known, and not judged yet
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
};

// ---- State

const LedgerState* Storage::FindLoaded(LedgerId ledger) {
  const LedgerRecord* record = table_.Find(ledger);
  return record == nullptr ? nullptr : &record->state;
}

LedgerRecord* Storage::Resident(LedgerId ledger) {
  LedgerRecord* record = table_.Find(ledger);
  STELE_CHECK(record != nullptr);
  return record;
}

Task<absl::StatusOr<const LedgerState*>> Storage::Load(LedgerId ledger) {
  STELE_CO_TRY(const LedgerRecord* record, co_await FindOrLoad(ledger));
  co_return &record->state;
}

Task<absl::StatusOr<LedgerRecord*>> Storage::FindOrLoad(LedgerId ledger) {
  if (LedgerRecord* record = table_.Find(ledger); record != nullptr) co_return record;
  if (strays_.contains(ledger)) co_return Unknown(ledger);
  if (!index_->Contains(ledger)) co_return NoSuchLedger(ledger);
  const LedgerLocks::Guard guard = co_await locks_.Acquire(ledger);
  if (LedgerRecord* record = table_.Find(ledger); record != nullptr) co_return record;
  if (!index_->Contains(ledger)) co_return NoSuchLedger(ledger);
  co_return co_await LoadLocked(ledger);
}

Task<absl::StatusOr<LedgerRecord*>> Storage::LoadLocked(LedgerId ledger) {
  STELE_CO_TRY(const LoadedIndex loaded, co_await index_->Load(ledger));
  EntryId lac = kNoEntry;
  bool lac_is_known = true;
  if (!loaded.last_entry.IsNone()) {
    const absl::StatusOr<Buffer> last = co_await ReadFromDisk(
        ledger, loaded.last_entry, /*uncertain=*/false, LedgerRecord().record_size_guess_bytes, {});
    // A last entry that cannot be read matters to ReadLac only, which will say so.
    lac_is_known = last.ok();
    if (last.ok()) lac = LacOf(last->view());
  }
  EvictIdle(kEvictionStepsPerLoad);
  LedgerRecord* record = table_.Insert(ledger);
  record->last_on_disk = record->state.last_entry = loaded.last_entry;
  record->lac_is_known = lac_is_known;
  record->state.uncertain = !loaded.last_entry_is_certain;
  if (loaded.header.has_value()) {
    const IndexHeader& header = *loaded.header;
    record->state.has_master_key = header.master_key.has_value();
    if (header.master_key.has_value()) record->state.master_key = *header.master_key;
    record->state.fenced = (header.state_bits & kIndexStateFenced) != 0;
    record->state.uncertain |= (header.state_bits & kIndexStateUncertain) != 0;
    record->other_state_bits = header.state_bits & ~(kIndexStateFenced | kIndexStateUncertain);
    if (!header.explicit_lac.empty()) {
      record->state.explicit_lac = Buffer::CopyOf(header.explicit_lac);
      lac = std::max(lac, LacOfPacket(header.explicit_lac));
    }
  }
  record->state.lac = lac;
  if (!loaded.header.has_value() || loaded.is_cut) {
    // It may have been fenced, and may have had other entries.
    record->state.fenced = true;
    active_->dirty.insert(ledger);
  }
  if (!loaded.header.has_value() || loaded.is_cut || loaded.has_lost_its_end) OnLoss(record);
  co_return record;
}

// A part of the index file was lost. That is written into its header with the next flush.
void Storage::OnLoss(LedgerRecord* record) {
  if (std::exchange(record->state.uncertain, true)) return;
  const LedgerId ledger = record->state.ledger;
  active_->dirty.insert(ledger);
  ++lost_indexes_;
  if (loss_listener_) loss_listener_(ledger);
}

const LedgerState* Storage::CreateLedger(LedgerId ledger, std::optional<wire::MasterKey> key) {
  STELE_CHECK(ledger.IsValid() && !Exists(ledger));
  LedgerRecord* record = table_.Insert(ledger);
  record->state.has_master_key = key.has_value();
  if (key.has_value()) record->state.master_key = *key;
  if (strays_.erase(ledger) > 0) replayed_strays_.insert(ledger);
  unwritten_ledgers_.insert(ledger);
  active_->dirty.insert(ledger);
  return &record->state;
}

// Has a generation anything of this ledger, so that its record must stay?
bool Storage::IsInMemory(LedgerId ledger) const {
  for (Generation* generation : {active_.get(), older_.get()}) {
    if (generation == nullptr) continue;
    if (generation->dirty.contains(ledger) || generation->entries.Find(ledger) != nullptr) {
      return true;
    }
  }
  return false;
}

void Storage::RaiseLac(LedgerRecord* record, EntryId lac) {
  if (lac <= record->state.lac) return;
  record->state.lac = lac;
  NotifyLac(record->state.ledger);
}

void Storage::SetFenced(LedgerId ledger) {
  LedgerRecord* record = Resident(ledger);
  // Also when it is fenced already: an earlier process may not have synced what was found.
  active_->dirty.insert(ledger);
  if (std::exchange(record->state.fenced, true)) return;
  NotifyLac(ledger);
}

void Storage::SetExplicitLac(LedgerId ledger, EntryId lac, Buffer packet) {
  LedgerRecord* record = Resident(ledger);
  const bool fits =
      packet.size() >= wire::kExplicitLacFieldsSize && packet.size() <= kExplicitLacSizeMaxBytes;
  const Buffer& present = record->state.explicit_lac;
  // A replayed packet may be older than the one that was found.
  if (fits && (present.empty() || lac >= LacOfPacket(present.view()))) {
    record->state.explicit_lac = Buffer::CopyOf(packet.view());
  }
  active_->dirty.insert(ledger);
  record->state.lac = std::max(record->state.lac, lac);
  NotifyLac(ledger);
}

bool Storage::SetMasterKey(LedgerId ledger, const wire::MasterKey& key) {
  LedgerRecord* record = Resident(ledger);
  if (record->state.has_master_key && record->state.master_key != key) return false;
  record->state.has_master_key = true;
  record->state.master_key = key;
  active_->dirty.insert(ledger);
  return true;
}

IndexHeader Storage::HeaderOf(LedgerId ledger) {
  const LedgerRecord* record = Resident(ledger);
  const LedgerState& state = record->state;
  IndexHeader header{.state_bits = record->other_state_bits};
  if (state.has_master_key) header.master_key = state.master_key;
  if (state.fenced) header.state_bits |= kIndexStateFenced;
  if (state.uncertain) header.state_bits |= kIndexStateUncertain;
  header.explicit_lac = state.explicit_lac.ToString();
  return header;
}

// ---- Putting

uint64_t Storage::MemtableBytes() const {
  return active_->entries.bytes() + (older_ == nullptr ? 0 : older_->entries.bytes());
}

void Storage::AskForFlush() {
  if (std::exchange(active_->flush_was_asked_for, true)) return;
  if (flush_listener_) flush_listener_();
}

Memtable::Ledger* Storage::ActiveEntries(LedgerRecord* record) {
  if (record->active_generation != active_->number) {
    record->active = active_->entries.Find(record->state.ledger);
    record->active_generation = active_->number;
  }
  return record->active;
}

PutResult Storage::Put(LedgerId ledger, EntryId entry, Buffer body) {
  return PutIn(Resident(ledger), entry, body, OnDisk::kAskWhenPossible);
}

PutResult Storage::PutReplayed(LedgerId ledger, EntryId entry, Buffer body) {
  return PutIn(Resident(ledger), entry, body, OnDisk::kNo);
}

Task<absl::StatusOr<PutResult>> Storage::PutChecked(LedgerId ledger, EntryId entry, Buffer body) {
  for (;;) {
    STELE_CO_TRY(LedgerRecord * record, co_await FindOrLoad(ledger));
    const PutResult result = PutIn(record, entry, body, OnDisk::kAskWhenPossible);
    if (result != PutResult::kNeedsComparison) co_return result;
    const int64_t flushes = flushes_;
    STELE_CO_TRY(const EntryOnDisk stored,
                 co_await FindOnDisk(ledger, entry, body.size() + kRecordHeadBytes, {}));
    std::optional<PutResult> compared;
    if (!stored.location.IsAbsent()) compared = Compare(stored.body.view(), body);
    // The world may have changed while we waited.
    record = table_.Find(ledger);
    if (record == nullptr || flushes != flushes_) continue;
    if (compared == PutResult::kConflict) co_return *compared;
    if (compared == PutResult::kSameEntryExists && logs_->IsOurs(stored.location.log())) {
      co_return *compared;
    }
    co_return PutIn(record, entry, body, OnDisk::kNo);
  }
}

PutResult Storage::PutIn(LedgerRecord* record, EntryId entry, const Buffer& body, OnDisk on_disk) {
  LedgerState& state = record->state;
  STELE_CHECK(body.size() >= kRecordIdsBytes && entry.value() >= 0);
  STELE_CHECK_OP(LoadBigEndian<int64_t>(body.data()), ==, state.ledger.value());
  STELE_CHECK_OP(LoadBigEndian<int64_t>(body.data() + 8), ==, entry.value());
  STELE_CHECK_OP(entry.value(), <=, kEntryIdMax);
  Memtable::Ledger* entries = ActiveEntries(record);
  if (entry <= state.last_entry) {
    if (const std::optional<Buffer> stored = FindInMemory(record, entry); stored.has_value()) {
      return Compare(stored->view(), body);
    }
    if (on_disk == OnDisk::kAskWhenPossible && entry <= record->last_on_disk) {
      return PutResult::kNeedsComparison;
    }
  }
  const uint64_t bytes = MemtableBytes();
  if (bytes > 0 && bytes + Memtable::CostOf(body.size()) > 2 * memtable_max_bytes_) {
    put_was_refused_ = true;
    AskForFlush();
    return PutResult::kFull;
  }
  if (entries == nullptr) {
    entries = record->active = active_->entries.FindOrMake(state.ledger);
  }
  active_->entries.Add(entries, entry, body.view());
  state.last_entry = std::max(state.last_entry, entry);
  RaiseLac(record, LacOf(body.view()));
  if (active_->entries.bytes() >= memtable_max_bytes_) AskForFlush();
  return PutResult::kStored;
}

std::optional<Buffer> Storage::FindInMemory(LedgerRecord* record, EntryId entry) {
  if (const Memtable::Ledger* entries = ActiveEntries(record); entries != nullptr) {
    const Memtable::Entry* found = entries->Find(entry);
    if (found != nullptr) return active_->entries.BodyOf(*found);
  }
  if (older_ == nullptr) return std::nullopt;
  const Memtable::Ledger* entries = older_->entries.Find(record->state.ledger);
  const Memtable::Entry* found = entries == nullptr ? nullptr : entries->Find(entry);
  if (found == nullptr) return std::nullopt;
  return older_->entries.BodyOf(*found);
}

// ---- Reading

Task<absl::StatusOr<Buffer>> Storage::Read(LedgerId ledger, EntryId entry) {
  if (entry.IsNone()) co_return MakeError(ErrorCode::kInvalidArgument, "entry id below 0");
  STELE_CO_TRY(LedgerRecord * record, co_await FindOrLoad(ledger));
  const ReadAhead ahead = Observe(record, entry, 1);
  co_return co_await ReadWith(ledger, entry, ahead);
}

Task<absl::StatusOr<std::vector<Buffer>>> Storage::ReadRun(LedgerId ledger, EntryId first,
                                                           RunLimits limits) {
  if (first.IsNone()) co_return MakeError(ErrorCode::kInvalidArgument, "entry id below 0");
  STELE_CO_TRY(LedgerRecord * record, co_await FindOrLoad(ledger));
  ReadAhead ahead = Observe(record, first, limits.count_max);
  std::vector<Buffer> bodies;
  size_t used = 0;
  for (EntryId entry = first; ahead.count_max > 0; entry = entry.Next(), --ahead.count_max) {
    std::optional<Buffer> body = FindWithoutDisk(ledger, entry);
    if (!body.has_value()) {
      absl::StatusOr<Buffer> read = co_await ReadWith(ledger, entry, ahead);
      if (!read.ok() && bodies.empty()) co_return read.status();
      if (!read.ok()) break;
      body = *std::move(read);
    }
    used += limits.entry_overhead_bytes + body->size();
    if (used > limits.size_max_bytes && !bodies.empty()) break;
    bodies.push_back(*std::move(body));
  }
  co_return bodies;
}

// Entries of a striped ledger come with gaps, and requests that are under way together may overtake
// each other by a little.
Storage::ReadAhead Storage::Observe(LedgerRecord* record, EntryId entry, int64_t count_max) {
  const int64_t gap = entry.value() - record->read_end.value();
  const bool is_in_order = entry.value() > 0 && gap >= 0 && gap <= kReadGapMax;
  record->read_end =
      EntryId(std::min(entry.value(), kEntryIdMax) + std::min(count_max, kEntryIdMax));
  return {.count_max = count_max, .is_in_order = is_in_order};
}

// Null proves nothing.
std::optional<Buffer> Storage::FindWithoutDisk(LedgerId ledger, EntryId entry) {
  LedgerRecord* record = table_.Find(ledger);
  if (record == nullptr) return std::nullopt;
  if (std::optional<Buffer> body = FindInMemory(record, entry); body.has_value()) return body;
  if (entry > record->last_on_disk) return std::nullopt;
  const auto location = index_->FindCached(ledger, entry);
  if (!location.has_value() || !location->ok() || (*location)->IsAbsent()) return std::nullopt;
  return logs_->FindInExtents(**location, ledger, entry);
}

Task<absl::StatusOr<Buffer>> Storage::ReadWith(LedgerId ledger, EntryId entry, ReadAhead ahead) {
  STELE_CO_TRY(LedgerRecord * record, co_await FindOrLoad(ledger));
  std::optional<Buffer> body = FindInMemory(record, entry);
  if (body.has_value()) co_return *std::move(body);
  const bool uncertain = record->state.uncertain;
  if (entry > record->last_on_disk) {
    if (uncertain) co_return Unknown(ledger);
    co_return MakeError(ErrorCode::kNoSuchEntry, StrCat("entry ", entry.value()));
  }
  co_return co_await ReadFromDisk(ledger, entry, uncertain, record->record_size_guess_bytes, ahead);
}

Task<absl::StatusOr<Buffer>> Storage::ReadFromDisk(LedgerId ledger, EntryId entry, bool uncertain,
                                                   size_t size_guess, ReadAhead ahead) {
  STELE_CO_TRY(EntryOnDisk found, co_await FindOnDisk(ledger, entry, size_guess, ahead));
  if (found.location.IsAbsent()) {
    if (uncertain) co_return Unknown(ledger);
    co_return MakeError(ErrorCode::kNoSuchEntry, StrCat("entry ", entry.value()));
  }
  if (LedgerRecord* record = table_.Find(ledger); record != nullptr) {
    record->record_size_guess_bytes = static_cast<uint32_t>(std::clamp(
        found.body.size() + kRecordSizeFieldBytes, size_t{4096}, kRecordSizeGuessMaxBytes));
  }
  co_return std::move(found.body);
}

// How far its log is to be read with the entry; 0: not at all.
uint64_t Storage::RunEnd(LedgerId ledger, EntryId entry, ReadAhead ahead) {
  const int64_t count = ahead.is_in_order ? kLocationsPerPage : ahead.count_max;
  return count > 1 ? index_->RunEnd(ledger, entry, count, kLogExtentMaxBytes) : 0;
}

// A compaction may move the entry, and remove the log it was in, between the two steps.
Task<absl::StatusOr<EntryOnDisk>> Storage::FindOnDisk(LedgerId ledger, EntryId entry,
                                                      size_t size_guess, ReadAhead ahead) {
  STELE_CO_TRY(EntryLocation location, co_await index_->Find(ledger, entry));
  for (;;) {
    if (location.IsAbsent()) co_return EntryOnDisk{};
    // Also the last entry of a run, from which no other goes on.
    std::optional<Buffer> here = logs_->FindInExtents(location, ledger, entry);
    if (here.has_value()) co_return EntryOnDisk{location, *std::move(here)};
    const uint64_t run_end = RunEnd(ledger, entry, ahead);
    absl::StatusOr<Buffer> body = Buffer();
    if (run_end > 0) {
      body = co_await logs_->ReadOfRun(location, ledger, entry, run_end);
    } else {
      body = co_await logs_->Read(location, ledger, entry, size_guess);
    }
    if (body.ok()) co_return EntryOnDisk{location, *std::move(body)};
    // Its entry log may have gone with it.
    if (!Exists(ledger)) co_return NoSuchLedger(ledger);
    STELE_CO_TRY(const EntryLocation now, co_await index_->Find(ledger, entry));
    if (now == location) co_return body.status();
    location = now;
  }
}

Task<absl::StatusOr<Buffer>> Storage::ReadLast(LedgerId ledger) {
  STELE_CO_TRY(const LedgerRecord* record, co_await FindOrLoad(ledger));
  if (record->state.uncertain) co_return Unknown(ledger);
  const EntryId last = record->state.last_entry;
  if (last.IsNone()) co_return MakeError(ErrorCode::kNoSuchEntry, "the ledger has no entries");
  co_return co_await Read(ledger, last);
}

Task<absl::StatusOr<EntryId>> Storage::ReadLac(LedgerId ledger) {
  STELE_CO_TRY(LedgerRecord * record, co_await FindOrLoad(ledger));
  if (record->state.uncertain) co_return Unknown(ledger);
  if (!record->lac_is_known) {
    const EntryId last = record->last_on_disk;
    STELE_CO_TRY(const Buffer body, co_await Read(ledger, last));
    record = table_.Find(ledger);
    if (record == nullptr) co_return LacOf(body.view());
    record->lac_is_known = true;
    RaiseLac(record, LacOf(body.view()));
  }
  co_return record->state.lac;
}

Task<absl::StatusOr<std::vector<EntryId>>> Storage::ListEntries(LedgerId ledger) {
  STELE_CO_TRY(const LedgerRecord* record, co_await FindOrLoad(ledger));
  if (record->state.uncertain) co_return Unknown(ledger);
  // Memory first: what leaves it while we wait is on the disk by then, or was there before.
  std::vector<EntryId> in_memory;
  for (Generation* generation : {older_.get(), active_.get()}) {
    if (generation == nullptr) continue;
    const Memtable::Ledger* entries = generation->entries.Find(ledger);
    if (entries == nullptr) continue;
    const auto middle = static_cast<std::ptrdiff_t>(in_memory.size());
    for (const Memtable::Entry& entry : entries->Sorted()) in_memory.emplace_back(entry.id);
    std::inplace_merge(in_memory.begin(), in_memory.begin() + middle, in_memory.end());
  }
  if (!index_->Contains(ledger)) co_return in_memory;
  STELE_CO_TRY(const std::vector<EntryId> on_disk, co_await index_->List(ledger));
  std::vector<EntryId> all;
  all.reserve(in_memory.size() + on_disk.size());
  std::set_union(in_memory.begin(), in_memory.end(), on_disk.begin(), on_disk.end(),
                 std::back_inserter(all));
  co_return all;
}

// ---- Flushing and deleting

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
  const auto header_of = [this](LedgerId ledger) { return HeaderOf(ledger); };
  absl::Status flushed =
      co_await FlushGeneration({env_, &writer_, index_.get(), &locks_}, older_.get(), header_of);
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
  const LedgerLocks::Guard guard = co_await locks_.Acquire(ledger);
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
  co_return co_await CompactLog({.env = env_,
                                 .logs = logs_.get(),
                                 .index = index_.get(),
                                 .locks = &locks_,
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
  co_return co_await RebuildLocations(
      {.env = env_, .logs = logs_.get(), .index = index_.get(), .locks = &locks_, .pace = pace},
      std::move(searched), on_found);
}

Task<absl::Status> Storage::CheckIndex(LedgerId ledger, BackgroundPace* pace) {
  STELE_CO_TRY_OK((co_await FindOrLoad(ledger)).status());
  if (!index_->Contains(ledger)) co_return absl::OkStatus();
  co_return co_await index_->LookForLosses(ledger, pace);
}

void Storage::SetUncertain(LedgerId ledger) {
  LedgerRecord* record = Resident(ledger);
  record->state.uncertain = true;
  SetFenced(ledger);
}

StorageStats Storage::Stats() const {
  return {.memtable_bytes = MemtableBytes(),
          .ledgers = static_cast<int64_t>(index_->ledger_count() + unwritten_ledgers_.size()),
          .resident_ledgers = static_cast<int64_t>(table_.size()),
          .entry_logs = static_cast<int64_t>(logs_->count()),
          .flushes = flushes_,
          .failed_flushes = failed_flushes_,
          .lost_indexes = lost_indexes_};
}

Task<absl::Status> Storage::Close() {
  STELE_CO_TRY_OK(co_await Flush());
  STELE_CO_TRY_OK(co_await writer_.Close());
  co_return co_await compaction_writer_.Close();
}

absl::Status CheckOptions(const StorageOptions& options) {
  const auto config_error = [](std::string_view what) {
    return MakeError(ErrorCode::kConfig, what);
  };
  if (options.ledger_directories.empty()) return config_error("no ledger directory");
  if (options.index_directories.size() > kIndexDirectoriesMax ||
      options.ledger_directories.size() > kIndexDirectoriesMax) {
    return config_error(StrCat("more than ", kIndexDirectoriesMax, " directories"));
  }
  if (options.entry_log_size_max_bytes <= kEntryLogDataOffset ||
      options.entry_log_size_max_bytes > kEntryLogSizeLimitBytes) {
    return config_error(StrCat("logSizeLimit ", options.entry_log_size_max_bytes));
  }
  if (options.memtable_max_bytes == 0) return config_error("a memtable of 0 bytes");
  if (!(options.disk_usage_threshold > 0 && options.disk_usage_threshold <= 1)) {
    return config_error("diskUsageThreshold is not in (0, 1]");
  }
  return absl::OkStatus();
}

}  // namespace

Task<absl::StatusOr<std::unique_ptr<LedgerStorage>>> OpenLedgerStorage(Env env,
                                                                       StorageOptions options) {
  STELE_CO_TRY_OK(CheckOptions(options));
  if (options.index_directories.empty()) options.index_directories = options.ledger_directories;
  const auto usage_max_ppm = static_cast<uint32_t>(options.disk_usage_threshold * 1'000'000);
  STELE_CO_TRY(auto logs, co_await EntryLogs::Open(
                              env, {.directories = options.ledger_directories,
                                    .log_size_max_bytes = options.entry_log_size_max_bytes,
                                    .entry_size_max_bytes = options.entry_size_max_bytes,
                                    .disk_usage_max_ppm = usage_max_ppm,
                                    .open_files_max = options.open_entry_logs_max}));
  STELE_CO_TRY(auto index,
               co_await IndexStore::Open(
                   env, {.directories = options.index_directories,
                         .disk_usage_max_ppm = usage_max_ppm,
                         .open_files_max = options.open_index_files_max,
                         .location_cache_max_bytes = options.location_cache_max_bytes}));
  auto storage = std::make_unique<Storage>(env, options, std::move(logs), std::move(index));
  STELE_CO_TRY_OK(co_await storage->FindStrays(options.is_deleted));
  co_return storage;
}

}  // namespace stele::bookie
