#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/async/completion.h"
#include "common/async/notification.h"
#include "common/async/queue_executor.h"
#include "common/async/run_concurrently.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/async/yield.h"
#include "common/base/errors.h"

namespace stele {
namespace {

struct CountsDestruction {
  int* destroyed;
  ~CountsDestruction() { ++*destroyed; }
};

Task<int> Twice(int value) { co_return 2 * value; }

Task<void> Store(int* to, int value) { *to = co_await Twice(co_await Twice(value)); }

Task<void> WaitFor(Completion<int> completion, std::vector<int>* seen, int* destroyed) {
  CountsDestruction guard{destroyed};
  seen->push_back(co_await completion);
}

TEST(TaskTest, RunsWhenAwaitedAndReturnsValues) {
  QueueExecutor executor;
  TaskScope scope(&executor);
  int result = 0;
  Task<void> task = Store(&result, 3);
  EXPECT_EQ(result, 0);
  scope.Spawn(std::move(task));
  EXPECT_EQ(result, 12);
  EXPECT_EQ(scope.size(), 0u);
}

Task<int> SumTo(int n) {
  int sum = 0;
  for (int i = 0; i < n; ++i) sum += co_await Twice(1);
  co_return sum;
}

Task<void> StoreSum(int* to) { *to = co_await SumTo(1'000'000); }

TEST(TaskTest, LongLoopsOfReadyChildrenDoNotGrowTheStack) {
  QueueExecutor executor;
  TaskScope scope(&executor);
  int result = 0;
  scope.Spawn(StoreSum(&result));
  EXPECT_EQ(result, 2'000'000);
}

TEST(CompletionTest, ResumesFromTheQueueNotInsideSet) {
  QueueExecutor executor;
  TaskScope scope(&executor);
  std::vector<int> seen;
  int destroyed = 0;
  Completion<int> completion(&executor);
  Completer<int> completer = completion.GetCompleter();
  scope.Spawn(WaitFor(std::move(completion), &seen, &destroyed));
  completer.Set(7);
  completer.Set(8);
  EXPECT_TRUE(seen.empty());
  executor.Run();
  EXPECT_EQ(seen, std::vector<int>{7});
  EXPECT_EQ(destroyed, 1);
}

TEST(CompletionTest, WaiterDestroyedBetweenSetAndResume) {
  QueueExecutor executor;
  std::vector<int> seen;
  int destroyed = 0;
  Completion<int> completion(&executor);
  Completer<int> completer = completion.GetCompleter();
  {
    TaskScope scope(&executor);
    scope.Spawn(WaitFor(std::move(completion), &seen, &destroyed));
    completer.Set(7);
  }
  EXPECT_EQ(destroyed, 1);
  executor.Run();
  EXPECT_TRUE(seen.empty());
}

TEST(TaskScopeTest, DestructionDestroysSuspendedFrames) {
  QueueExecutor executor;
  std::vector<int> seen;
  int destroyed = 0;
  std::vector<Completion<int>> kept;
  {
    TaskScope scope(&executor);
    for (int i = 0; i < 3; ++i) {
      scope.Spawn(WaitFor(Completion<int>(&executor), &seen, &destroyed));
    }
    EXPECT_EQ(scope.size(), 3u);
  }
  EXPECT_EQ(destroyed, 3);
}

Task<void> JoinAndMark(TaskScope* scope, bool* joined) {
  co_await scope->Join();
  *joined = true;
}

TEST(TaskScopeTest, JoinWaitsForAll) {
  QueueExecutor executor;
  TaskScope outer(&executor);
  TaskScope scope(&executor);
  std::vector<int> seen;
  int destroyed = 0;
  Completion<int> a(&executor);
  Completion<int> b(&executor);
  Completer<int> set_a = a.GetCompleter();
  Completer<int> set_b = b.GetCompleter();
  scope.Spawn(WaitFor(std::move(a), &seen, &destroyed));
  scope.Spawn(WaitFor(std::move(b), &seen, &destroyed));
  bool joined = false;
  outer.Spawn(JoinAndMark(&scope, &joined));
  set_b.Set(2);
  executor.Run();
  EXPECT_FALSE(joined);
  set_a.Set(1);
  executor.Run();
  EXPECT_TRUE(joined);
  EXPECT_EQ(seen, (std::vector<int>{2, 1}));
}

Task<void> WaitUntil(Notification* changed, const int* value, int target, int* rounds) {
  while (*value < target) {
    ++*rounds;
    co_await changed->Wait();
  }
}

TEST(NotificationTest, WakesAllWaitersEachTime) {
  QueueExecutor executor;
  TaskScope scope(&executor);
  Notification changed(&executor);
  int value = 0;
  int rounds = 0;
  scope.Spawn(WaitUntil(&changed, &value, 1, &rounds));
  scope.Spawn(WaitUntil(&changed, &value, 2, &rounds));
  for (value = 1; value <= 2; ++value) {
    changed.NotifyAll();
    executor.Run();
  }
  EXPECT_EQ(scope.size(), 0u);
  EXPECT_EQ(rounds, 3);
}

Task<void> Keep(Task<absl::Status> task, std::optional<absl::Status>* result) {
  *result = co_await std::move(task);
}

absl::Status Await(QueueExecutor* executor, Task<absl::Status> task) {
  std::optional<absl::Status> result;
  TaskScope scope(executor);
  scope.Spawn(Keep(std::move(task), &result));
  executor->Run();
  return *result;
}

Task<void> Turns(Executor* executor, size_t count) {
  for (; count > 0; --count) {
    Completion<bool> turn(executor);
    executor->Post([completer = turn.GetCompleter()]() mutable { completer.Set(true); });
    co_await turn;
  }
}

Task<absl::Status> Work(Executor* executor, size_t index, size_t failing,
                        std::vector<size_t>* begun, size_t* running, size_t* most) {
  begun->push_back(index);
  *most = std::max(*most, ++*running);
  co_await Turns(executor, 1 + index % 3);
  --*running;
  if (index == failing) co_return MakeError(ErrorCode::kIoError, "failed");
  co_return absl::OkStatus();
}

TEST(RunConcurrentlyTest, LimitsWhatRunsAndStopsAfterAnError) {
  QueueExecutor executor;
  for (const size_t failing : {size_t{999}, size_t{7}}) {
    std::vector<size_t> begun;
    size_t running = 0;
    size_t most = 0;
    const auto work = [&](size_t i) {
      return Work(&executor, i, failing, &begun, &running, &most);
    };
    const absl::Status result = Await(&executor, RunConcurrently(&executor, 20, 4, work));
    EXPECT_EQ(running, 0u);
    EXPECT_EQ(most, 4u);
    EXPECT_TRUE(std::is_sorted(begun.begin(), begun.end()));
    EXPECT_EQ(result.ok(), failing == 999);
    EXPECT_TRUE(failing == 999 ? begun.size() == 20 : begun.size() < 16) << begun.size();
  }
  const auto never = [](size_t) -> Task<absl::Status> { co_return absl::OkStatus(); };
  EXPECT_TRUE(Await(&executor, RunConcurrently(&executor, 0, 4, never)).ok());
}

Task<absl::Status> YieldAndAdd(Executor* executor, std::vector<int>* order) {
  order->push_back(1);
  co_await Yield(executor);
  order->push_back(3);
  co_return absl::OkStatus();
}

TEST(YieldTest, LetsThoseGoFirstThatAreReady) {
  QueueExecutor executor;
  std::vector<int> order;
  executor.Post([&] { order.push_back(2); });
  EXPECT_TRUE(Await(&executor, YieldAndAdd(&executor, &order)).ok());
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

}  // namespace
}  // namespace stele
