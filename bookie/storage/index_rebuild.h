// Rebuild of locations that index files have lost: goes through the entry logs and writes the
// location of each entry that the index does not show. A location that the index has stays.
#pragma once

#include <cstdint>

#include "absl/container/btree_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/storage/entry_logs.h"
#include "bookie/storage/index_store.h"
#include "bookie/storage/ledger_storage.h"
#include "common/async/task.h"
#include "common/base/ids.h"

namespace stele::bookie {

// Locations that are gathered before they are written; bounds the memory (1.5 MiB).
inline constexpr size_t kFoundAtATimeMax = 64 << 10;

struct RebuildParts {
  EntryLogs* logs;
  IndexStore* index;
  BackgroundPace* pace;
};

// `ledgers` have index files; one that is deleted meanwhile is passed over. Logs that are still
// written are left out: what they have is in memory, or was flushed by this process.
//   on_found   after locations of a ledger have become durable: the highest entry among them
//   errors     those of reading and of `pace`; what was written stays
// Gives the number of locations written.
Task<absl::StatusOr<int64_t>> RebuildLocations(
    RebuildParts parts, absl::btree_set<LedgerId> ledgers,
    absl::AnyInvocable<void(LedgerId, EntryId)> on_found);

// Calls `visit` for each entry of these ledgers in closed logs, damage passed over. An error of
// `visit` is the result; `logs` and `visit` must outlive the task.
using VisitEntry = absl::FunctionRef<Task<absl::Status>(LedgerId, EntryId)>;
Task<absl::Status> VisitEntries(EntryLogs* logs, absl::btree_set<LedgerId> ledgers,
                                VisitEntry visit);

}  // namespace stele::bookie
