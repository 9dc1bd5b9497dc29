#include "simulation/swarm/actors.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/async/notification.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "simulation/swarm/roles.h"

namespace stele::simulation {
namespace {

constexpr size_t kSmallDebtAdds = 16;
constexpr size_t kSmallDebtBytes = 64 << 10;
constexpr absl::Duration kConnectPause = absl::Milliseconds(500);

absl::Duration Scale(absl::Duration duration, const Scenario& scenario) {
  return duration * scenario.timeouts_percent / 100;
}

Task<void> Play(RoleContext context) {
  switch (context.actor.role) {
    case Role::kWriter:
    case Role::kDeferredSync: co_await PlayWriter(context); break;
    case Role::kCallerIds: co_await PlayCallerIds(context); break;
    case Role::kTailer: co_await PlayTailer(context); break;
    case Role::kReader: co_await PlayReader(context); break;
    case Role::kRecoverer: co_await PlayRecoverer(context); break;
    case Role::kDeleter: co_await PlayDeleter(context); break;
    case Role::kLogClient: co_await PlayLogClient(context); break;
    case Role::kIntruder: co_await PlayIntruder(context); break;
    case Role::kAutorecovery: break;  // no client: see RunAutorecovery
  }
}

}  // namespace

client::ClientOptions ClientOptionsOf(const Scenario& scenario, const Actor& actor) {
  client::ClientOptions options;
  options.connect_timeout = Scale(options.connect_timeout, scenario);
  options.add_timeout = Scale(options.add_timeout, scenario);
  options.read_timeout = Scale(options.read_timeout, scenario);
  options.speculative_read_timeout = (actor.flags & Actor::kNoSpeculation) != 0
                                         ? absl::ZeroDuration()
                                         : Scale(options.speculative_read_timeout, scenario);
  options.long_poll_timeout = Scale(options.long_poll_timeout, scenario);
  if ((actor.flags & Actor::kExplicitLac) != 0) {
    options.explicit_lac_interval = absl::Milliseconds(100);
  }
  if ((actor.flags & Actor::kSmallDebts) != 0) {
    options.adds_owed_max = kSmallDebtAdds;
    options.add_bytes_owed_max = kSmallDebtBytes;
  }
  options.delay_ensemble_change = (actor.flags & Actor::kDelayChange) != 0;
  options.writer_close_overrides_recovery = (actor.flags & Actor::kClosesAsJava) != 0;
  return options;
}

int64_t DebtLimitOf(const Actor& actor) {
  const bool writes = actor.role == Role::kWriter || actor.role == Role::kDeferredSync;
  if (!writes || (actor.flags & Actor::kSmallDebts) == 0) return 0;
  // A new bookie is sent all that is pending at once; and what ends a ledger comes on top.
  return static_cast<int64_t>(kSmallDebtAdds) + 2 * actor.window + 16;
}

Task<void> RunActor(Stage* stage, Actor actor, SimProcess* process, Env env,
                    metadata::MetadataStore* store, client::Client** client) {
  for (;;) {
    auto connected =
        co_await Cluster::Connect(env, store, ClientOptionsOf(stage->scenario(), actor));
    if (connected.ok()) {
      *client = process->Own(*std::move(connected));
      break;
    }
    if (!stage->is_playing()) co_return;
    co_await SleepFor(env.executor, env.clock, kConnectPause);
  }
  RoleContext context;
  context.caller = {.stage = stage, .process = process->name(), .env = env, .client = *client};
  context.store = store;
  context.actor = actor;
  context.random =
      std::make_shared<SimRandom>(process->random()->Child(StrCat("role/", NameOf(actor.role))));
  co_await Play(std::move(context));
}

}  // namespace stele::simulation
