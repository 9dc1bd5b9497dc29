#include "autorecovery/restart_gate.h"

#include <algorithm>

#include "common/quorum/coverage.h"
#include "common/quorum/write_set.h"

namespace stele::autorecovery {

std::string_view LabelOf(RefusalKind kind) {
  switch (kind) {
    case RefusalKind::kUnreadable: return "G1";
    case RefusalKind::kUnrecoverable: return "G2";
    case RefusalKind::kTooFewCopies: return "G3";
    case RefusalKind::kTooFewWritable: return "G4";
    case RefusalKind::kUnderReplicated: return "G5";
  }
  return "";
}

std::string_view ReasonOf(RefusalKind kind) {
  switch (kind) {
    case RefusalKind::kUnreadable: return "an entry would have no copy that is up";
    case RefusalKind::kUnrecoverable: return "nobody could tell where an open ledger ends";
    case RefusalKind::kTooFewCopies: return "one more failure would make entries unreadable";
    case RefusalKind::kTooFewWritable: return "writers would find too few bookies";
    case RefusalKind::kUnderReplicated: return "copies are missing already";
  }
  return "";
}

std::set<RefusalKind> RefusalsFor(const metadata::LedgerMetadata& metadata,
                                  const std::set<BookieId>& away, const RestartRules& rules) {
  const quorum::Replication& replication = metadata.replication();
  const int copies_min = std::min(rules.copies_min, replication.write_quorum_size);
  std::set<RefusalKind> refusals;
  const auto& fragments = metadata.fragments();
  for (size_t i = 0; i < fragments.size(); ++i) {
    const bool is_last = i + 1 == fragments.size();
    const bool is_open = is_last && !metadata.IsClosed();
    const EntryId first = fragments[i].first_entry;
    // Whoever writes an open end may use any of its write sets next.
    EntryId last(first.value() + replication.ensemble_size - 1);
    if (!is_last) last = std::min(last, fragments[i + 1].first_entry.Previous());
    if (metadata.IsClosed()) last = std::min(last, metadata.last_entry());
    for (EntryId entry = first; entry <= last; entry = entry.Next()) {
      const quorum::WriteSet write_set(entry, replication);
      int alive = 0;
      for (int offset = 0; offset < write_set.size(); ++offset) {
        const auto index = static_cast<size_t>(write_set[offset]);
        if (!away.contains(fragments[i].ensemble[index])) ++alive;
      }
      // Where nobody is missing nothing changes.
      if (alive == write_set.size()) continue;
      if (alive == 0) refusals.insert(RefusalKind::kUnreadable);
      if (is_open && alive < quorum::NegativeQuorumSize(replication)) {
        refusals.insert(RefusalKind::kUnrecoverable);
      }
      if (alive < copies_min) refusals.insert(RefusalKind::kTooFewCopies);
    }
  }
  return refusals;
}

}  // namespace stele::autorecovery
