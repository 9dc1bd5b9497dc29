// LedgerCheck: one ledger of a ClusterCheck.
#pragma once

#include <set>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autorecovery/check_report.h"
#include "client/internal/client_core.h"
#include "common/async/task.h"
#include "common/base/ids.h"

namespace stele::autorecovery {

// Checks a ledger once and adds to the report what is found. What the pointers point to outlives
// the task.
//   known    bookies with a cookie
//   errors   those of the store
Task<absl::Status> CheckLedgerOnce(client::ClientCore* core, const std::set<BookieId>* known,
                                   CheckDepth depth, LedgerId ledger, CheckReport* report);

Task<absl::StatusOr<std::vector<FragmentState>>> ExplainLedger(client::ClientCore* core,
                                                               LedgerId ledger);

}  // namespace stele::autorecovery
