// The actors of the swarm: what the processes of clients do, by role (scenario.h). Each is one
// coroutine that lives in its process and dies with it; all that it does to the cluster goes
// through the client's public interface and into the history.
#pragma once

#include "common/async/task.h"
#include "simulation/cluster.h"
#include "simulation/swarm/recorded_client.h"
#include "simulation/swarm/scenario.h"
#include "simulation/swarm/stage.h"

namespace stele::simulation {

// One life of an actor: connects, plays its role until it has done enough or the play ends, and
// keeps its client afterwards.
//   life    draws its own stream in each
//   client  set while there is one; the process owns it
Task<void> RunActor(Stage* stage, Actor actor, SimProcess* process, Env env,
                    metadata::MetadataStore* store, client::Client** client);

// The same for auditor and worker, which go on until nothing is to be repaired any more.
Task<void> RunAutorecovery(Stage* stage, Actor actor, SimProcess* process, Env env,
                           metadata::MetadataStore* store);

// The adds that a bookie may owe such an actor, whatever happens. 0: not known.
int64_t DebtLimitOf(const Actor& actor);

client::ClientOptions ClientOptionsOf(const Scenario& scenario, const Actor& actor);

}  // namespace stele::simulation
