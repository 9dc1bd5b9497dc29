// ForEachLedger: visits all ledgers of a cluster, several at a time; what a failed read means.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/try.h"
#include "common/seams/env.h"
#include "metadata/backoff.h"
#include "metadata/ledger_manager.h"

namespace stele::autorecovery {

// Of a read of a ledger's metadata: it failed for the state of the store, and may be tried later.
// What else fails, fails for the ledger: it has gone, or its metadata cannot be read.
inline bool IsMatterOfTheStore(const absl::Status& read) {
  return metadata::IsTemporary(read) || CodeOf(read) == ErrorCode::kStopped;
}

namespace internal {

template <typename Visit>
struct RangeVisit {
  const metadata::LedgerRange* range;
  size_t next;
  absl::Status status;
  Visit* visit;
};

template <typename Visit>
Task<void> VisitSome(RangeVisit<Visit>* shared) {
  while (shared->status.ok() && shared->next < shared->range->size()) {
    const absl::Status visited = co_await (*shared->visit)((*shared->range)[shared->next++]);
    if (!visited.ok()) shared->status = visited;
  }
}

}  // namespace internal

// Calls `visit`, a function that gives a Task<absl::Status>, for the ledgers from `first` on,
// ascending, at most in_flight_max at a time. The first error ends it. `ledgers` and what `visit`
// uses outlive the task.
template <typename Visit>
Task<absl::Status> ForEachLedger(metadata::LedgerManager* ledgers, LedgerId first,
                                 size_t in_flight_max, Visit visit) {
  metadata::LedgerLister lister = ledgers->List();
  for (;;) {
    STELE_CO_TRY(std::optional<metadata::LedgerRange> range, co_await lister.Next());
    if (!range.has_value()) co_return absl::OkStatus();
    const auto begin = std::lower_bound(range->begin(), range->end(), first);
    internal::RangeVisit<Visit> shared{&*range, static_cast<size_t>(begin - range->begin()),
                                       absl::OkStatus(), &visit};
    const size_t count = std::min(in_flight_max, range->size() - shared.next);
    TaskScope scope(ledgers->env().executor);
    for (size_t i = 0; i < count; ++i) scope.Spawn(internal::VisitSome(&shared));
    co_await scope.Join();
    STELE_CO_TRY_OK(shared.status);
  }
}

}  // namespace stele::autorecovery
