#include "common/seams/contract/executor_contract.h"

#include "common/real/real_seam_world.h"

namespace stele {

INSTANTIATE_TEST_SUITE_P(Real, ExecutorContract, testing::Values(real::kRealSeamWorlds[0]),
                         SeamWorldName());

}  // namespace stele
