// Hazards: carries out the faults of a scenario at their times, and takes them back: in the end
// everything that is not lost for good works again.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "simulation/cluster.h"
#include "simulation/swarm/scenario.h"
#include "simulation/swarm/stage.h"

namespace stele::simulation {

// A bookie's disk that fails on command.
class ScriptedDisk final : public FileFaults {
 public:
  absl::Status BeforeOperation(const FileRequest& request) override;

  int fail_syncs = 0;
  int fail_writes = 0;
  int fail_reads = 0;
  uint64_t failed = 0;
};

// The actors, as far as faults concern them.
class ActorControl {
 public:
  virtual ~ActorControl() = default;
  // Null: there is none of that number.
  virtual SimProcess* process(int64_t number) = 0;
  virtual void Crash(int64_t number) = 0;
  virtual void Restart(int64_t number) = 0;
};

class Hazards {
 public:
  // All outlive it.
  Hazards(Stage* stage, Cluster* cluster, ActorControl* actors);

  // Every fault of the scenario, from now on.
  void Schedule(const Scenario& scenario);
  // No further faults; everything that was broken is repaired, and bookies that are down are
  // started. Those that are lost stay lost.
  void HealAll();

  // A bookie said that it cannot go on: its process ends, and is started again.
  void OnBookieFailure(int bookie, const absl::Status& why);

  bool is_lost(int bookie) const { return nodes_.at(bookie).lost; }
  int lost() const;
  // Power off and on, all bookies at once.
  void PowerCycleAll();
  // Faults that took effect.
  const std::array<uint64_t, kFaultKinds>& effects() const { return effects_; }

 private:
  struct Node {
    bool up = true;
    bool lost = false;
    // Grows with each end of the process: a restart that was meant for an earlier one is dropped.
    uint64_t deaths = 0;
    ScriptedDisk disk;
  };

  void Strike(const Fault& fault);
  // False: it had no effect.
  bool Apply(const Fault& fault);
  bool ApplyToNetwork(const Fault& fault);
  bool ApplyToStore(const Fault& fault);
  bool ApplyToDisk(const Fault& fault);
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
  bool healed_ = false;
  std::map<int, Node> nodes_;
  std::array<uint64_t, kFaultKinds> effects_{};
};

}  // namespace stele::simulation
