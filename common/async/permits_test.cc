#include "common/async/permits.h"

#include <deque>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "common/async/task_scope.h"

namespace stele {
namespace {

class QueueExecutor : public Executor {
 public:
  void Post(Job job) override { jobs_.push_back(std::move(job)); }
  void PostFromAnyThread(Job job) override { Post(std::move(job)); }
  void PostAtTurnEnd(Job job) override { Post(std::move(job)); }
  bool IsCurrent() const override { return true; }
  void Run() {
    while (!jobs_.empty()) {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      std::move(job)();
    }
  }

 private:
  std::deque<Job> jobs_;
};

Task<void> Take(Permits* permits, int64_t amount, std::vector<Permits::Hold>* holds) {
  holds->push_back(co_await permits->Acquire(amount));
}

TEST(PermitsTest, WhoAsksForMoreThanIsFreeWaitsAndOthersWaitBehind) {
  QueueExecutor executor;
  Permits permits(&executor, 10);
  std::vector<Permits::Hold> holds;
  TaskScope scope(&executor);
  scope.Spawn(Take(&permits, 6, &holds));
  scope.Spawn(Take(&permits, 6, &holds));
  scope.Spawn(Take(&permits, 1, &holds));  // would fit, but waits its turn
  executor.Run();
  EXPECT_EQ(holds.size(), 1u);
  holds.clear();
  executor.Run();
  EXPECT_EQ(holds.size(), 2u);
  EXPECT_EQ(permits.free(), 3);
}

TEST(PermitsTest, MoreThanThereIsIsAllThatThereIs) {
  QueueExecutor executor;
  Permits permits(&executor, 10);
  std::vector<Permits::Hold> holds;
  TaskScope scope(&executor);
  scope.Spawn(Take(&permits, 1000, &holds));
  executor.Run();
  EXPECT_EQ(holds.size(), 1u);
  EXPECT_EQ(permits.free(), 0);
}

TEST(PermitsTest, ANewCountHoldsAtOnceForThoseWhoWait) {
  QueueExecutor executor;
  Permits permits(&executor, 10);
  std::vector<Permits::Hold> holds;
  TaskScope scope(&executor);
  scope.Spawn(Take(&permits, 10, &holds));
  scope.Spawn(Take(&permits, 8, &holds));
  scope.Spawn(Take(&permits, 2, &holds));
  executor.Run();
  EXPECT_EQ(holds.size(), 1u);
  permits.Resize(18);
  executor.Run();
  EXPECT_EQ(holds.size(), 2u);
  permits.Resize(4);
  EXPECT_EQ(permits.free(), 4 - 18);
  holds.erase(holds.begin());
  executor.Run();
  EXPECT_EQ(holds.size(), 1u) << "what is held is still more than there is";
  holds.clear();
  executor.Run();
  EXPECT_EQ(holds.size(), 1u);
  EXPECT_EQ(permits.free(), 2);
}

TEST(PermitsTest, WhoAskedWhenThereWasMoreGetsItWhenNobodyHoldsAny) {
  QueueExecutor executor;
  Permits permits(&executor, 10);
  std::vector<Permits::Hold> holds;
  TaskScope scope(&executor);
  scope.Spawn(Take(&permits, 1, &holds));
  scope.Spawn(Take(&permits, 10, &holds));
  scope.Spawn(Take(&permits, 1, &holds));
  executor.Run();
  permits.Resize(3);
  executor.Run();
  EXPECT_EQ(holds.size(), 1u);
  holds.clear();
  executor.Run();
  EXPECT_EQ(holds.size(), 1u);
  holds.clear();
  executor.Run();
  EXPECT_EQ(holds.size(), 1u);
  EXPECT_EQ(permits.free(), 2);
}

TEST(PermitsTest, WaitersThatAreDestroyedHoldNothingUp) {
  QueueExecutor executor;
  Permits permits(&executor, 10);
  std::vector<Permits::Hold> holds;
  TaskScope scope(&executor);
  scope.Spawn(Take(&permits, 10, &holds));
  auto abandoned = std::make_unique<TaskScope>(&executor);
  std::vector<Permits::Hold> never;
  abandoned->Spawn(Take(&permits, 10, &never));
  scope.Spawn(Take(&permits, 4, &holds));
  holds.clear();  // the abandoned one is given its turn, and destroyed before it runs
  abandoned.reset();
  executor.Run();
  EXPECT_EQ(holds.size(), 1u);
  EXPECT_TRUE(never.empty());
  EXPECT_EQ(permits.free(), 6);
}

}  // namespace
}  // namespace stele
