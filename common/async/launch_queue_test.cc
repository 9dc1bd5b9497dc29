#include "common/async/launch_queue.h"

#include <deque>
#include <memory>
#include <string>

#include <gtest/gtest.h>

namespace stele {
namespace {

// Says that it is another thread's until told otherwise.
class OtherThreadExecutor : public Executor {
 public:
  void Post(Job job) override { jobs_.push_back(std::move(job)); }
  void PostFromAnyThread(Job job) override { Post(std::move(job)); }
  void PostAtTurnEnd(Job job) override { Post(std::move(job)); }
  bool IsCurrent() const override { return is_current; }
  int Run() {
    is_current = true;
    int count = 0;
    for (; !jobs_.empty(); ++count) {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      std::move(job)();
    }
    is_current = false;
    return count;
  }
  bool is_current = false;

 private:
  std::deque<Job> jobs_;
};

TEST(LaunchQueueTest, RunsCallsOfOtherThreadsInOrderWithOneWakeUp) {
  OtherThreadExecutor executor;
  auto queue = std::make_shared<LaunchQueue>(&executor);
  std::string seen;
  for (char c : {'a', 'b', 'c'}) {
    EXPECT_TRUE(queue->Run([&seen, c] { seen += c; }));
  }
  EXPECT_EQ(seen, "");
  EXPECT_EQ(executor.Run(), 1);
  EXPECT_EQ(seen, "abc");
}

TEST(LaunchQueueTest, OnTheShardRunsAtOnceButAfterEarlierCalls) {
  OtherThreadExecutor executor;
  auto queue = std::make_shared<LaunchQueue>(&executor);
  std::string seen;
  queue->Run([&] { seen += 'a'; });
  executor.is_current = true;
  queue->Run([&] { seen += 'b'; });
  EXPECT_EQ(seen, "ab");
  queue->RunLater([&] { seen += 'd'; });
  seen += 'c';
  executor.Run();
  EXPECT_EQ(seen, "abcd");
}

TEST(LaunchQueueTest, AClosedQueueRunsWhatWasGivenAndRefusesTheRest) {
  auto executor = std::make_unique<OtherThreadExecutor>();
  auto queue = std::make_shared<LaunchQueue>(executor.get());
  std::string seen;
  queue->Run([&] { seen += 'a'; });
  queue->Close();
  EXPECT_EQ(seen, "a");
  executor.reset();
  EXPECT_FALSE(queue->Run([&] { seen += 'b'; }));
  EXPECT_FALSE(queue->RunLater([&] { seen += 'b'; }));
  EXPECT_EQ(seen, "a");
}

TEST(LaunchQueueTest, AnAbandonedQueueDestroysWhatWasGiven) {
  OtherThreadExecutor executor;
  auto queue = std::make_shared<LaunchQueue>(&executor);
  auto held = std::make_shared<int>(1);
  queue->Run([held] { FAIL(); });
  queue->Abandon();
  EXPECT_EQ(held.use_count(), 1);
  executor.Run();
}

}  // namespace
}  // namespace stele
