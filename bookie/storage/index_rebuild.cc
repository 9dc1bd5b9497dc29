#include "bookie/storage/index_rebuild.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "bookie/storage/entry_log_reader.h"
#include "bookie/storage/location_updates.h"
#include "bookie/storage/log_ledgers.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/wire/digest.h"
#include "common/wire/entry_packet.h"

namespace stele::bookie {
namespace {

// One after the other: nobody waits for them.
constexpr size_t kIndexWritesAtATime = 1;

// Has the log one of these ledgers, or damage that may hide one?
Task<absl::StatusOr<bool>> MayHave(File* file, uint32_t size_max,
                                   const absl::btree_set<LedgerId>* ledgers) {
  const auto is_one = [ledgers](LedgerId ledger) { return ledgers->contains(ledger); };
  STELE_CO_TRY(const LogLedgers content, co_await ReadLogLedgers(file, size_max, is_one));
  if (!content.complete) co_return true;
  co_return std::any_of(content.ledgers.begin(), content.ledgers.end(),
                        [&](const LedgerBytes& has) { return is_one(has.ledger); });
}

Task<absl::Status> VisitEntriesOf(EntryLogs* logs, EntryLogId log,
                                  const absl::btree_set<LedgerId>* ledgers, VisitEntry visit) {
  STELE_CO_TRY(const std::unique_ptr<File> file, co_await logs->OpenForScan(log));
  const uint32_t size_max = logs->options().entry_size_max_bytes;
  STELE_CO_TRY(const bool may_have_some, co_await MayHave(file.get(), size_max, ledgers));
  if (!may_have_some) co_return absl::OkStatus();
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  EntryLogReader reader(file.get(), size, size_max);
  for (;;) {
    switch (reader.Next()) {
      case EntryLogScanner::Step::kNeedBytes: STELE_CO_TRY_OK(co_await reader.Fill()); break;
      case EntryLogScanner::Step::kCandidate: break;
      case EntryLogScanner::Step::kRecord: {
        const ScannedRecord record = reader.record();
        if (!ledgers->contains(record.ledger)) break;
        STELE_CO_TRY_OK(co_await visit(record.ledger, record.entry));
        break;
      }
      case EntryLogScanner::Step::kEnd: co_return absl::OkStatus();
    }
  }
}

// The locations that the index does not show.
class FoundUpdates final : public LocationUpdates {
 public:
  FoundUpdates(IndexStore* index, std::span<const LocationChange> found, int64_t* written,
               absl::AnyInvocable<void(LedgerId, EntryId)>* on_found)
      : LocationUpdates(index, found), written_(written), on_found_(on_found) {}

  void OnWritten(size_t i) override {
    *written_ += static_cast<int64_t>(entries(i).size());
    (*on_found_)(ledger(i), EntryId(entries(i).back()));
  }

 private:
  int64_t* written_;
  absl::AnyInvocable<void(LedgerId, EntryId)>* on_found_;
};

class Rebuild {
 public:
  Rebuild(RebuildParts parts, absl::btree_set<LedgerId> ledgers,
          absl::AnyInvocable<void(LedgerId, EntryId)> on_found)
      : parts_(parts), ledgers_(std::move(ledgers)), on_found_(std::move(on_found)) {}

  Task<absl::StatusOr<int64_t>> Run();

 private:
  Task<absl::Status> Search(EntryLogId log);
  bool HasKeylessDigest(std::string_view body) const;
  Task<absl::Status> Gather(EntryLogId log, ScannedRecord record);
  Task<absl::Status> WriteFound();

