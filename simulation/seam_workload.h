// A random workload over all seams at once, with crashes, power cuts, partitions and lost sessions:
// for the tests of determinism and for measuring the simulator.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "simulation/world.h"

namespace stele::simulation {

struct SeamWorkloadOptions {
  enum class Faults { kNone, kMany };
  Faults faults = Faults::kMany;
  // Between two bursts of frames of a client.
  absl::Duration think_time = absl::Milliseconds(10);
};

class SeamWorkload {
 public:
  SeamWorkload(uint64_t seed, SeamWorkloadOptions options);
  ~SeamWorkload();

  // Lets it live for a while. Ok unless the scheduler stopped.
  absl::Status Run(absl::Duration duration);

  World& world() { return world_; }
  uint64_t trace_hash() { return world_.scheduler().trace().hash(); }
  // What clients got back, over all.
  uint64_t replies() const { return replies_; }

 private:
  void StartServer(SimProcess* process);
  void StartClient(SimProcess* process);
  void ScheduleFault();
  void StrikeOnce();
  // Crashes a process in one of two ways, and starts it again later.
  void CrashAndRestart();

  const SeamWorkloadOptions options_;
  World world_;
  SimRandom random_;
  uint64_t replies_ = 0;
  std::vector<SimMachine*> machines_;
  std::vector<SimProcess*> servers_;
  std::vector<SimProcess*> clients_;
};

}  // namespace stele::simulation
