#include "bookie/storage/location_updates.h"

#include "common/base/errors.h"
#include "common/base/sometimes.h"

namespace stele::bookie {

LocationUpdates::LocationUpdates(IndexStore* index, std::span<const LocationChange> changes)
    : index_(index) {
  for (size_t begin = 0; begin < changes.size();) {
    size_t end = begin + 1;
    while (end < changes.size() && changes[end].ledger == changes[begin].ledger) ++end;
    ledgers_.push_back({.changes = changes.subspan(begin, end - begin)});
    begin = end;
  }
}

Task<absl::StatusOr<std::optional<IndexUpdate>>> LocationUpdates::Prepare(size_t i) {
  Ledger& here = ledgers_[i];
  const LedgerId ledger = this->ledger(i);
  if (!index_->Contains(ledger)) co_return std::nullopt;
  for (const LocationChange& change : here.changes) {
    const absl::StatusOr<EntryLocation> now = co_await index_->Find(ledger, EntryId(change.entry));
    const bool is_lost = CodeOf(now.status()) == ErrorCode::kCorruptData;
    if (!now.ok() && !(is_lost && change.from.IsAbsent())) co_return now.status();
    STELE_SOMETIMES(kCompactionOvertaken, !change.from.IsAbsent() && *now != change.from);
    if (now.ok() && *now != change.from) continue;
    if (!here.entries.empty() && here.entries.back() == change.entry) continue;
    here.entries.push_back(change.entry);
    here.locations.push_back(change.to.packed());
  }
  if (here.entries.empty()) co_return std::nullopt;
  STELE_SOMETIMES(kCompactionMoves, !here.changes.front().from.IsAbsent());
  co_return IndexUpdate{.ledger = ledger,
                        .header = std::nullopt,
                        .entries = here.entries,
                        .locations = here.locations};
}

}  // namespace stele::bookie
