// The simulated seams under the contract suites.
#pragma once

#include <memory>
#include <string>

#include "common/seams/contract/seam_world.h"
#include "simulation/world.h"

namespace stele::simulation {

class SimSeamWorld : public SeamWorld {
 public:
  explicit SimSeamWorld(uint64_t seed);

  Env env() override { return world_.env(process_); }
  std::string scratch_directory() override { return "/scratch"; }
  void RunToEnd(Task<void> task) override;

  World& world() { return world_; }

 private:
  World world_;
  SimProcess* process_;
};

// Three worlds of different seeds.
template <uint64_t kSeed>
std::unique_ptr<SeamWorld> MakeSimSeamWorld() {
  return std::make_unique<SimSeamWorld>(kSeed);
}
inline constexpr SeamWorldKind kSimSeamWorlds[] = {
    {"Seed1", MakeSimSeamWorld<1>},
    {"Seed2", MakeSimSeamWorld<2>},
    {"Seed3", MakeSimSeamWorld<3>},
};

}  // namespace stele::simulation
