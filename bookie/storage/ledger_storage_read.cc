// LedgerStorage, reading: memory first, then the index, then the entry logs.
#include <algorithm>
#include <iterator>

#include "bookie/storage/ledger_storage_impl.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr size_t kRecordSizeGuessMaxBytes = 64 << 10;
// Who asks for an entry at most so far behind the last one reads in order.
constexpr int64_t kReadGapMax = 16;
// Whoever reads in order gets so many entries read ahead, at most.
constexpr int64_t kReadAheadEntriesMax = 512;

}  // namespace

Task<absl::StatusOr<Buffer>> Storage::Read(LedgerId ledger, EntryId entry) {
  if (entry.IsNone()) co_return MakeError(ErrorCode::kInvalidArgument, "entry id below 0");
  STELE_CO_TRY(LedgerRecord * record, co_await FindOrLoad(ledger));
  const ReadAhead ahead = Observe(record, entry, 1);
  if (auto known = AnswerFromMemory(record, entry); known.has_value()) co_return *std::move(known);
  co_return co_await ReadFromDisk(ledger, entry, record->state.uncertain,
                                  record->record_size_guess_bytes, ahead);
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
      absl::StatusOr<Buffer> read = co_await ReadNext(ledger, entry, ahead);
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
  if (entry > record->last_on_disk || IsDamaged(ledger, entry)) return std::nullopt;
  const auto location = index_->FindCached(ledger, entry);
  if (!location.has_value() || !location->ok() || (*location)->IsAbsent()) return std::nullopt;
  return logs_->FindInExtents(**location, ledger, entry);
}

Task<absl::StatusOr<Buffer>> Storage::ReadNext(LedgerId ledger, EntryId entry, ReadAhead ahead) {
  STELE_CO_TRY(LedgerRecord * record, co_await FindOrLoad(ledger));
  if (auto known = AnswerFromMemory(record, entry); known.has_value()) co_return *std::move(known);
  co_return co_await ReadFromDisk(ledger, entry, record->state.uncertain,
                                  record->record_size_guess_bytes, ahead);
}

// nullopt: the disk may have it.
std::optional<absl::StatusOr<Buffer>> Storage::AnswerFromMemory(LedgerRecord* record,
                                                                EntryId entry) {
  std::optional<Buffer> body = FindInMemory(record, entry);
  if (body.has_value()) return *std::move(body);
  if (entry <= record->last_on_disk) return std::nullopt;
  if (record->state.uncertain) return UnknownInLedger(record->state.ledger);
  return MakeError(ErrorCode::kNoSuchEntry, StrCat("entry ", entry.value()));
}

Task<absl::StatusOr<Buffer>> Storage::ReadFromDisk(LedgerId ledger, EntryId entry, bool uncertain,
                                                   size_t size_guess, ReadAhead ahead) {
  STELE_CO_TRY(EntryOnDisk found, co_await FindOnDisk(ledger, entry, size_guess, ahead));
  if (found.location.IsAbsent()) {
    if (uncertain) co_return UnknownInLedger(ledger);
    co_return MakeError(ErrorCode::kNoSuchEntry, StrCat("entry ", entry.value()));
  }
  if (IsDamaged(ledger, entry)) {
    co_return MakeError(ErrorCode::kCorruptData, StrCat("entry ", entry.value(), " is damaged"));
  }
  if (LedgerRecord* record = table_.Find(ledger); record != nullptr) {
    record->record_size_guess_bytes = static_cast<uint32_t>(std::clamp(
        found.body.size() + kRecordSizeFieldBytes, size_t{4096}, kRecordSizeGuessMaxBytes));
  }
  co_return std::move(found.body);
}

// How far its log is to be read with the entry; 0: not at all.
uint64_t Storage::RunEnd(LedgerId ledger, EntryId entry, ReadAhead ahead) {
  const int64_t count = ahead.is_in_order ? kReadAheadEntriesMax : ahead.count_max;
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
    STELE_SOMETIMES(kReadMeetsCompaction, true);
    location = now;
  }
}

Task<absl::StatusOr<Buffer>> Storage::ReadLast(LedgerId ledger) {
  STELE_CO_TRY(const LedgerRecord* record, co_await FindOrLoad(ledger));
  if (record->state.uncertain) co_return UnknownInLedger(ledger);
  const EntryId last = record->state.last_entry;
  if (last.IsNone()) co_return MakeError(ErrorCode::kNoSuchEntry, "the ledger has no entries");
  co_return co_await Read(ledger, last);
}

Task<absl::StatusOr<EntryId>> Storage::ReadLac(LedgerId ledger) {
  STELE_CO_TRY(LedgerRecord * record, co_await FindOrLoad(ledger));
  if (record->state.uncertain) co_return UnknownInLedger(ledger);
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
  if (record->state.uncertain) co_return UnknownInLedger(ledger);
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

}  // namespace stele::bookie
