#include "autorecovery/repair_backlog.h"

#include <algorithm>
#include <utility>

#include "common/base/try.h"
#include "metadata/autorecovery_settings.h"
#include "metadata/cluster_paths.h"
#include "metadata/leader_election.h"

namespace stele::autorecovery {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(10);

}  // namespace

int64_t RepairBacklog::ReplicasMissingMax() const {
  size_t most = 0;
  for (const metadata::RepairTask& task : tasks) most = std::max(most, task.mark.replicas.size());
  return static_cast<int64_t>(most);
}

absl::Duration RepairBacklog::OldestAge(absl::Time now) const {
  absl::Time oldest = now;
  for (const metadata::RepairTask& task : tasks) {
    oldest = std::min(oldest, task.mark.marked_at.value_or(now));
  }
  return now - oldest;
}

std::set<LedgerId> RepairBacklog::UnderRepair() const {
  std::set<LedgerId> ledgers(quarantined.begin(), quarantined.end());
  for (const metadata::RepairTask& task : tasks) ledgers.insert(task.ledger);
  return ledgers;
}

Task<absl::StatusOr<RepairBacklog>> ReadRepairBacklog(Env env, metadata::MetadataStore* store,
                                                      metadata::Cluster cluster) {
  const metadata::ClusterPaths paths(cluster.layout.root());
  metadata::AutorecoverySettings settings(store, paths);
  metadata::AutorecoveryRecords records(store, cluster);
  metadata::UnderreplicatedQueue queue(env, store, paths, "stele",
                                       {.give_up_at = env.clock->Now() + kPatience});
  metadata::BookieRegistry registry(env, store, paths);
  RepairBacklog backlog;
  STELE_CO_TRY_OK(co_await registry.Start());
  backlog.bookies = registry.bookies();
  STELE_CO_TRY(backlog.joined, co_await registry.AllBookies());
  STELE_CO_TRY(backlog.enabled, co_await settings.IsEnabled());
  STELE_CO_TRY(backlog.recovery_delay, co_await settings.RecoveryDelay());
  STELE_CO_TRY(backlog.checked_at, co_await settings.CheckTime(metadata::CheckKind::kAllLedgers));
  STELE_CO_TRY(backlog.auditor, co_await metadata::CurrentLeader(store, paths));
  STELE_CO_TRY(backlog.tasks, co_await queue.List(kBacklogTasksMax));
  STELE_CO_TRY(backlog.locked, co_await queue.Locked());
  STELE_CO_TRY(backlog.quarantined, co_await records.Quarantined());
  STELE_CO_TRY(backlog.lost, co_await records.Lost());
  STELE_CO_TRY(backlog.draining, co_await records.Draining());
  STELE_CO_TRY(backlog.in_limbo, co_await records.InLimbo());
  STELE_CO_TRY(backlog.workers, co_await records.Workers());
  STELE_CO_TRY(backlog.limits, co_await records.Limits());
  co_return backlog;
}

}  // namespace stele::autorecovery
