#include "bookie/storage/log_compaction.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "bookie/storage/entry_log_reader.h"
#include "bookie/storage/location_updates.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

// Index files written at a time: their syncs share the file system's commits.
constexpr size_t kIndexWritesAtATime = 16;
// With more records that are there twice, a log is kept.
constexpr size_t kPassedOverMax = 1 << 20;

class Compaction {
 public:
  Compaction(CompactionParts parts, EntryLogId source, FateOf* fate_of, BackgroundPace* pace)
      : parts_(parts), source_(source), fate_of_(fate_of), pace_(pace) {}

  // Copies what is live, with durable locations. True: the index shows everything that matters.
  Task<absl::StatusOr<bool>> MoveLive();
  // After an error: what was copied and has no location yet is garbage.
  Task<void> Abandon();
  // The ledgers that are not known here.
  std::vector<LedgerId> strays() const { return {strays_.begin(), strays_.end()}; }
  const CompactedLog& result() const { return result_; }

 private:
  Task<absl::Status> Visit(EntryLogReader* reader);
  Task<absl::StatusOr<EntryLocation>> LocationNow(ScannedRecord record);
  Task<absl::StatusOr<LedgerFate>> Fate(LedgerId ledger);
  Task<absl::Status> Copy(EntryLogReader* reader, EntryLocation from);
  Task<absl::Status> Confirm(EntryLogReader* reader, EntryLocation elsewhere);
  EntryLocation Here(const ScannedRecord& record) const {
    return EntryLocation(source_, record.offset);
  }
  Task<absl::Status> WriteLocations();

  CompactionParts parts_;
  const EntryLogId source_;
  FateOf* fate_of_;
  BackgroundPace* pace_;
  std::vector<LocationChange> moves_;  // copied, their locations not written yet
  absl::btree_set<LedgerId> strays_;
  // Of those that were met; it only saves asking again.
  absl::flat_hash_map<LedgerId, LedgerFate> fates_;
  std::vector<ScannedRecord> passed_over_;  // of which the log has another, better one
  bool may_hide_more_ = false;
  bool is_writing_ = false;  // the writer has copies that are not durable
  CompactedLog result_;
};

Task<absl::StatusOr<bool>> Compaction::MoveLive() {
  STELE_CO_TRY(const std::unique_ptr<File> file, co_await parts_.logs->OpenForScan(source_));
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  EntryLogReader reader(file.get(), size, parts_.logs->options().entry_size_max_bytes);
  for (bool at_end = false; !at_end;) {
    switch (reader.Next()) {
      case EntryLogScanner::Step::kNeedBytes:
        STELE_CO_TRY_OK(co_await pace_->Spend(kScanWindowBytes));
        STELE_CO_TRY_OK(co_await reader.Fill());
        break;
      case EntryLogScanner::Step::kCandidate: {
        // Behind damage only what the index refers to is a record.
        STELE_CO_TRY(const EntryLocation now, co_await LocationNow(reader.record()));
        if (now != Here(reader.record())) break;
        reader.Accept();
        STELE_CO_TRY_OK(co_await Visit(&reader));
        break;
      }
      case EntryLogScanner::Step::kRecord: STELE_CO_TRY_OK(co_await Visit(&reader)); break;
      case EntryLogScanner::Step::kEnd: at_end = true; break;
    }
  }
  STELE_CO_TRY_OK(co_await WriteLocations());
  for (const ScannedRecord& record : passed_over_) {
    STELE_CO_TRY(const EntryLocation now, co_await LocationNow(record));
    may_hide_more_ = may_hide_more_ || (!now.IsAbsent() && now.log() == source_);
  }
  const bool is_whole = size == 0 || size >= kEntryLogHeaderSize;
  co_return is_whole&& reader.summary().damages == 0 && !may_hide_more_;
}

Task<absl::Status> Compaction::Visit(EntryLogReader* reader) {
  const ScannedRecord record = reader->record();
  STELE_CO_TRY(const LedgerFate fate, co_await Fate(record.ledger));
  if (fate == LedgerFate::kStray) {
    strays_.insert(record.ledger);
    co_return absl::OkStatus();
  }
  STELE_CO_TRY(const EntryLocation now, co_await LocationNow(record));
  if (now.IsAbsent()) {
    may_hide_more_ = may_hide_more_ || fate == LedgerFate::kUncertain;
    co_return absl::OkStatus();
  }
  if (now == Here(record)) {
    STELE_CO_TRY_OK(co_await Copy(reader, now));
  } else {
    STELE_CO_TRY_OK(co_await Confirm(reader, now));
  }
  if (moves_.size() >= kMovesAtATimeMax) STELE_CO_TRY_OK(co_await WriteLocations());
  co_return absl::OkStatus();
}

