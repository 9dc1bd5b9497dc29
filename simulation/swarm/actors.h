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

client::ClientOptions ClientOptionsOf(const Scenario& scenario, const Actor& actor);

}  // namespace stele::simulation
