#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "simulation/seam_workload.h"

namespace stele::simulation {
namespace {

using Faults = SeamWorkloadOptions::Faults;

struct Verdict {
  uint64_t trace_hash;
  uint64_t steps;
  uint64_t replies;
  std::vector<uint64_t> checkpoints;
  friend bool operator==(const Verdict&, const Verdict&) = default;
};

Verdict RunSeed(uint64_t seed, Faults faults) {
  SeamWorkload workload(seed, {.faults = faults});
  const absl::Status status = workload.Run(absl::Seconds(2));
  EXPECT_TRUE(status.ok()) << status;
  Scheduler& scheduler = workload.world().scheduler();
  return {workload.trace_hash(), scheduler.steps(), workload.replies(),
          scheduler.trace().checkpoints()};
}

TEST(DeterminismTest, OneSeedOverAllSeamsGivesOneTrace) {
  for (uint64_t seed = 1; seed <= 2; ++seed) {
    const Verdict first = RunSeed(seed, Faults::kMany);
    const Verdict again = RunSeed(seed, Faults::kMany);
    EXPECT_TRUE(first == again) << seed;
    EXPECT_GT(first.replies, 100u) << "the workload works in spite of its faults";
    EXPECT_FALSE(first.checkpoints.empty());
    const Verdict other = RunSeed(seed + 100, Faults::kMany);
    EXPECT_NE(first.trace_hash, other.trace_hash);
  }
}

TEST(DeterminismTest, FaultsChangeTheTrace) {
  EXPECT_NE(RunSeed(1, Faults::kMany).trace_hash, RunSeed(1, Faults::kNone).trace_hash);
}

}  // namespace
}  // namespace stele::simulation
