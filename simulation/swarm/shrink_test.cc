#include "simulation/swarm/shrink.h"

#include <algorithm>

#include <gtest/gtest.h>

namespace stele::simulation {
namespace {

bool IsPartitionOfBookies(const Fault& fault) {
  return fault.kind == FaultKind::kPartition && fault.a < kFirstActor && fault.b < kFirstActor;
}

// The bug: a writer, and a power cut of bookie 2 after a partition of two bookies.
bool ShowsTheBug(const Scenario& scenario) {
  const auto cut = std::ranges::find_if(scenario.faults, [](const Fault& fault) {
    return fault.kind == FaultKind::kPower && fault.a == 2;
  });
  const bool partitioned = std::ranges::any_of(scenario.faults.begin(), cut, IsPartitionOfBookies);
  return cut != scenario.faults.end() && partitioned &&
         std::ranges::count(scenario.actors, Role::kWriter, &Actor::role) > 0;
}

Scenario FirstThatShowsTheBug() {
  for (uint64_t seed = 1;; ++seed) {
    Scenario scenario = *DrawScenario(seed, "swarm");
    if (ShowsTheBug(scenario)) return scenario;
  }
}

TEST(ShrinkTest, LeavesWhatTheBugNeeds) {
  const ShrinkResult result = Shrink(FirstThatShowsTheBug(), ShowsTheBug, {});
  EXPECT_TRUE(ShowsTheBug(result.smallest));
  EXPECT_EQ(result.smallest.faults.size(), 2u);
  EXPECT_EQ(result.smallest.actors.size(), 1u);
  // As many as the faults that are left name.
  int64_t named = 0;
  for (const Fault& fault : result.smallest.faults) named = std::max({named, fault.a, fault.b});
  EXPECT_LE(result.smallest.bookies, std::max<int64_t>(named, result.smallest.losses_max + 1));
  EXPECT_EQ(result.smallest.actors[0].operations, 1);
}

TEST(ShrinkTest, StopsWhenItIsTold) {
  const Scenario scenario = FirstThatShowsTheBug();
  EXPECT_EQ(Shrink(scenario, ShowsTheBug, {.stop = [] { return true; }}).tries, 0);
  const ShrinkResult idle =
      Shrink(scenario, [](const Scenario&) { return false; }, {.idle_tries_max = 10});
  EXPECT_EQ(idle.tries, 10);
  EXPECT_EQ(idle.smallest, scenario);
}

}  // namespace
}  // namespace stele::simulation
