#include "bookie/garbage_plan.h"

#include <gtest/gtest.h>

namespace stele::bookie {
namespace {

constexpr absl::Duration kGrace = absl::Minutes(10);

TEST(GarbagePlanTest, AbsentTwiceAGraceApart) {
  const MonotonicTime start;
  GarbagePlan plan(kGrace);
  plan.BeginPass();
  EXPECT_FALSE(plan.OnAbsent(LedgerId(1), start));
  EXPECT_FALSE(plan.OnAbsent(LedgerId(1), start + 2 * kGrace)) << "twice in one pass is once";
  plan.BeginPass();
  EXPECT_FALSE(plan.OnAbsent(LedgerId(1), start + kGrace / 2)) << "too early";
  plan.BeginPass();
  EXPECT_TRUE(plan.OnAbsent(LedgerId(1), start + kGrace));
}

TEST(GarbagePlanTest, APassInWhichItWasThereStartsAnew) {
  const MonotonicTime start;
  GarbagePlan plan(kGrace);
  plan.BeginPass();
  EXPECT_FALSE(plan.OnAbsent(LedgerId(1), start));
  plan.BeginPass();
  plan.BeginPass();
  EXPECT_FALSE(plan.OnAbsent(LedgerId(1), start + 5 * kGrace));
  plan.BeginPass();
  EXPECT_TRUE(plan.OnAbsent(LedgerId(1), start + 6 * kGrace));
}

TEST(GarbageBrakeTest, HoldsAPassThatWouldRemoveALargePart) {
  const MonotonicTime start;
  GarbageBrake brake;
  EXPECT_EQ(brake.Allow(10, 10, start), 10u) << "few ledgers are no large part";
  EXPECT_EQ(brake.Allow(10'000, 1000, start), 1000u);
  EXPECT_FALSE(brake.is_on());
  EXPECT_EQ(brake.Allow(10'000, 1001, start), 0u);
  EXPECT_TRUE(brake.is_on());
  EXPECT_EQ(brake.Allow(10'000, 9000, start + absl::Hours(23)), 0u);
  EXPECT_EQ(brake.Allow(10'000, 9000, start + absl::Hours(24)), 1000u);
  EXPECT_EQ(brake.Allow(10'000, 50, start + absl::Hours(25)), 50u);
  EXPECT_FALSE(brake.is_on());
  EXPECT_EQ(brake.Allow(10'000, 1001, start + absl::Hours(26)), 0u) << "the time counts anew";
}

}  // namespace
}  // namespace stele::bookie
