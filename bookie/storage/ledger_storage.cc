#include "bookie/storage/ledger_storage.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "bookie/storage/index_enumeration.h"
#include "bookie/storage/index_open.h"
#include "bookie/storage/ledger_storage_impl.h"
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

// Of an explicit-LAC packet, which has 16 bytes or more.
EntryId LacOfPacket(std::string_view packet) {
  return EntryId(LoadBigEndian<int64_t>(packet.data() + sizeof(int64_t)));
}

}  // namespace

absl::Status UnknownInLedger(LedgerId ledger) {
  STELE_SOMETIMES(kUncertainAnswer, true);
  return MakeError(ErrorCode::kUnknownLedgerState,
                   StrCat("a part of ledger ", ledger.value(), " was lost"));
}

EntryId LacOf(std::string_view body) {
  if (body.size() < wire::kEntryIdsSize) return kNoEntry;
  return EntryId(LoadBigEndian<int64_t>(body.data() + kLacOffset));
}

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
  if (strays_.contains(ledger)) co_return UnknownInLedger(ledger);
  if (!index_->Contains(ledger)) co_return NoSuchLedger(ledger);
  const LedgerLocks::Guard guard = co_await locks_->Acquire(ledger);
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
  if (!loaded.last_entry_is_certain) record->state.uncertain = true;
  co_return record;
}

// A part of the index file was lost. That is written into its header with the next flush.
void Storage::OnLoss(LedgerRecord* record) {
  if (record->state.ledger == watched_) watch_saw_loss_ = true;
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

StorageStats Storage::Stats() const {
  const IndexStats index = index_->Stats();
  return {.memtable_bytes = MemtableBytes(),
          .ledgers = static_cast<int64_t>(index_->ledger_count() + unwritten_ledgers_.size()),
          .resident_ledgers = static_cast<int64_t>(table_.size()),
          .entry_logs = static_cast<int64_t>(logs_->count()),
          .flushes = flushes_,
          .failed_flushes = failed_flushes_,
          .lost_indexes = lost_indexes_,
          .index_runs = index.runs,
          .failed_index_merges = index.failed_merges};
}

Task<absl::Status> Storage::Close() {
  STELE_CO_TRY_OK(co_await Flush());
  STELE_CO_TRY_OK(co_await writer_.Close());
  co_return co_await compaction_writer_.Close();
}

namespace {

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
  auto locks = std::make_unique<LedgerLocks>(env.executor);
  STELE_CO_TRY(auto index, co_await OpenIndex(env,
                                              {.format = options.index_format,
                                               .on_converted = options.on_index_converted,
                                               .on_ledgers_lost = options.on_ledgers_lost,
                                               .directories = options.index_directories,
                                               .disk_usage_max_ppm = usage_max_ppm,
                                               .open_files_max = options.open_index_files_max,
                                               .cache_max_bytes = options.location_cache_max_bytes},
                                              locks.get()));
  auto storage =
      std::make_unique<Storage>(env, options, std::move(logs), std::move(locks), std::move(index));
  STELE_CO_TRY_OK(co_await storage->FindStrays(options.is_deleted));
  co_return storage;
}

}  // namespace stele::bookie
