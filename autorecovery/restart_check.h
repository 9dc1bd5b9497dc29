// RestartCheck: the verdict of the restart gate over all ledgers of a cluster.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "autorecovery/restart_gate.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "metadata/bookie_registry.h"
#include "metadata/ledger_manager.h"

namespace stele::autorecovery {

struct RestartQuestion {
  std::set<BookieId> stopping;      // what is to be stopped
  metadata::BookieSet bookies;      // as they are registered now
  std::set<LedgerId> under_repair;  // marked or quarantined: their copies are not proven
  // Since when: they are up, and have lost data. They count as if they were down.
  std::map<BookieId, absl::Time> in_limbo;
  RestartRules rules;
};

struct RestartVerdict {
  int64_t ledgers = 0;
  int64_t ledgers_touched = 0;     // that name a bookie to be stopped
  int64_t ledgers_unreadable = 0;  // whose metadata tells nothing: they count as refusals G5
  std::map<RefusalKind, int64_t> counts;
  std::map<RefusalKind, std::vector<LedgerId>> examples;  // the first kExamplesMax of each
  int ensemble_size_max = 0;                              // in use
  int64_t writable_left = 0;
  bool IsGranted() const { return counts.empty(); }
};
inline constexpr size_t kExamplesMax = 20;

// Reads the metadata of all ledgers once. Only ledgers that name a bookie to be stopped can refuse:
// what is broken without it is not made worse. Errors are those of the store. `ledgers` outlives
// the task.
Task<absl::StatusOr<RestartVerdict>> CheckRestart(metadata::LedgerManager* ledgers,
                                                  RestartQuestion question);

}  // namespace stele::autorecovery
