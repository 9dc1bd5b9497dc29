#include "common/real/real_clock.h"

#include <algorithm>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "common/real/real_random.h"
#include "common/real/shard.h"

namespace stele::real {
namespace {

TEST(RealClockTest, TimersRingInOrderOfDeadlineThenOfMaking) {
  EventLoop loop;
  RealClock clock(&loop);
  const MonotonicTime start = clock.Now();
  std::vector<int> order;
  std::vector<std::unique_ptr<Timer>> timers;
  timers.push_back(clock.CallAt(start + absl::Milliseconds(2), [&] { order.push_back(3); }));
  timers.push_back(clock.CallAt(start + absl::Microseconds(500), [&] { order.push_back(1); }));
  timers.push_back(clock.CallAt(start + absl::Microseconds(500), [&] { order.push_back(2); }));
  timers.push_back(clock.CallAt(MonotonicTime::FromNanoseconds(0), [&] { order.push_back(0); }));
  EXPECT_TRUE(order.empty());
  loop.RunUntil([&] { return order.size() == 4; });
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
  EXPECT_GE(clock.Now() - start, absl::Milliseconds(2));
  EXPECT_EQ(clock.pending(), 0u);
}

TEST(RealClockTest, TenThousandTimersMostlyCancelled) {
  EventLoop loop;
  RealClock clock(&loop);
  RealRandom random;
  const MonotonicTime start = clock.Now();
  std::vector<std::unique_ptr<Timer>> timers;
  std::vector<MonotonicTime> rung;
  size_t kept = 0;
  for (int i = 0; i < 10'000; ++i) {
    const MonotonicTime deadline = start + absl::Microseconds(random.Below(20'000));
    timers.push_back(clock.CallAt(deadline, [&rung, deadline] { rung.push_back(deadline); }));
  }
  for (size_t i = 0; i < timers.size(); ++i) {
    if (i % 100 == 7) {
      ++kept;
    } else {
      timers[i].reset();
    }
  }
  EXPECT_EQ(clock.pending(), kept);
  loop.RunUntil([&] { return rung.size() == kept; });
  EXPECT_TRUE(std::is_sorted(rung.begin(), rung.end()));
}

TEST(RealClockTest, AJobMayDestroyItsOwnAndOtherTimers) {
  EventLoop loop;
  RealClock clock(&loop);
  std::vector<std::unique_ptr<Timer>> timers;
  bool ran = false;
  const MonotonicTime now = clock.Now();
  timers.push_back(clock.CallAt(now, [&] {
    timers.clear();
    ran = true;
  }));
  for (int i = 0; i < 5; ++i) timers.push_back(clock.CallAt(now, [] { FAIL(); }));
  loop.RunUntil([&] { return ran; });
  EXPECT_EQ(clock.pending(), 0u);
}

TEST(RealClockTest, ATimerThatReArmsItselfDueAtOnceDoesNotBlockTheLoop) {
  EventLoop loop;
  RealClock clock(&loop);
  int rounds = 0;
  std::unique_ptr<Timer> timer;
  struct Again {
    RealClock* clock;
    std::unique_ptr<Timer>* timer;
    int* rounds;
    void operator()() {
      ++*rounds;
      *timer = clock->CallAt(MonotonicTime::FromNanoseconds(0), Again(*this));
    }
  };
  timer = clock.CallAt(clock.Now(), Again{&clock, &timer, &rounds});
  loop.RunUntil([&] { return rounds >= 3; });
  EXPECT_GE(rounds, 3);
}

TEST(RealClockTest, TimersMayOutliveTheClock) {
  EventLoop loop;
  std::unique_ptr<Timer> timer;
  {
    RealClock clock(&loop);
    timer = clock.CallAt(clock.Now(), [] { FAIL(); });
  }
  timer.reset();
}

TEST(RealRandomTest, BelowStaysBelowAndReachesAll) {
  RealRandom random;
  std::vector<int> seen(7);
  for (int i = 0; i < 7'000; ++i) ++seen[random.Below(7)];
  for (const int count : seen) EXPECT_GT(count, 700);
  EXPECT_EQ(random.Below(1), 0u);
  const auto fork = random.Fork("a");
  const auto other = random.Fork("a");
  EXPECT_NE(fork->Below(UINT64_MAX), other->Below(UINT64_MAX));
}

}  // namespace
}  // namespace stele::real
