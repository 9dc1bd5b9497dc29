// Which ledgers' metadata names a bookie: what a drain, a recovery or a removed cookie has to look
// at. It reads the metadata of all ledgers once, for however many bookies.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "metadata/ledger_manager.h"

namespace stele::autorecovery {

struct Reference {
  LedgerId ledger;
  bool is_in_open_tail = false;  // only its writer, or a close, can take the bookie away there
  int64_t bytes = 0;             // of the ledger, when it is closed
};

struct References {
  // For each bookie that was asked for, ascending by ledger.
  std::map<BookieId, std::vector<Reference>> of;
  // Their metadata is damaged: whom they name is not known. Ascending.
  std::vector<LedgerId> unreadable;
};

// `ledgers` outlives the task. Errors are those of the store.
Task<absl::StatusOr<References>> FindReferences(metadata::LedgerManager* ledgers,
                                                std::vector<BookieId> bookies);

// kCorruptData when a ledger could not be read.
absl::Status CheckAllAreReadable(const References& references);

// The same for one, when all must be known.
//   errors   also CheckAllAreReadable
Task<absl::StatusOr<std::vector<Reference>>> ReferencesTo(metadata::LedgerManager* ledgers,
                                                          BookieId bookie);

}  // namespace stele::autorecovery