// The entry lies elsewhere, says the index. A process that was killed, or a sync that failed, may
// have left that location in memory only, with this copy still the one that the disk knows: it is
// written again. And this copy may be the only good one.
Task<absl::Status> Compaction::Confirm(EntryLogReader* reader, EntryLocation elsewhere) {
  const ScannedRecord record = reader->record();
  STELE_CO_TRY_OK(co_await pace_->Spend(kRecordSizeFieldBytes + record.size_bytes));
  const absl::StatusOr<Buffer> other = co_await parts_.logs->Read(
      elsewhere, record.ledger, record.entry, kRecordSizeFieldBytes + record.size_bytes);
  if (!other.ok()) co_return co_await Copy(reader, elsewhere);
  if (elsewhere.log() == source_) {
    // This log has the entry twice, as after an attempt that was broken off, and will be removed:
    // the other record is copied when it is visited, and the location of here must not come back.
    if (passed_over_.size() < kPassedOverMax) {
      passed_over_.push_back(record);
    } else {
      may_hide_more_ = true;
    }
    co_return absl::OkStatus();
  }
  moves_.push_back({record.ledger, record.entry.value(), elsewhere, elsewhere});
  co_return absl::OkStatus();
}

Task<absl::StatusOr<LedgerFate>> Compaction::Fate(LedgerId ledger) {
  if (const auto found = fates_.find(ledger); found != fates_.end()) co_return found->second;
  STELE_CO_TRY(const LedgerFate fate, co_await (*fate_of_)(ledger));
  fates_[ledger] = fate;
  co_return fate;
}

// Where the index has the entry; absent also when the ledger was deleted meanwhile.
Task<absl::StatusOr<EntryLocation>> Compaction::LocationNow(ScannedRecord record) {
  if (record.entry.value() > kEntryIdMax || !parts_.index->Contains(record.ledger)) {
    co_return EntryLocation();
  }
  const absl::StatusOr<EntryLocation> location =
      co_await parts_.index->Find(record.ledger, record.entry);
  if (location.ok()) co_return *location;
  const ErrorCode code = CodeOf(location.status());
  if (code == ErrorCode::kNoSuchLedger) co_return EntryLocation();
  if (code != ErrorCode::kCorruptData) co_return location.status();
  // Bits that are no location: this copy may be the one that is needed.
  may_hide_more_ = true;
  co_return EntryLocation();
}

Task<absl::Status> Compaction::Copy(EntryLogReader* reader, EntryLocation from) {
  const ScannedRecord record = reader->record();
  STELE_CO_TRY(const Buffer body, co_await reader->ReadBody());
  STELE_CO_TRY_OK(co_await pace_->Spend(kRecordSizeFieldBytes + body.size()));
  EntryLogWriter* writer = parts_.writer;
  if (!std::exchange(is_writing_, true)) writer->Begin(parts_.free_min_bytes);
  if (!writer->HasRoom(body.size())) STELE_CO_TRY_OK(co_await writer->MakeRoom(body.size()));
  const EntryLocation to = writer->Add(record.ledger, body.view());
  moves_.push_back({record.ledger, record.entry.value(), from, to});
  ++result_.records;
  result_.bytes += kRecordSizeFieldBytes + body.size();
  co_return absl::OkStatus();
}

Task<absl::Status> Compaction::WriteLocations() {
  if (is_writing_) STELE_CO_TRY_OK(co_await parts_.writer->Sync());
  is_writing_ = false;
  std::sort(moves_.begin(), moves_.end(), [](const LocationChange& a, const LocationChange& b) {
    return std::pair(a.ledger, a.entry) < std::pair(b.ledger, b.entry);
  });
  LocationUpdates updates(parts_.index, moves_);
  STELE_CO_TRY_OK(co_await parts_.index->Write(&updates, kIndexWritesAtATime));
  moves_.clear();
  co_return absl::OkStatus();
}

Task<void> Compaction::Abandon() {
  STELE_SOMETIMES(kCompactionAbandoned, true);
  if (is_writing_) static_cast<void>(co_await parts_.writer->Abandon());
}

}  // namespace

Task<absl::StatusOr<CompactedLog>> CompactLog(CompactionParts parts, EntryLogId source,
                                              FateOf* fate_of, AreLedgersGone* are_gone,
                                              BackgroundPace* pace) {
  Compaction compaction(parts, source, fate_of, pace);
  const absl::StatusOr<bool> index_shows_all = co_await compaction.MoveLive();
  if (!index_shows_all.ok()) {
    co_await compaction.Abandon();
    co_return index_shows_all.status();
  }
  CompactedLog result = compaction.result();
  if (!*index_shows_all) co_return result;
  if (const std::vector<LedgerId> strays = compaction.strays(); !strays.empty()) {
    STELE_CO_TRY(const bool gone, co_await (*are_gone)(strays));
    if (!gone) co_return result;
  }
  STELE_CO_TRY_OK(co_await parts.logs->Remove(source));
  result.removed = true;
  co_return result;
}

}  // namespace stele::bookie