  RebuildParts parts_;
  const absl::btree_set<LedgerId> ledgers_;
  absl::AnyInvocable<void(LedgerId, EntryId)> on_found_;
  const wire::Digester crc32c_{DigestType::kCrc32c};
  const wire::Digester crc32_{DigestType::kCrc32};
  std::vector<LocationChange> found_;
  int64_t written_ = 0;
};

Task<absl::StatusOr<int64_t>> Rebuild::Run() {
  for (const EntryLogId log : parts_.logs->ClosedLogs()) {
    const absl::Status searched = co_await Search(log);
    // A log that was compacted meanwhile has given its records to another, with locations.
    if (CodeOf(searched) == ErrorCode::kNoSuchFile) continue;
    STELE_CO_TRY_OK(searched);
  }
  STELE_CO_TRY_OK(co_await WriteFound());
  co_return written_;
}

Task<absl::Status> Rebuild::Search(EntryLogId log) {
  STELE_CO_TRY(const std::unique_ptr<File> file, co_await parts_.logs->OpenForScan(log));
  const uint32_t size_max = parts_.logs->options().entry_size_max_bytes;
  STELE_CO_TRY(const bool may_have_some, co_await MayHave(file.get(), size_max, &ledgers_));
  if (!may_have_some) co_return absl::OkStatus();
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  EntryLogReader reader(file.get(), size, size_max);
  for (;;) {
    switch (reader.Next()) {
      case EntryLogScanner::Step::kNeedBytes:
        STELE_CO_TRY_OK(co_await parts_.pace->Spend(kScanWindowBytes));
        STELE_CO_TRY_OK(co_await reader.Fill());
        break;
      // Behind damage only the digest tells a record from bytes that look like one.
      case EntryLogScanner::Step::kCandidate: {
        if (!ledgers_.contains(reader.record().ledger)) break;
        STELE_CO_TRY(const Buffer body, co_await reader.ReadBody());
        if (!HasKeylessDigest(body.view())) break;
        reader.Accept();
        STELE_CO_TRY_OK(co_await Gather(log, reader.record()));
        break;
      }
      case EntryLogScanner::Step::kRecord:
        STELE_CO_TRY_OK(co_await Gather(log, reader.record()));
        break;
      case EntryLogScanner::Step::kEnd: co_return absl::OkStatus();
    }
  }
}

bool Rebuild::HasKeylessDigest(std::string_view body) const {
  return wire::DigestMatches(body, crc32c_) || wire::DigestMatches(body, crc32_);
}

Task<absl::Status> Rebuild::Gather(EntryLogId log, ScannedRecord record) {
  if (!ledgers_.contains(record.ledger) || record.entry.value() > kEntryIdMax) {
    co_return absl::OkStatus();
  }
  found_.push_back({.ledger = record.ledger,
                    .entry = record.entry.value(),
                    .to = EntryLocation(log, record.offset)});
  if (found_.size() < kFoundAtATimeMax) co_return absl::OkStatus();
  co_return co_await WriteFound();
}

Task<absl::Status> Rebuild::WriteFound() {
  std::stable_sort(found_.begin(), found_.end(),
                   [](const LocationChange& a, const LocationChange& b) {
                     return std::pair(a.ledger, a.entry) < std::pair(b.ledger, b.entry);
                   });
  FoundUpdates updates(parts_.index, found_, &written_, &on_found_);
  STELE_CO_TRY_OK(co_await parts_.index->Write(&updates, kIndexWritesAtATime));
  found_.clear();
  co_return absl::OkStatus();
}

}  // namespace

Task<absl::StatusOr<int64_t>> RebuildLocations(
    RebuildParts parts, absl::btree_set<LedgerId> ledgers,
    absl::AnyInvocable<void(LedgerId, EntryId)> on_found) {
  Rebuild rebuild(parts, std::move(ledgers), std::move(on_found));
  co_return co_await rebuild.Run();
}

Task<absl::Status> VisitEntries(EntryLogs* logs, absl::btree_set<LedgerId> ledgers,
                                VisitEntry visit) {
  for (const EntryLogId log : logs->ClosedLogs()) {
    STELE_CO_TRY_OK(co_await VisitEntriesOf(logs, log, &ledgers, visit));
  }
  co_return absl::OkStatus();
}

}  // namespace stele::bookie
