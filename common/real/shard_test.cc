#include "common/real/shard.h"

#include <atomic>
#include <csignal>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "common/async/completion.h"
#include "common/real/signals.h"

namespace stele::real {
namespace {

Task<int> AddAfterSleep(Env env, int a, int b) {
  co_await SleepFor(env.executor, env.clock, absl::Milliseconds(1));
  co_return a + b;
}

Task<void> WaitForEver(Executor* executor, std::shared_ptr<int> held) {
  Completion<bool> never(executor);
  co_await never;
}

TEST(ShardTest, RunsATaskOnTheCallersThread) {
  Shard shard;
  EXPECT_FALSE(shard.executor()->IsCurrent());
  EXPECT_EQ(shard.RunUntil(AddAfterSleep(shard.env(), 3, 4)), 7);
  EXPECT_EQ(shard.RunUntil(AddAfterSleep(shard.env(), 5, 6)), 11);
}

TEST(ShardTest, PostedJobsRunLaterInOrderAndTurnEndAfterThem) {
  Shard shard;
  std::vector<int> order;
  Executor* const executor = shard.executor();
  executor->PostAtTurnEnd([&] {
    order.push_back(9);
    shard.RequestStop();
  });
  executor->Post([&] {
    EXPECT_TRUE(executor->IsCurrent());
    executor->Post([&] { order.push_back(3); });
    order.push_back(1);
  });
  executor->Post([&] { order.push_back(2); });
  EXPECT_TRUE(order.empty());
  shard.Run();
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 9}));
}

TEST(ShardTest, JobsThatPostJobsForEverDoNotStarveTheRest) {
  Shard shard;
  bool due = false;
  struct Spinner {
    Executor* executor;
    const bool* done;
    void operator()() {
      if (!*done) executor->Post(Spinner(*this));
    }
  };
  shard.executor()->Post(Spinner{shard.executor(), &due});
  const auto timer = shard.env().clock->CallAt(shard.env().clock->Now(), [&] {
    due = true;
    shard.RequestStop();
  });
  shard.Run();
  EXPECT_TRUE(due);
}

TEST(ShardTest, EveryPostFromManyThreadsRunsOnceOnTheShard) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 2'000;
  Shard shard;
  int count = 0;  // of the shard's thread
  shard.Start();
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kPosts; ++i) {
        shard.executor()->PostFromAnyThread([&] {
          EXPECT_TRUE(shard.executor()->IsCurrent());
          ++count;
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  shard.Stop();
  shard.loop()->RunUntil([&] { return count >= kThreads * kPosts; });  // what Stop left
  EXPECT_EQ(count, kThreads * kPosts);
}

TEST(ShardTest, TwoShardsPostToEachOther) {
  Shard a({.name = "a"});
  Shard b({.name = "b"});
  struct PingPong {
    Shard* here;
    Shard* there;
    int left;
    void operator()() {
      if (left == 0) return here->RequestStop();
      there->executor()->PostFromAnyThread(PingPong{there, here, left - 1});
    }
  };
  b.Start();
  a.executor()->Post(PingPong{&a, &b, 1'000});
  a.Run();
  b.Stop();
}

TEST(ShardTest, StopLeavesSuspendedTasksToTheirOwner) {
  Shard shard;
  auto held = std::make_shared<int>(1);
  TaskScope scope(shard.executor());
  scope.Spawn(WaitForEver(shard.executor(), held));
  scope.Spawn(WaitForEver(shard.executor(), held));
  shard.Start();
  shard.Stop();
  EXPECT_EQ(scope.size(), 2u);
  EXPECT_EQ(held.use_count(), 3);
}

TEST(ShardTest, DestructionDropsJobsThatWereNotRun) {
  auto held = std::make_shared<int>(1);
  {
    Shard shard;
    shard.executor()->Post([held] { FAIL(); });
    shard.executor()->PostAtTurnEnd([held] { FAIL(); });
    shard.executor()->PostFromAnyThread([held] { FAIL(); });
    // A job may own a timer, which needs the clock when it dies.
    shard.executor()->Post(
        [timer = shard.env().clock->CallAt(MonotonicTime::Infinite(), [held] {})] {});
    EXPECT_EQ(held.use_count(), 5);
  }
  EXPECT_EQ(held.use_count(), 1);
}

TEST(EventLoopTest, DropJobsDropsAlsoWhatTheDroppedOnesPost) {
  EventLoop loop;
  auto held = std::make_shared<int>(1);
  struct PostsWhenDropped {
    EventLoop* loop;
    std::shared_ptr<int> held;
    ~PostsWhenDropped() {
      if (held != nullptr) loop->Post([kept = held] { FAIL(); });
    }
  };
  loop.Post([dropped = std::make_unique<PostsWhenDropped>(&loop, held)] { FAIL(); });
  loop.DropJobs();
  EXPECT_EQ(held.use_count(), 1);
}

TEST(ShardTest, StartsAgainAfterStop) {
  Shard shard;
  for (int i = 0; i < 3; ++i) {
    std::atomic<bool> ran = false;
    shard.Start();
    shard.executor()->PostFromAnyThread([&] {
      ran = true;
      ran.notify_one();
    });
    ran.wait(false);
    shard.Stop();
  }
}

TEST(StopSignalsTest, CallsOnTheShardForEachSignal) {
  Shard shard;
  std::vector<int> seen;
  {
    StopSignals signals(&shard, [&](int signal) {
      EXPECT_TRUE(shard.executor()->IsCurrent());
      seen.push_back(signal);
      if (seen.size() == 2)
        shard.RequestStop();
      else
        std::raise(SIGINT);
    });
    shard.executor()->Post([] { std::raise(SIGTERM); });
    shard.Run();
  }
  EXPECT_EQ(seen, (std::vector<int>{SIGTERM, SIGINT}));
}

}  // namespace
}  // namespace stele::real
