#include "simulation/sim_seam_world.h"

#include <utility>

#include <gtest/gtest.h>

#include "common/seams/contract/co_assert.h"

namespace stele::simulation {
namespace {

Task<void> MakeScratch(Env env) {
  STELE_CO_EXPECT_OK(co_await env.files->MakeDirectories("/scratch"));
}

}  // namespace

SimSeamWorld::SimSeamWorld(uint64_t seed)
    : world_({.seed = seed, .step_limit = 10'000'000}),
      process_(world_.AddProcess(world_.AddMachine("machine"), "process")) {
  RunToEnd(MakeScratch(env()));
}

void SimSeamWorld::RunToEnd(Task<void> task) {
  const absl::Status status = world_.RunToEnd(process_, std::move(task));
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace stele::simulation
