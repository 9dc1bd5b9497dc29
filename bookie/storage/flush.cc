#include "bookie/storage/flush.h"

#include <utility>

#include "common/base/sometimes.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

// Index files written at a time: their syncs share the file system's commits.
constexpr size_t kIndexWritesAtATime = 16;

Task<absl::StatusOr<std::vector<LedgerFlush>>> WriteEntries(EntryLogWriter* writer,
                                                            Memtable* memtable) {
  std::vector<LedgerFlush> plan;
  for (const LedgerId ledger : memtable->SortedLedgers()) {
    LedgerFlush flush{.ledger = ledger, .entries = memtable->Find(ledger)};
    if (flush.entries == nullptr) continue;  // deleted since this loop began
    // A copy: a deletion empties the ledger while we wait. The bytes stay.
    const std::vector<Memtable::Entry> entries = flush.entries->Sorted();
    flush.ids.reserve(entries.size());
    flush.locations.reserve(entries.size());
    for (const Memtable::Entry& entry : entries) {
      if (!writer->HasRoom(entry.size)) STELE_CO_TRY_OK(co_await writer->MakeRoom(entry.size));
      flush.ids.push_back(entry.id);
      flush.locations.push_back(writer->Add(ledger, memtable->ViewOf(entry)).packed());
    }
    plan.push_back(std::move(flush));
  }
  STELE_CO_TRY_OK(co_await writer->Sync());
  co_return plan;
}

// Tries one directory after the other: a full or broken disk must not stop the others.
Task<absl::StatusOr<std::vector<LedgerFlush>>> WriteEntriesSomewhere(EntryLogWriter* writer,
                                                                     Memtable* memtable) {
  writer->Begin(memtable->bytes());
  for (;;) {
    absl::StatusOr<std::vector<LedgerFlush>> plan = co_await WriteEntries(writer, memtable);
    if (plan.ok()) co_return plan;
    if (!co_await writer->Abandon()) co_return plan;
  }
}

void AddLedgersWithoutEntries(Generation* generation, std::vector<LedgerFlush>* plan) {
  const size_t with_entries = plan->size();
  size_t next = 0;
  for (const LedgerId ledger : generation->dirty) {
    while (next < with_entries && (*plan)[next].ledger < ledger) ++next;
    if (next < with_entries && (*plan)[next].ledger == ledger) continue;
    plan->push_back({.ledger = ledger});
  }
}

class FlushUpdates final : public IndexUpdates {
 public:
  FlushUpdates(const IndexStore* index, const Generation* generation, HeaderOf header_of)
      : index_(index), generation_(generation), header_of_(header_of) {}

  size_t count() const override { return plan().size(); }
  LedgerId ledger(size_t i) const override { return plan()[i].ledger; }

  Task<absl::StatusOr<std::optional<IndexUpdate>>> Prepare(size_t i) override {
    const LedgerFlush& flush = plan()[i];
    const LedgerId ledger = flush.ledger;
    // Only now it is certain that no deletion comes between.
    const bool has_entries = flush.entries != nullptr && !flush.entries->dropped();
    const bool is_dirty = generation_->dirty.contains(ledger);
    STELE_SOMETIMES(kFlushOfDeletedLedger, flush.entries != nullptr && flush.entries->dropped());
    if (!has_entries && !is_dirty) co_return std::nullopt;
    IndexUpdate update{.ledger = ledger};
    if (is_dirty || !index_->Contains(ledger)) update.header = header_of_(ledger);
    if (has_entries) {
      update.entries = flush.ids;
      update.locations = flush.locations;
    }
    co_return update;
  }

 private:
  const std::vector<LedgerFlush>& plan() const { return *generation_->plan; }

  const IndexStore* index_;
  const Generation* generation_;
  HeaderOf header_of_;
};

}  // namespace

Task<absl::Status> FlushGeneration(FlushParts parts, Generation* generation, HeaderOf header_of) {
  if (!generation->plan.has_value()) {
    std::vector<LedgerFlush> plan;
    if (!generation->entries.empty()) {
      STELE_CO_TRY(plan, co_await WriteEntriesSomewhere(parts.writer, &generation->entries));
    }
    AddLedgersWithoutEntries(generation, &plan);
    generation->plan = std::move(plan);
  }
  FlushUpdates updates(parts.index, generation, header_of);
  STELE_CO_TRY_OK(co_await parts.index->Write(&updates, kIndexWritesAtATime));
  co_return co_await parts.index->SyncNames();
}

}  // namespace stele::bookie
