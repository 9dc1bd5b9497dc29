// The one way to change a ledger's metadata: look whether a change is needed, make the new value,
// write it if nobody was faster, else look again. Source: docs/METADATA.md "Updates"; Apache
// client/MetadataUpdateLoop.
#pragma once

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "metadata/backoff.h"
#include "metadata/ledger_manager.h"
#include "metadata/ledger_metadata.h"
#include "metadata/metadata_store.h"

namespace stele::metadata {

// Two pure functions of the current value. They may be called many times, each time with another
// value.
struct LedgerUpdate {
  // Is there anything to do? It must say no about the result of `apply`, because that is how a
  // write whose answer was lost is found to be done. An error ends the loop with it.
  absl::AnyInvocable<absl::StatusOr<bool>(const LedgerMetadata&)> needed;
  // The new value. An error ends the loop with it.
  absl::AnyInvocable<absl::StatusOr<LedgerMetadata>(const LedgerMetadata&)> apply;
};

// Gives the value that needs no update: the one written, or one that somebody else wrote.
//   current   what the caller believes; when it is out of date, that costs one round trip
//   errors    those of `update`, of LedgerManager::Read() and Update() except kMetadataConflict.
//             Unknown, whatever the code, when a write was sent of which nothing more was learned:
//             read before deciding.
// While the store cannot be reached, and while others are faster, it tries again until
// retry.give_up_at, with growing pauses. `manager` must outlive the task.
Task<absl::StatusOr<Versioned<LedgerMetadata>>> UpdateLedger(LedgerManager* manager,
                                                             LedgerId ledger,
                                                             Versioned<LedgerMetadata> current,
                                                             LedgerUpdate update,
                                                             RetryOptions retry = {});

}  // namespace stele::metadata
