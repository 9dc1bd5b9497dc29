// The role of auditors and replication workers. They are no clients, so nothing of them is in the
// history: WireWatch sees what they do to metadata and bookies, and the reckoning demands that all
// copies are back.
#include <algorithm>
#include <memory>
#include <utility>

#include "autorecovery/auto_recovery.h"
#include "common/base/try.h"
#include "metadata/cluster_init.h"
#include "simulation/swarm/actors.h"

namespace stele::simulation {
namespace {

using autorecovery::AutoRecovery;
using autorecovery::AutorecoveryOptions;

constexpr char kRoot[] = "/ledgers";
constexpr absl::Duration kPause = absl::Milliseconds(500);

// Days of a real cluster in minutes.
AutorecoveryOptions OptionsOf(const Scenario& scenario, const Actor& actor, std::string name) {
  AutorecoveryOptions options;
  options.name = std::move(name);
  options.recovery_delay = absl::ZeroDuration();
  options.bookie_check_interval = absl::Seconds(60);
  options.ledger_check_interval = absl::Seconds(20);
  options.storm_percent = 100;
  options.ledgers_in_flight_max = static_cast<size_t>(1 + actor.window % 8);
  options.entries_in_flight_max = static_cast<size_t>(actor.window);
  options.open_ledger_grace = absl::Seconds(5);
  options.backoff_first = absl::Seconds(1);
  options.backoff_max = absl::Seconds(10);
  options.quarantine_retry = absl::Seconds(30);
  options.client = ClientOptionsOf(scenario, actor);
  return options;
}

Task<absl::StatusOr<std::unique_ptr<AutoRecovery>>> Begin(Env env, metadata::MetadataStore* store,
                                                          AutorecoveryOptions options) {
  STELE_CO_TRY(metadata::Cluster cluster,
               co_await metadata::OpenCluster(store, kRoot, std::nullopt));
  co_return co_await AutoRecovery::Start(env, store, std::move(cluster), std::move(options));
}

}  // namespace

Task<void> RunAutorecovery(Stage* stage, Actor actor, SimProcess* process, Env env,
                           metadata::MetadataStore* store) {
  AutoRecovery* running = nullptr;
  while (running == nullptr) {
    if (!stage->is_repairing()) co_return;
    auto begun = co_await Begin(env, store, OptionsOf(stage->scenario(), actor, process->name()));
    if (begun.ok()) {
      running = process->Own(*std::move(begun));
    } else {
      co_await SleepFor(env.executor, env.clock, kPause);
    }
  }
  while (stage->is_repairing()) co_await SleepFor(env.executor, env.clock, kPause);
  co_await running->Stop();
}

}  // namespace stele::simulation
