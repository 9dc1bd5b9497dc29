// What the run itself asks of the cluster: whether it works, and at the end, for everything.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "common/async/task.h"
#include "simulation/swarm/hazards.h"
#include "simulation/swarm/recorded_client.h"
#include "simulation/swarm/wire_watch.h"

namespace stele::simulation {

struct ProbeResult {
  bool ended = false;
  std::string failure;  // empty: all went well
};

// Calls the roll of a bookie that has just been started, as soon as it serves. WireWatch says who
// is on it, and judges the answers.
Task<void> CallRoll(Env env, const WireWatch* watch, std::string host);

// One ledger from its creation to its end: each operation must succeed. Tries again until it does.
Task<void> ProbeWork(Caller caller, quorum::Replication replication, ProbeResult* result);

// Waits until every entry of the closed ledgers has all its copies, on bookies that are there.
// `failure` says meanwhile what is missing.
Task<void> AwaitCopies(Env env, const WireWatch* watch, const Hazards* hazards,
                       std::set<LedgerId> ledgers, ProbeResult* result);

// Opens every ledger, with recovery or not, and reads all its entries; a ledger that fails is tried
// again some times. `failure` names the first that could not be read.
Task<void> ReadEverything(Caller caller, std::vector<KnownLedger> ledgers, bool recover,
                          int tries_max, ProbeResult* result);

}  // namespace stele::simulation
