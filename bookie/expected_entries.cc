#include "bookie/expected_entries.h"

#include <algorithm>

#include "common/quorum/write_set.h"

namespace stele::bookie {

ExpectedEntries::ExpectedEntries(const metadata::LedgerMetadata* metadata, BookieId bookie)
    : metadata_(metadata) {
  // A recovery puts copies on bookies that it names only afterwards.
  if (metadata->state() == metadata::LedgerState::kInRecovery) are_all_ = false;
  const auto& fragments = metadata->fragments();
  for (size_t i = 0; i < fragments.size(); ++i) {
    const auto& ensemble = fragments[i].ensemble;
    const auto place = std::find(ensemble.begin(), ensemble.end(), bookie);
    if (place == ensemble.end()) continue;
    EntryId last = metadata->last_entry();
    if (i + 1 < fragments.size()) {
      const EntryId end = fragments[i + 1].first_entry.Previous();
      last = metadata->IsClosed() ? std::min(last, end) : end;
    } else if (!metadata->IsClosed()) {
      are_all_ = false;
      continue;
    }
    ranges_.push_back({fragments[i].first_entry, last, static_cast<int>(place - ensemble.begin())});
  }
}

EntryId ExpectedEntries::AtOrAfter(EntryId from) const {
  for (const Range& range : ranges_) {
    EntryId entry = std::max(from, range.first);
    if (entry > range.last) continue;
    // The offset falls by one with each entry, and those below the quorum are copies.
    const quorum::WriteSet set(entry, metadata_->replication());
    const int beyond = set.OffsetOf(range.position) - set.size();
    if (beyond >= 0) entry = EntryId(entry.value() + beyond + 1);
    if (entry <= range.last) return entry;
  }
  return kNoEntry;
}

}  // namespace stele::bookie
