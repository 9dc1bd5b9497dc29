#include "common/seams/contract/executor_contract.h"

#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "common/async/completion.h"
#include "common/async/task_scope.h"
#include "common/seams/clock.h"

namespace stele {

void ExecutorContract::Run(Body body) {
  const std::unique_ptr<SeamWorld> world = GetParam().make();
  world->RunToEnd(body(world->env()));
}

namespace {

// ---- Executor

Task<void> Posts(Env env) {
  EXPECT_TRUE(env.executor->IsCurrent());
  int ran = 0;
  bool current = true;
  Completion<bool> done(env.executor);
  Completer<bool> all_ran = done.GetCompleter();
  auto job = [&ran, &current, executor = env.executor, all_ran]() mutable {
    current = current && executor->IsCurrent();
    if (++ran == 300) all_ran.Set(true);
  };
  for (int i = 0; i < 100; ++i) {
    env.executor->Post(job);
    env.executor->PostFromAnyThread(job);
    env.executor->PostAtTurnEnd(job);
  }
  EXPECT_EQ(ran, 0) << "a job never runs inside the call that posts it";
  co_await done;
  EXPECT_EQ(ran, 300);
  EXPECT_TRUE(current);
}
TEST_P(ExecutorContract, EveryJobRunsOnceAndNeverInsideThePost) { Run(Posts); }

Task<void> Nested(Env env) {
  Completion<bool> done(env.executor);
  bool inside = false;
  int ran = 0;
  auto check = [&inside, &ran, completer = done.GetCompleter()]() mutable {
    EXPECT_FALSE(inside);
    if (++ran == 2) completer.Set(true);
  };
  env.executor->Post([executor = env.executor, &inside, check] {
    inside = true;
    executor->Post(check);
    executor->PostAtTurnEnd(check);
    inside = false;
  });
  co_await done;
}
TEST_P(ExecutorContract, JobsMayPostJobs) { Run(Nested); }

// ---- Clock

Task<void> TimePasses(Env env) {
  MonotonicTime last = env.clock->Now();
  for (int i = 0; i < 5; ++i) {
    co_await SleepFor(env.executor, env.clock, absl::Milliseconds(2));
    const MonotonicTime now = env.clock->Now();
    EXPECT_GE(now - last, absl::Milliseconds(2));
    last = now;
  }
  EXPECT_GT(env.clock->WallNow(), absl::FromUnixSeconds(1'600'000'000));
}
TEST_P(ExecutorContract, SleepLastsAtLeastItsTime) { Run(TimePasses); }

Task<void> Timers(Env env) {
  const MonotonicTime start = env.clock->Now();
  int ran = 0;
  Completion<bool> done(env.executor);
  Completer<bool> all_ran = done.GetCompleter();
  std::vector<std::unique_ptr<Timer>> timers;
  bool current = true;
  for (int i = 0; i < 100; ++i) {
    // Made in another order than they are due; some in the past.
    const MonotonicTime due = start + absl::Microseconds((i * 37 % 100 - 20) * 100);
    timers.push_back(env.clock->CallAt(due, [&, due, all_ran]() mutable {
      EXPECT_GE(env.clock->Now(), due);
      current = current && env.executor->IsCurrent();
      if (++ran == 100) all_ran.Set(true);
    }));
  }
  EXPECT_EQ(ran, 0) << "a timer never runs inside the call, also when it is due";
  co_await done;
  EXPECT_TRUE(current);
}
TEST_P(ExecutorContract, TimersRunOnceWhenDue) { Run(Timers); }

Task<void> Cancelled(Env env) {
  const MonotonicTime start = env.clock->Now();
  int ran = 0;
  auto soon = env.clock->CallAt(start, [&ran] { ++ran; });
  auto later = env.clock->CallAt(start + absl::Milliseconds(1), [&ran] { ++ran; });
  const auto never = env.clock->CallAt(MonotonicTime::Infinite(), [&ran] { ++ran; });
  soon.reset();
  later.reset();
  // Of two timers that are due together and cancel each other, one runs.
  int survivors = 0;
  std::unique_ptr<Timer> left;
  std::unique_ptr<Timer> right;
  left = env.clock->CallAt(start, [&] { ++survivors, right.reset(); });
  right = env.clock->CallAt(start, [&] { ++survivors, left.reset(); });
  co_await SleepFor(env.executor, env.clock, absl::Milliseconds(5));
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(survivors, 1);
}
TEST_P(ExecutorContract, ADestroyedTimerDoesNotRun) { Run(Cancelled); }

Task<void> FromItself(Env env) {
  Completion<bool> done(env.executor);
  std::unique_ptr<Timer> timer;
  // The job destroys its own timer: without effect, it has begun.
  timer = env.clock->CallAt(env.clock->Now(), [&timer, completer = done.GetCompleter()]() mutable {
    timer.reset();
    completer.Set(true);
  });
  co_await done;
  EXPECT_EQ(timer, nullptr);
}
TEST_P(ExecutorContract, ATimerMayBeDestroyedByItsJob) { Run(FromItself); }

Task<void> SleepAndCount(Env env, absl::Duration duration, int* woken) {
  co_await SleepFor(env.executor, env.clock, duration);
  ++*woken;
}

Task<void> AbandonedSleep(Env env) {
  int woken = 0;
  {
    TaskScope scope(env.executor);
    for (int i = 0; i < 10; ++i) scope.Spawn(SleepAndCount(env, absl::Milliseconds(1), &woken));
  }
  TaskScope scope(env.executor);
  for (int i = 0; i < 10; ++i) scope.Spawn(SleepAndCount(env, absl::Milliseconds(3), &woken));
  co_await scope.Join();
  EXPECT_EQ(woken, 10);
}
TEST_P(ExecutorContract, SleepersMayBeAbandoned) { Run(AbandonedSleep); }

// ---- Random

Task<void> Bounds(Env env) {
  std::set<uint64_t> seen;
  for (int i = 0; i < 1'000; ++i) {
    EXPECT_EQ(env.random->Below(1), 0u);
    seen.insert(env.random->Below(6));
    EXPECT_LT(env.random->Below(uint64_t{3} << 62), uint64_t{3} << 62);
  }
  EXPECT_EQ(seen, (std::set<uint64_t>{0, 1, 2, 3, 4, 5}));
  std::set<uint64_t> wide;
  const std::unique_ptr<Random> child = env.random->Fork("child");
  for (int i = 0; i < 100; ++i) {
    wide.insert(env.random->Below(UINT64_MAX));
    wide.insert(child->Below(UINT64_MAX));
  }
  EXPECT_EQ(wide.size(), 200u);
  co_return;
}
TEST_P(ExecutorContract, RandomNumbersFillTheirBound) { Run(Bounds); }

}  // namespace
}  // namespace stele
