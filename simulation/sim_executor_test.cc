// The contract of the executor, the clock and randomness on the simulated ones.
#include <gtest/gtest.h>

#include "common/seams/contract/executor_contract.h"
#include "simulation/sim_seam_world.h"

namespace stele {

INSTANTIATE_TEST_SUITE_P(Simulated, ExecutorContract, testing::ValuesIn(simulation::kSimSeamWorlds),
                         SeamWorldName());

}  // namespace stele
