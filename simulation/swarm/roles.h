// The roles of actors. Each returns when the actor has done enough, or the play has ended.
#pragma once

#include <memory>

#include "common/async/task.h"
#include "metadata/metadata_store.h"
#include "simulation/sim_random.h"
#include "simulation/swarm/recorded_client.h"
#include "simulation/swarm/scenario.h"

namespace stele::simulation {

// Copied into each coroutine of the role; what it points to outlives the process.
struct RoleContext {
  Caller caller;
  metadata::MetadataStore* store = nullptr;
  Actor actor;
  std::shared_ptr<SimRandom> random;

  Stage& stage() const { return *caller.stage; }
  bool goes_on() const { return caller.stage->is_playing(); }
  bool Has(Actor::Flag flag) const { return (actor.flags & flag) != 0; }
  uint64_t Below(uint64_t bound) const { return random->Below(bound); }
  bool Chance(uint64_t numerator, uint64_t denominator) const {
    return random->Chance(numerator, denominator);
  }
  // Between a millisecond and `longest`, short ones as likely as long ones; less
  // when the play ends.
  Task<void> Think(absl::Duration longest) const;
  // So long, or less when the play ends.
  Task<void> Pause(int64_t ms) const;
  // Of an entry: around the borders of things, at most actor.size_max_bytes.
  size_t DrawSize() const;
  // One that survives the losses of the scenario.
  quorum::Replication DrawReplication() const;
  // Any ledger that somebody has told of, the young ones more often; none if there is none.
  std::optional<LedgerId> PickLedger() const;
};

Task<void> PlayWriter(RoleContext context);
Task<void> PlayCallerIds(RoleContext context);
Task<void> PlayTailer(RoleContext context);
Task<void> PlayReader(RoleContext context);
Task<void> PlayRecoverer(RoleContext context);
Task<void> PlayDeleter(RoleContext context);
Task<void> PlayLogClient(RoleContext context);
Task<void> PlayIntruder(RoleContext context);

}  // namespace stele::simulation
