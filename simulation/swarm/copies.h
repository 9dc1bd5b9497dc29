// CopyAudit: asks each bookie itself, past all quorums, for what it holds. A client is content with
// one good copy, and never asks an undamaged cluster for a second one.
//
//   AckedSuperset     a bookie still has every entry that it acknowledged and metadata says it has
//   OwnCopies         what it has is what its writer gave, and it can be read
//   AllCommittedEntriesReachAckQuorum
//                     up to its end a closed ledger has an ack quorum of copies of each entry
//   CopiesAreBack     where autorecovery runs, each entry has a write quorum of copies in the end
//   NoResurrection    a deleted ledger that the bookie has let go of takes no add
//
// Every ledger gets a late normal add as well, so that WireWatch sees a fence that was forgotten.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include "common/async/task.h"
#include "common/seams/env.h"
#include "simulation/history/payload.h"
#include "simulation/swarm/hazards.h"
#include "simulation/swarm/probes.h"
#include "simulation/swarm/stage.h"
#include "simulation/swarm/wire_watch.h"

namespace stele::simulation {

class CopyAudit {
 public:
  // Both outlive it. All ledgers that clients know are closed, nothing is written any more.
  CopyAudit(Stage* stage, const WireWatch* watch);

  // Asks the bookie of this host for all that it should have. `failure`: it could not be asked.
  Task<void> Ask(Env env, std::string host, ProbeResult* result);
  // When all were asked. A bookie that is excused counts as if it had everything.
  //   repaired   autorecovery has said that these have all their copies
  void CheckQuorums(const Hazards& hazards, const std::set<LedgerId>& repaired);

 private:
  class Questions;
  using Where = std::pair<LedgerId, EntryId>;

  Stage* stage_;
  const WireWatch* watch_;
  const std::map<LedgerId, metadata::LedgerMetadata> ledgers_;  // closed, and not deleted
  std::map<Where, history::PayloadTag> acknowledged_;
  std::map<Where, std::set<std::string>> copies_;  // the hosts that have it
  int64_t stride_ = 1;                             // each so-manieth entry is read
};

}  // namespace stele::simulation
