#include "simulation/swarm/scenario.h"

#include <algorithm>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "common/base/errors.h"

namespace stele::simulation {
namespace {

constexpr uint64_t kSeeds = 500;

// Now and then one that is drawn only when it is asked for.
std::string_view ProfileOf(uint64_t seed) {
  if (seed % 8 > 1) return "";
  return seed % 8 == 0 ? "mixed" : "extents";
}

Scenario Draw(uint64_t seed, std::string_view profile = "") {
  auto drawn = DrawScenario(seed, profile);
  EXPECT_TRUE(drawn.ok()) << drawn.status();
  return *std::move(drawn);
}

TEST(ScenarioTest, IsItsTextAndBack) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Scenario scenario = Draw(seed, ProfileOf(seed));
    const auto parsed = ParseScenario(ToText(scenario));
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    ASSERT_EQ(*parsed, scenario) << seed;
    ASSERT_EQ(Draw(seed, ProfileOf(seed)), scenario) << seed;
  }
}

TEST(ScenarioTest, EveryRoleFaultAndProfileIsDrawn) {
  std::set<Role> roles;
  std::set<FaultKind> faults;
  std::set<std::string> profiles;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Scenario scenario = Draw(seed);
    profiles.insert(scenario.profile);
    for (const Actor& actor : scenario.actors) roles.insert(actor.role);
    for (const Fault& fault : scenario.faults) faults.insert(fault.kind);
  }
  EXPECT_EQ(roles.size(), static_cast<size_t>(kRoles));
  EXPECT_EQ(faults.size(), static_cast<size_t>(kFaultKinds));
  EXPECT_FALSE(profiles.contains("mixed"));
  EXPECT_FALSE(profiles.contains("extents"));
  EXPECT_EQ(profiles.size() + 2, Profiles().size());
}

TEST(ScenarioTest, NoMoreIsLostThanLedgersSurvive) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const Scenario scenario = Draw(seed);
    std::set<int64_t> victims;
    for (const Fault& fault : scenario.faults) {
      if (IsDestructive(fault.kind)) victims.insert(fault.a);
    }
    if (scenario.profile == "beyond") continue;
    EXPECT_LE(victims.size(), static_cast<size_t>(scenario.losses_max));
    EXPECT_GT(scenario.bookies, 2 * scenario.losses_max);
  }
}

TEST(ScenarioTest, NothingBreaksWhenItIsCalm) {
  for (uint64_t seed = 1; seed <= 50; ++seed) EXPECT_TRUE(Draw(seed, "calm").faults.empty());
}

TEST(ScenarioTest, WhatIsNoScenarioIsRefused) {
  EXPECT_EQ(CodeOf(DrawScenario(1, "stormy").status()), ErrorCode::kInvalidArgument);
  for (const char* line : {"seed x", "colour red", "actor painter 101", "actor writer x",
                           "actor writer 101 at=x", "fault sneeze at=1", "fault crash colour=1"}) {
    EXPECT_EQ(CodeOf(ParseScenario(line).status()), ErrorCode::kInvalidArgument) << line;
  }
}

}  // namespace
}  // namespace stele::simulation
