#include "bookie/journal_recovery.h"

#include <cstring>
#include <optional>
#include <utility>

#include "bookie/journal/java_backups.h"
#include "bookie/journal/journal_format.h"
#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/try.h"

namespace stele::bookie {

Task<absl::StatusOr<JournalMark>> JournalRecovery::Replay(std::string directory, JournalMark mark) {
  ReplayOptions options{.directory = std::move(directory),
                        .mark = mark,
                        .record_size_max_bytes = record_size_max_bytes_};
  STELE_CO_TRY(const ReplayReport report,
               co_await ReplayJournal(env_, std::move(options),
                                      [this](Buffer record) { return Apply(std::move(record)); }));
  report_.files += report.files;
  report_.records += report.records;
  report_.bytes += report.bytes;
  report_.torn_tails += report.torn_tails;
  report_.notes.insert(report_.notes.end(), report.notes.begin(), report.notes.end());
  co_return report.end;
}

Task<absl::Status> JournalRecovery::RecoverFences(std::string directory, JournalMark mark) {
  ReplayOptions options{.directory = std::move(directory),
                        .mark = mark,
                        .record_size_max_bytes = record_size_max_bytes_};
  STELE_CO_TRY(const int64_t records,
               co_await ReadJavaBackups(env_, std::move(options), [this](Buffer record) {
                 return ApplyBackup(std::move(record));
               }));
  report_.backup_records += records;
  co_return absl::OkStatus();
}

Task<absl::Status> JournalRecovery::ApplyBackup(Buffer body) {
  const absl::StatusOr<JournalRecord> record = ParseJournalRecord(body.view());
  const bool grows = record.ok() && (record->kind == JournalRecord::Kind::kFence ||
                                     record->kind == JournalRecord::Kind::kExplicitLac);
  if (!grows || !record->ledger.IsValid()) co_return absl::OkStatus();
  if (storage_->FindLoaded(record->ledger) == nullptr) {
    // A ledger that storage does not know was deleted since.
    const absl::Status loaded = (co_await storage_->Load(record->ledger)).status();
    if (CodeOf(loaded) == ErrorCode::kNoSuchLedger) co_return absl::OkStatus();
    // Its index was lost: it will count as fenced anyway.
    if (CodeOf(loaded) == ErrorCode::kUnknownLedgerState) co_return absl::OkStatus();
    STELE_CO_TRY_OK(loaded);
  }
  co_return co_await Apply(std::move(body));
}

Task<absl::StatusOr<bool>> JournalRecovery::Open(LedgerId ledger) {
  if (storage_->FindLoaded(ledger) != nullptr) co_return true;
  const absl::Status loaded = (co_await storage_->Load(ledger)).status();
  if (loaded.ok()) co_return true;
  const bool is_stray = CodeOf(loaded) == ErrorCode::kUnknownLedgerState;
  if (CodeOf(loaded) != ErrorCode::kNoSuchLedger && !is_stray) co_return loaded;
  const auto key = keys_.find(ledger);
  if (key == keys_.end()) {
    if (!is_stray && !ledgers_lost_) co_return false;
    // Its index was lost, and with it the key: what the journal has of it still counts.
    storage_->CreateLedger(ledger, std::nullopt);
    co_return true;
  }
  storage_->CreateLedger(ledger, key->second);
  co_return true;
}

Task<absl::Status> JournalRecovery::Apply(Buffer body) {
  STELE_CO_TRY(const JournalRecord record, ParseJournalRecord(body.view()));
  if (!record.ledger.IsValid() || record.kind == JournalRecord::Kind::kUnknown ||
      tombstones_->Contains(record.ledger)) {
    ++report_.skipped_records;
    co_return absl::OkStatus();
  }
  if (record.kind == JournalRecord::Kind::kMasterKey &&
      record.content.size() == wire::kMasterKeySize) {
    std::memcpy(keys_[record.ledger].data(), record.content.data(), wire::kMasterKeySize);
  }
  STELE_CO_TRY(bool known, co_await Open(record.ledger));
  if (!known && record.kind == JournalRecord::Kind::kFence) {
    // Java journals a fence without the key. The fence counts; the key is the first that comes.
    storage_->CreateLedger(record.ledger, std::nullopt);
    known = true;
  }
  if (!known) {
    ++report_.skipped_records;  // no key anywhere: the ledger was deleted before the journal was
    co_return absl::OkStatus();
  }
  STELE_CHECK(storage_->FindLoaded(record.ledger) != nullptr);
  switch (record.kind) {
    case JournalRecord::Kind::kMasterKey:
      // Also when storage has it: what a killed process wrote may never have been synced. A key
      // that differs changes nothing: the first one counts.
      if (keys_.contains(record.ledger)) {
        static_cast<void>(storage_->SetMasterKey(record.ledger, keys_[record.ledger]));
      }
      break;
    case JournalRecord::Kind::kFence: storage_->SetFenced(record.ledger); break;
    case JournalRecord::Kind::kExplicitLac: {
      const EntryId lac(LoadBigEndian<int64_t>(record.content.data() + sizeof(int64_t)));
      storage_->SetExplicitLac(record.ledger, lac, Buffer::CopyOf(record.content));
      break;
    }
    case JournalRecord::Kind::kEntry:
      co_return co_await ApplyEntry(record.ledger, record.entry, std::move(body));
    case JournalRecord::Kind::kUnknown: break;
  }
  co_return absl::OkStatus();
}

Task<absl::Status> JournalRecovery::ApplyEntry(LedgerId ledger, EntryId entry, Buffer body) {
  if (entry.value() > kEntryIdMax) {
    co_return MakeError(ErrorCode::kCorruptData, "a journal record has an impossible entry id");
  }
  PutResult result = storage_->PutReplayed(ledger, entry, body);
  STELE_SOMETIMES(kReplayMemoryFull, result == PutResult::kFull);
  if (result == PutResult::kFull) {
    STELE_CO_TRY_OK(co_await flush_());
    // The flush may have let go of the state; it is on disk now.
    STELE_CO_TRY_OK((co_await storage_->Load(ledger)).status());
    result = storage_->PutReplayed(ledger, entry, std::move(body));
    STELE_CHECK(result != PutResult::kFull);
  }
  co_return absl::OkStatus();
}

}  // namespace stele::bookie
