// What a ledger needs so that every entry has its copies again. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/base/ids.h"
#include "common/quorum/write_set.h"
#include "common/wire/availability.h"
#include "metadata/bookie_registry.h"
#include "metadata/ledger_metadata.h"
#include "metadata/underreplicated_queue.h"

namespace stele::autorecovery {

// A run of entries that nobody appends to: all but the last fragment, and the last one of a closed
// ledger. Empty when last < first: a closed ledger may end with a fragment without entries.
struct SealedFragment {
  EntryId first;
  EntryId last;
  metadata::Ensemble ensemble;
};
std::vector<SealedFragment> SealedFragments(const metadata::LedgerMetadata& metadata);

// The ledger is not closed and its last fragment has a member that is not registered. Its writer
// replaces the member if there is one; if not, somebody has to close the ledger before it can be
// repaired.
bool IsTailBroken(const metadata::LedgerMetadata& metadata, const metadata::BookieSet& bookies);

// A position of an ensemble that lacks entries, or whose bookie is to go.
struct MemberRepair {
  BookieIndex index = 0;
  BookieId old_bookie;
  BookieId new_bookie;  // the same as old_bookie: the member stays, only entries are missing
  bool IsInPlace() const { return old_bookie == new_bookie; }
};

// How many bookies of the write sets of a fragment are up, where they are fewest; the number of
// copies that the worst entry has left. Positions in `lacking` count as down.
int CopiesLeft(const SealedFragment& fragment, const quorum::Replication& replication,
               const metadata::BookieSet& bookies, const std::set<BookieIndex>& lacking);

// Does `index` have a copy of some entry of the fragment?
bool HoldsEntries(const SealedFragment& fragment, const quorum::Replication& replication,
                  BookieIndex index);

// The first entry >= from that belongs on `index` and that `stored` does not hold; kNoEntry when
// none of the fragment does. No `stored`: the bookie has nothing.
EntryId NextMissing(const SealedFragment& fragment, const quorum::Replication& replication,
                    BookieIndex index, const wire::Availability* stored, EntryId from);

// The bookie for the copies of this ledger: of those that are writable and not in `excluded`, the
// one that a hash of ledger and bookie prefers. Two workers, and the second attempt of one, choose
// the same, and find there what was copied before; over many ledgers the load is even.
std::optional<BookieId> ChooseTarget(LedgerId ledger, const std::vector<BookieId>& writable,
                                     const std::set<BookieId>& excluded);

// Those first of which the fewest copies are left, then the oldest.
void SortByUrgency(std::vector<metadata::RepairTask>* tasks);

// The fragment that begins with fragment_first, with its repaired members named.
//   kMetadataConflict   a position holds another bookie than the one that was replaced, or the new
//                       one is in the ensemble already: plan again
absl::StatusOr<metadata::LedgerMetadata> WithRepairedFragment(
    const metadata::LedgerMetadata& metadata, EntryId fragment_first,
    const std::vector<MemberRepair>& repairs);

// Is one of the replaced bookies still where it was?
bool NamesReplaced(const metadata::LedgerMetadata& metadata, EntryId fragment_first,
                   const std::vector<MemberRepair>& repairs);

}  // namespace stele::autorecovery
