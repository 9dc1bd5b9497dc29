#include "simulation/scheduler.h"

#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/seams/clock.h"
#include "simulation/sim_process.h"

namespace stele::simulation {
namespace {

bool Never() { return false; }

// Three shards post and sleep as their random streams say; gives the order in which things ran.
struct Workload {
  explicit Workload(uint64_t seed) : scheduler({.seed = seed}) {
    for (const char* name : {"a", "b", "c"}) {
      SimProcess* process = scheduler.AddProcess(name);
      for (int i = 0; i < 4; ++i) process->Spawn(Wander(process, i, &order));
    }
    EXPECT_FALSE(scheduler.RunUntil(Never).ok());
  }

  static Task<void> Wander(SimProcess* process, int task, std::vector<std::string>* order) {
    for (int round = 0; round < 5; ++round) {
      order->push_back(StrCat(process->name(), task, ":", round));
      co_await SleepFor(process->executor(), process->clock(),
                        absl::Microseconds(process->random()->Below(3)));
    }
  }

  std::vector<std::string> order;
  Scheduler scheduler;
};

TEST(SchedulerTest, OneSeedGivesOneRunAndAnotherSeedAnother) {
  Workload first(7);
  Workload again(7);
  Workload other(8);
  EXPECT_EQ(first.order.size(), 60u);
  EXPECT_EQ(first.order, again.order);
  EXPECT_EQ(first.scheduler.trace().hash(), again.scheduler.trace().hash());
  EXPECT_EQ(first.scheduler.steps(), again.scheduler.steps());
  EXPECT_NE(first.order, other.order);
  EXPECT_NE(first.scheduler.trace().hash(), other.scheduler.trace().hash());
}

TEST(SchedulerTest, ReadyJobsRunInSeededOrderNotInOrderOfPosting) {
  Scheduler scheduler({.seed = 3});
  SimExecutor* executor = scheduler.AddProcess("a")->executor();
  std::vector<int> order;
  for (int i = 0; i < 8; ++i) executor->Post([i, &order] { order.push_back(i); });
  EXPECT_FALSE(scheduler.RunUntil(Never).ok());
  ASSERT_EQ(order.size(), 8u);
  EXPECT_FALSE(std::is_sorted(order.begin(), order.end()));
}

TEST(SchedulerTest, TimeJumpsToTheNextTimer) {
  Scheduler scheduler({.seed = 1});
  SimProcess* process = scheduler.AddProcess("a");
  const MonotonicTime start = process->clock()->Now();
  const absl::Time wall_start = process->clock()->WallNow();
  std::vector<absl::Duration> fired;
  auto note = [&] { fired.push_back(process->clock()->Now() - start); };
  const auto hour = process->clock()->CallAt(start + absl::Hours(1), note);
  const auto second = process->clock()->CallAt(start + absl::Seconds(1), note);
  const auto past = process->clock()->CallAt(MonotonicTime(), note);
  auto cancelled = process->clock()->CallAt(start + absl::Minutes(1), note);
  const auto never = process->clock()->CallAt(MonotonicTime::Infinite(), note);
  cancelled.reset();
  EXPECT_TRUE(fired.empty());
  EXPECT_FALSE(scheduler.RunUntil(Never).ok());
  EXPECT_EQ(fired,
            (std::vector<absl::Duration>{absl::ZeroDuration(), absl::Seconds(1), absl::Hours(1)}));
  EXPECT_EQ(process->clock()->WallNow() - wall_start, absl::Hours(1));
  process->set_wall_offset(-absl::Hours(24));
  EXPECT_EQ(process->clock()->WallNow() - wall_start, -absl::Hours(23));
}

TEST(SchedulerTest, TimerThatIsDueCanStillBeCancelled) {
  // Both are due at once and each cancels the other: exactly one runs, whatever the seed.
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Scheduler scheduler({.seed = seed});
    SimProcess* process = scheduler.AddProcess("a");
    int ran = 0;
    std::unique_ptr<Timer> left;
    std::unique_ptr<Timer> right;
    const MonotonicTime due = process->clock()->Now() + absl::Seconds(1);
    left = process->clock()->CallAt(due, [&] { ++ran, right.reset(); });
    right = process->clock()->CallAt(due, [&] { ++ran, left.reset(); });
    ASSERT_TRUE(scheduler.RunFor(absl::Seconds(2)).ok());
    EXPECT_EQ(ran, 1);
  }
}

TEST(SchedulerTest, ManyCancelledTimersAreForgotten) {
  Scheduler scheduler({.seed = 1});
  SimProcess* process = scheduler.AddProcess("a");
  int ran = 0;
  std::vector<std::unique_ptr<Timer>> kept;
  for (int i = 0; i < 10'000; ++i) {
    auto timer = process->clock()->CallAt(process->clock()->Now() + absl::Milliseconds(i),
                                          [&ran] { ++ran; });
    if (i % 10 == 0) kept.push_back(std::move(timer));
  }
  ASSERT_TRUE(scheduler.RunFor(absl::Seconds(20)).ok());
  EXPECT_EQ(ran, 1'000);
  EXPECT_EQ(scheduler.steps(), 1'000u);
}

TEST(SchedulerTest, RunForStopsAtItsEnd) {
  Scheduler scheduler({.seed = 1});
  SimProcess* process = scheduler.AddProcess("a");
  int ran = 0;
  const auto timer =
      process->clock()->CallAt(process->clock()->Now() + absl::Seconds(2), [&ran] { ++ran; });
  ASSERT_TRUE(scheduler.RunFor(absl::Seconds(1)).ok());
  EXPECT_EQ(ran, 0);
  EXPECT_EQ(scheduler.Now().nanoseconds(), 1'000'000'000);
  ASSERT_TRUE(scheduler.RunFor(absl::Seconds(1)).ok());
  EXPECT_EQ(ran, 1);
}

Task<void> WaitForever(SimProcess* process) {
  Completion<bool> never(process->executor());
  co_await never;
}

TEST(SchedulerTest, NoProgressSaysWhoWaits) {
  Scheduler scheduler({.seed = 1});
  SimProcess* process = scheduler.AddProcess("bookie-1");
  process->Spawn(WaitForever(process));
  process->Spawn(WaitForever(process));
  const absl::Status status = scheduler.RunUntil(Never);
  EXPECT_EQ(CodeOf(status), ErrorCode::kDeadline);
  EXPECT_NE(status.ToString().find("no progress: 2 tasks wait (bookie-1: 2)"), std::string::npos)
      << status;
}

Task<void> Spin(SimProcess* process) {
  for (;;) co_await SleepFor(process->executor(), process->clock(), absl::ZeroDuration());
}

TEST(SchedulerTest, StepLimitEndsALivelock) {
  Scheduler scheduler({.seed = 1, .step_limit = 1'000});
  SimProcess* process = scheduler.AddProcess("a");
  process->Spawn(Spin(process));
  const absl::Status status = scheduler.RunUntil(Never);
  EXPECT_NE(status.ToString().find("step limit"), std::string::npos) << status;
  EXPECT_EQ(scheduler.steps(), 1'000u);
  EXPECT_TRUE(scheduler.IsStuck());
}

TEST(SchedulerTest, JobsThatNeverWaitAreALivelock) {
  Scheduler scheduler({.seed = 1});
  SimProcess* process = scheduler.AddProcess("a");
  process->Spawn(Spin(process));
  const absl::Status status = scheduler.RunFor(absl::Seconds(1));
  EXPECT_NE(status.ToString().find("no time passes"), std::string::npos) << status;
  EXPECT_TRUE(scheduler.IsStuck());
  EXPECT_EQ(scheduler.Now(), MonotonicTime::FromNanoseconds(0));
}

struct Marks {
  std::string* log;
  std::string name;
  ~Marks() { *log += name; }
};

Task<void> HoldMark(SimProcess* process, std::string* log, int* ran) {
  const Marks mark{log, "t"};
  for (;;) {
    ++*ran;
    co_await SleepFor(process->executor(), process->clock(), absl::Seconds(1));
  }
}

TEST(SimProcessTest, CrashIsDestruction) {
  std::string log;
  int ran = 0;
  int hooks = 0;
  Scheduler scheduler({.seed = 1});  // its end is the last crash: it sees the variables above
  SimProcess* process = scheduler.AddProcess("a", 2);
  process->AtCrash([&hooks] { ++hooks; });
  process->Own(std::make_unique<Marks>(Marks{&log, ""}));
  process->Own(std::make_unique<Marks>(Marks{&log, ""}))->name = "1";
  process->Own(std::make_unique<Marks>(Marks{&log, ""}))->name = "2";
  process->Spawn(HoldMark(process, &log, &ran), 1);
  ASSERT_TRUE(scheduler.RunFor(absl::Milliseconds(1'500)).ok());
  EXPECT_EQ(ran, 2);
  process->executor()->Post([&ran] { ran = 1000; });
  process->Crash();
  EXPECT_EQ(log, "t21");
  EXPECT_EQ(hooks, 1);
  EXPECT_FALSE(process->alive());
  process->executor()->Post([&ran] { ran = 1000; });
  ASSERT_TRUE(scheduler.RunFor(absl::Seconds(10)).ok());
  EXPECT_EQ(ran, 2);

  process->Restart();
  EXPECT_EQ(process->life(), 2u);
  process->executor()->Post([&ran] { ran = 1000; });
  ASSERT_TRUE(scheduler.RunFor(absl::Seconds(10)).ok());
  EXPECT_EQ(ran, 1000);
}

TEST(SimProcessTest, CrashByAnOwnJobDestroysAfterTheJob) {
  std::string log;
  Scheduler scheduler({.seed = 1});
  SimProcess* process = scheduler.AddProcess("a");
  process->Own(std::make_unique<Marks>(Marks{&log, ""}))->name = "object";
  bool posted_ran = false;
  process->executor()->Post([&] {
    process->Crash();
    EXPECT_EQ(log, "");
    process->executor()->Post([&posted_ran] { posted_ran = true; });
  });
  ASSERT_TRUE(scheduler.RunFor(absl::Seconds(1)).ok());
  EXPECT_EQ(log, "object");
  EXPECT_FALSE(posted_ran);
}

TEST(SimProcessTest, MonotonicClocksOfTwoLivesHaveDifferentOrigins) {
  Scheduler scheduler({.seed = 1});
  SimProcess* process = scheduler.AddProcess("a");
  const MonotonicTime first = process->clock()->Now();
  process->Crash();
  process->Restart();
  EXPECT_NE(process->clock()->Now(), first);
}

TEST(SimRandomTest, ForksAreFixedBySeedAndLabel) {
  SimRandom a(1);
  SimRandom moved(1);
  moved.Below(10);
  EXPECT_EQ(a.Fork("x")->Below(1'000'000'007), moved.Fork("x")->Below(1'000'000'007));
  EXPECT_NE(a.Fork("x")->Below(UINT64_MAX), a.Fork("y")->Below(UINT64_MAX));
  EXPECT_NE(a.Fork("x")->Below(UINT64_MAX), SimRandom(2).Fork("x")->Below(UINT64_MAX));
  EXPECT_NE(a.Fork("x")->Fork("x")->Below(UINT64_MAX), a.Fork("x")->Below(UINT64_MAX));
}

TEST(TraceTest, EveryPartOfAnEventCounts) {
  auto hash_of = [](TraceKind kind, uint64_t a, uint64_t b) {
    Trace trace;
    trace.Record(kind, a, b);
    return trace.hash();
  };
  const uint64_t hash = hash_of(TraceKind::kFrame, 1, 2);
  EXPECT_EQ(hash, hash_of(TraceKind::kFrame, 1, 2));
  EXPECT_NE(hash, hash_of(TraceKind::kFile, 1, 2));
  EXPECT_NE(hash, hash_of(TraceKind::kFrame, 2, 1));
  EXPECT_NE(DigestOf("abcdefgh"), DigestOf("abcdefg"));
  EXPECT_NE(DigestOf(std::string_view("\0", 1)), DigestOf(""));
}

}  // namespace
}  // namespace stele::simulation
