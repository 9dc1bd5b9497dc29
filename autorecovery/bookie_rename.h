// Another name for a bookie in the metadata of ledgers: for one whose id has changed while its data
// have not. Nothing is copied: whoever calls this has seen that the new name has the entries.
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "metadata/ledger_manager.h"
#include "metadata/ledger_metadata.h"

namespace stele::autorecovery {

// Does a fragment name `bookie` that nobody appends to? The open end of a ledger is its writer's:
// it has its own idea of who is in it.
bool NamesInSealed(const metadata::LedgerMetadata& metadata, const BookieId& bookie);

// An entry that `bookie` must have by these fragments; nothing when there is none.
std::optional<EntryId> SomeEntryOf(const metadata::LedgerMetadata& metadata,
                                   const BookieId& bookie);

// `to` in the place of `from` in all these fragments.
//   kInvalidArgument   a fragment names both
absl::StatusOr<metadata::LedgerMetadata> WithBookieRenamed(const metadata::LedgerMetadata& metadata,
                                                           const BookieId& from,
                                                           const BookieId& to);

// Writes that, by compare-and-swap. False: there was nothing to do. Done before, it does nothing.
//   errors   kInvalidArgument, kCorruptData, those of the store
// `ledgers` outlives the task.
Task<absl::StatusOr<bool>> RenameInLedger(metadata::LedgerManager* ledgers, LedgerId ledger,
                                          BookieId from, BookieId to);

}  // namespace stele::autorecovery
