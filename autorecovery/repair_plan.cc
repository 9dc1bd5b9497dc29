#include "autorecovery/repair_plan.h"

#include <algorithm>
#include <tuple>

#include "common/base/errors.h"
#include "common/base/stable_hash.h"
#include "common/base/strings.h"

namespace stele::autorecovery {
namespace {

using metadata::Fragment;
using metadata::LedgerMetadata;

const Fragment* FindFragment(const LedgerMetadata& metadata, EntryId first) {
  for (const Fragment& fragment : metadata.fragments()) {
    if (fragment.first_entry == first) return &fragment;
  }
  return nullptr;
}

}  // namespace

std::vector<SealedFragment> SealedFragments(const LedgerMetadata& metadata) {
  std::vector<SealedFragment> sealed;
  const std::vector<Fragment>& fragments = metadata.fragments();
  for (size_t i = 0; i < fragments.size(); ++i) {
    const bool is_last = i + 1 == fragments.size();
    if (is_last && !metadata.IsClosed()) break;
    sealed.push_back({fragments[i].first_entry,
                      is_last ? metadata.last_entry() : fragments[i + 1].first_entry.Previous(),
                      fragments[i].ensemble});
    // A fragment behind a closed ledger's end holds nothing of it.
    if (metadata.IsClosed() && sealed.back().last > metadata.last_entry()) {
      sealed.back().last = metadata.last_entry();
    }
  }
  return sealed;
}

bool IsTailBroken(const LedgerMetadata& metadata, const metadata::BookieSet& bookies) {
  if (metadata.IsClosed()) return false;
  const metadata::Ensemble& ensemble = metadata.last_fragment().ensemble;
  return !std::all_of(ensemble.begin(), ensemble.end(),
                      [&](const BookieId& bookie) { return bookies.IsUp(bookie); });
}

int CopiesLeft(const SealedFragment& fragment, const quorum::Replication& replication,
               const metadata::BookieSet& bookies, const std::set<BookieIndex>& lacking) {
  int fewest = replication.write_quorum_size;
  // Entries of the same remainder have the same write set.
  for (int64_t i = 0; i < replication.ensemble_size; ++i) {
    const EntryId entry(fragment.first.value() + i);
    if (entry > fragment.last) break;
    const quorum::WriteSet write_set(entry, replication);
    int copies = 0;
    for (int offset = 0; offset < write_set.size(); ++offset) {
      const BookieIndex index = write_set[offset];
      const bool is_up = bookies.IsUp(fragment.ensemble[static_cast<size_t>(index)]);
      if (is_up && !lacking.contains(index)) ++copies;
    }
    fewest = std::min(fewest, copies);
  }
  return fewest;
}

bool HoldsEntries(const SealedFragment& fragment, const quorum::Replication& replication,
                  BookieIndex index) {
  return !NextMissing(fragment, replication, index, nullptr, fragment.first).IsNone();
}

EntryId NextMissing(const SealedFragment& fragment, const quorum::Replication& replication,
                    BookieIndex index, const wire::Availability* stored, EntryId from) {
  for (EntryId entry = std::max(from, fragment.first); entry <= fragment.last;
       entry = entry.Next()) {
    if (quorum::WriteSet(entry, replication).Contains(index) &&
        (stored == nullptr || !stored->Contains(entry))) {
      return entry;
    }
  }
  return kNoEntry;
}

std::optional<BookieId> ChooseTarget(LedgerId ledger, const std::vector<BookieId>& writable,
                                     const std::set<BookieId>& excluded) {
  std::optional<BookieId> best;
  uint64_t best_weight = 0;
  for (const BookieId& bookie : writable) {
    if (excluded.contains(bookie)) continue;
    const uint64_t weight = StableHash(StableHash(bookie.value()) ^
                                       StableHash(static_cast<uint64_t>(ledger.value()) + 1));
    if (!best.has_value() || weight > best_weight) {
      best = bookie;
      best_weight = weight;
    }
  }
  return best;
}

void SortByUrgency(std::vector<metadata::RepairTask>* tasks) {
  std::sort(tasks->begin(), tasks->end(),
            [](const metadata::RepairTask& a, const metadata::RepairTask& b) {
              const auto key = [](const metadata::RepairTask& task) {
                return std::make_tuple(-static_cast<int64_t>(task.mark.replicas.size()),
                                       task.mark.marked_at.value_or(absl::InfinitePast()),
                                       task.ledger);
              };
              return key(a) < key(b);
            });
}

bool NamesReplaced(const LedgerMetadata& metadata, EntryId fragment_first,
                   const std::vector<MemberRepair>& repairs) {
  const Fragment* const fragment = FindFragment(metadata, fragment_first);
  if (fragment == nullptr) return false;
  return std::any_of(repairs.begin(), repairs.end(), [&](const MemberRepair& repair) {
    return !repair.IsInPlace() &&
           fragment->ensemble[static_cast<size_t>(repair.index)] == repair.old_bookie;
  });
}

absl::StatusOr<LedgerMetadata> WithRepairedFragment(const LedgerMetadata& metadata,
                                                    EntryId fragment_first,
                                                    const std::vector<MemberRepair>& repairs) {
  const Fragment* const fragment = FindFragment(metadata, fragment_first);
  if (fragment == nullptr) {
    return MakeError(ErrorCode::kMetadataConflict, "the fragment has gone");
  }
  metadata::Ensemble ensemble = fragment->ensemble;
  for (const MemberRepair& repair : repairs) {
    if (repair.IsInPlace()) continue;
    BookieId& place = ensemble[static_cast<size_t>(repair.index)];
    if (place != repair.old_bookie ||
        std::find(ensemble.begin(), ensemble.end(), repair.new_bookie) != ensemble.end()) {
      return MakeError(ErrorCode::kMetadataConflict,
                       StrCat("somebody else repaired the fragment that begins with entry ",
                              fragment_first.value()));
    }
    place = repair.new_bookie;
  }
  return metadata.WithReplacedEnsemble(fragment_first, std::move(ensemble));
}

}  // namespace stele::autorecovery
