// Hazards: carries out the faults of a scenario at their times, and takes them back: in the end
// everything that is not lost for good works again.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "simulation/cluster.h"
#include "simulation/swarm/call_triggers.h"
#include "simulation/swarm/scenario.h"
#include "simulation/swarm/stage.h"
#include "simulation/swarm/wire_watch.h"

namespace stele::simulation {

// The actors, as far as faults concern them.
class ActorControl {
 public:
  virtual ~ActorControl() = default;
  // Null: there is none of that number.
  virtual SimProcess* process(int64_t number) = 0;
  virtual void Crash(int64_t number) = 0;
  virtual void Restart(int64_t number) = 0;
  // A bookie is about to start again.
  virtual void OnBookieUp(int bookie) = 0;
};

class Hazards {
 public:
  // All outlive it.
  Hazards(Stage* stage, Cluster* cluster, ActorControl* actors, WireWatch* watch);

  // Every fault of the scenario, from now on.
  void Schedule(const Scenario& scenario);
  // No further faults; everything that was broken is repaired, and bookies that are down are
  // started. Those that are lost stay lost.
  void HealAll();

  // At fault.at_ms from now on, unless all is healed by then.
  void StrikeSoon(const Fault& fault);

  // A bookie said that it cannot go on: its process ends, and is started again.
  void OnBookieFailure(int bookie, const absl::Status& why);

  // It never comes back, or need not: its disk was damaged.
  bool is_lost(int bookie) const { return nodes_.at(bookie).lost; }
  bool is_excused(int bookie) const { return is_lost(bookie) || nodes_.at(bookie).damaged; }
  // The same of a host; a host of actors is not.
  bool is_excused(const std::string& host) const;
  // It has nothing any more, and is no part of the cluster.
  bool is_gone(const std::string& host) const;
  int excused() const;
  // After HealAll: one bookie is away again, or silent in one way or another, for good.
  enum class Away { kDead, kPaused, kIsolated, kDeaf, kMute };
  void BreakAgain(int bookie, Away how, const std::string& newcomer);
  // The end of that.
  void Mend(int bookie);
  // Power off and on, all bookies at once.
  void PowerCycleAll();

 private:
  struct Node {
    bool up = true;
    bool lost = false;
    // Grows with each end of the process: a restart that was meant for an earlier one is dropped.
    uint64_t deaths = 0;
    bool damaged = false;
    bool wiped = false;
  };
  // Of a bookie's disk, and what the store knew of its age then.
  struct Snapshot {
    std::shared_ptr<const Inode> disk;
    int64_t age = 0;
  };

  void Strike(const Fault& fault);
  // Now, or at one of the next calls of its process.
  void StrikeInTime(const Fault& fault);
  // The store is out of reach for the process in every other `period`.
  void Flap(SimProcess* process, absl::Duration period, absl::Duration left);
  // False: it had no effect.
  bool Apply(const Fault& fault);
  bool ApplyToNetwork(const Fault& fault);
  bool ApplyToLink(const Fault& fault, const std::string& a, const std::string& b);
  // The hosts of all bookies and actors but this one.
  std::vector<std::string> OthersThan(const std::string& host);
  bool ApplyToStore(const Fault& fault);
  bool ApplyToDisk(const Fault& fault);
  bool Damage(const Fault& fault);
  // No disk: it does not serve.
  Snapshot SnapshotOf(int bookie);
  // False: it had no effect, and has none later.
  bool SetBackLater(int bookie, absl::Duration later);
  bool SetBack(int bookie, const Snapshot& to);
  bool ApplyToProcess(const Fault& fault);

  bool Down(int bookie, bool power, absl::Duration down_for);
  void Up(int bookie);
  void StopInOrder(int bookie, absl::Duration down_for);
  void After(absl::Duration delay, absl::AnyInvocable<void()> job);
  bool IsBookie(int64_t number) const { return nodes_.contains(static_cast<int>(number)); }
  SimProcess* ProcessOf(int64_t number);
  std::string HostOf(int64_t number);

  Stage* stage_;
  Cluster* cluster_;
  ActorControl* actors_;
  WireWatch* watch_;
  CallTriggers triggers_;
  bool healed_ = false;
  std::map<int, Node> nodes_;
  std::map<int, Snapshot> first_day_;  // of the bookies
};

}  // namespace stele::simulation
