// RepairBacklog: what the metadata store says of lost bookies and of what is left to repair: for
// people, for measurements, and for the restart gate.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "metadata/autorecovery_records.h"
#include "metadata/bookie_registry.h"
#include "metadata/cluster_init.h"
#include "metadata/metadata_store.h"
#include "metadata/underreplicated_queue.h"

namespace stele::autorecovery {

struct RepairBacklog {
  bool enabled = true;
  std::optional<std::string> auditor;
  std::vector<std::string> workers;
  std::optional<absl::Duration> recovery_delay;  // nullopt: no auditor has run yet
  std::optional<absl::Time> checked_at;          // the last check of all ledgers; nullopt: never
  metadata::BookieSet bookies;
  std::vector<BookieId> joined;             // and were not removed, up or not
  std::map<BookieId, absl::Time> lost;      // since when
  std::map<BookieId, absl::Time> draining;  // since when
  std::map<BookieId, absl::Time> in_limbo;  // since when they have lost data, not knowing which
  std::vector<metadata::RepairTask> tasks;
  std::vector<LedgerId> locked;  // being repaired
  std::vector<LedgerId> quarantined;
  metadata::RepairLimits limits;

  // The most members that one ledger lacks.
  int64_t ReplicasMissingMax() const;
  // How long the oldest task has waited; zero when there is none.
  absl::Duration OldestAge(absl::Time now) const;
  // Marked or in quarantine: their copies are not proven.
  std::set<LedgerId> UnderRepair() const;
};

// Tasks beyond so many are not read.
inline constexpr size_t kBacklogTasksMax = 1'000'000;

// What `env` points to, and `store`, outlive the task. Errors are those of the store; it is waited
// for no longer than ten seconds.
Task<absl::StatusOr<RepairBacklog>> ReadRepairBacklog(Env env, metadata::MetadataStore* store,
                                                      metadata::Cluster cluster);

}  // namespace stele::autorecovery
