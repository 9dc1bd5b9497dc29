#include "autorecovery/repair_throttle.h"

#include <algorithm>
#include <utility>

#include <gtest/gtest.h>

#include "common/async/task_scope.h"
#include "simulation/world.h"

namespace stele::autorecovery {
namespace {

MonotonicTime At(int64_t ms) {
  return MonotonicTime::FromNanoseconds(1'000'000 * (1'000'000 + ms));
}

TEST(TokenBucketTest, WithoutALimitEverythingIsReady) {
  TokenBucket bucket;
  bucket.Charge(int64_t{1} << 62, At(0));
  EXPECT_EQ(bucket.ReadyAt(At(0)), At(0));
}

TEST(TokenBucketTest, WhatIsUsedIsPaidForByTime) {
  TokenBucket bucket;
  bucket.SetRate(1'000, At(0));
  EXPECT_EQ(bucket.ReadyAt(At(0)), At(0));
  bucket.Charge(600, At(0));  // a tenth of a second was saved up
  EXPECT_EQ(bucket.ReadyAt(At(0)), At(500));
  bucket.Charge(-100, At(0));
  EXPECT_EQ(bucket.ReadyAt(At(0)), At(400));
  EXPECT_EQ(bucket.ReadyAt(At(450)), At(450));
}

TEST(TokenBucketTest, AnIdleBucketSavesUpALittleOnly) {
  TokenBucket bucket;
  bucket.SetRate(1'000, At(0));
  bucket.Charge(1'100, At(3'600'000));
  EXPECT_EQ(bucket.ReadyAt(At(3'600'000)), At(3'601'000));
}

TEST(TokenBucketTest, ANewRateHoldsAtOnce) {
  TokenBucket bucket;
  bucket.SetRate(1, At(0));
  bucket.Charge(1'000'000, At(0));
  bucket.SetRate(1'000'000, At(0));
  EXPECT_LE(bucket.ReadyAt(At(0)), At(100));
}

// Copies of 1,000 bytes, for ever.
Task<void> Copy(RepairThrottle* throttle, int64_t* bytes) {
  for (;;) {
    co_await throttle->AcquireWrite(BookieId("b:1"), 1'000);
    *bytes += 1'000;
  }
}

// T41
TEST(RepairThrottleTest, LimitsHoldAndChangeWhileAllRuns) {
  simulation::World world({.seed = 1});
  simulation::SimProcess* const process = world.AddProcess(world.AddMachine("host"), "process");
  const Env env = world.env(process);
  const auto run_for = [&](absl::Duration duration) {
    EXPECT_TRUE(world.scheduler().RunFor(duration).ok());
  };
  RepairThrottle throttle(env);
  throttle.SetLimits({.cluster = 500'000}, 2);
  int64_t bytes = 0;
  TaskScope scope(env.executor);
  for (int i = 0; i < 10; ++i) scope.Spawn(Copy(&throttle, &bytes));
  run_for(absl::Seconds(10));
  EXPECT_NEAR(static_cast<double>(bytes), 2'500'000, 250'000);
  throttle.SetLimits({.cluster = 500'000, .target = 50'000}, 2);
  run_for(absl::Seconds(1));
  bytes = 0;
  run_for(absl::Seconds(10));
  EXPECT_NEAR(static_cast<double>(bytes), 500'000, 50'000);
}

struct Traffic {
  absl::Duration answer_takes = absl::Milliseconds(1);
  bool is_hanging = false;
  int64_t on_their_way = 0;
  int64_t most = 0;
  int64_t sent = 0;
};

// Copies of 64 KiB, for ever, to a bookie that answers as `traffic` says.
Task<void> CopyTo(Env env, RepairThrottle* throttle, Traffic* traffic) {
  for (;;) {
    auto turn = co_await throttle->AcquireWrite(BookieId("b:1"), 64 << 10);
    ++traffic->sent;
    traffic->most = std::max(traffic->most, ++traffic->on_their_way);
    co_await SleepFor(env.executor, env.clock,
                      traffic->is_hanging ? absl::Hours(1) : traffic->answer_takes);
    --traffic->on_their_way;
    co_await throttle->Answered(std::move(turn));
  }
}

TEST(RepairThrottleTest, HowMuchIsOnItsWayFollowsFromHowLongAnswersTake) {
  simulation::World world({.seed = 1});
  simulation::SimProcess* const process = world.AddProcess(world.AddMachine("host"), "process");
  const Env env = world.env(process);
  const auto run_for = [&](absl::Duration duration) {
    EXPECT_TRUE(world.scheduler().RunFor(duration).ok());
  };
  RepairThrottle throttle(env);
  Traffic traffic;
  TaskScope scope(env.executor);
  for (int i = 0; i < 100; ++i) scope.Spawn(CopyTo(env, &throttle, &traffic));
  run_for(absl::Microseconds(500));
  EXPECT_EQ(traffic.most, 1);
  run_for(absl::Seconds(5));
  EXPECT_EQ(traffic.most, 100) << "all that there are";
  traffic.answer_takes = absl::Milliseconds(8);
  run_for(absl::Seconds(2));
  traffic.sent = 0;
  run_for(absl::Seconds(2));
  EXPECT_NEAR(static_cast<double>(traffic.sent) * (64 << 10), 2.0 * RepairWindow::kRateMin,
              0.2 * RepairWindow::kRateMin);
}

TEST(RepairThrottleTest, ABookieThatHangsKeepsNobodyWaitingForLong) {
  simulation::World world({.seed = 1});
  simulation::SimProcess* const process = world.AddProcess(world.AddMachine("host"), "process");
  const Env env = world.env(process);
  RepairThrottle throttle(env);
  Traffic traffic{.is_hanging = true};
  TaskScope scope(env.executor);
  for (int i = 0; i < 10; ++i) scope.Spawn(CopyTo(env, &throttle, &traffic));
  EXPECT_TRUE(world.scheduler().RunFor(absl::Seconds(5)).ok());
  EXPECT_EQ(traffic.sent, 10);
}

}  // namespace
}  // namespace stele::autorecovery
