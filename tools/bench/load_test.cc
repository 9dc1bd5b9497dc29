#include <optional>
#include <vector>

#include <gtest/gtest.h>

#include "client/testing/test_cluster.h"
#include "common/async/task_scope.h"
#include "tools/bench/create_load.h"
#include "tools/bench/tail_load.h"

namespace stele::bench {
namespace {

// Loads live on the shard of their client.
class LoadTest : public ::testing::Test {
 protected:
  LoadTest() { cluster_.AddBookies(3); }

  absl::Status Run(Task<absl::Status> task) {
    std::optional<absl::Status> result;
    TaskScope scope(env().executor);
    env().executor->Post([&] { scope.Spawn(Keep(std::move(task), &result)); });
    cluster_.RunUntil([&] { return result.has_value(); });
    return result.value_or(absl::DeadlineExceededError("it did not end"));
  }
  static Task<void> Keep(Task<absl::Status> task, std::optional<absl::Status>* result) {
    *result = co_await std::move(task);
  }
  Window WindowOf(Load& load, absl::Duration duration) {
    load.BeginWindow();
    cluster_.RunFor(duration);
    return load.EndWindow();
  }

  Env env() { return cluster_.world().env(cluster_.process("writer")); }

  client::TestCluster cluster_;
  client::Client& client_ = cluster_.NewClient("writer");
};

TEST_F(LoadTest, ATailSeesAtTheRateOfTheAppendsAndCountsFromTheTimeDue) {
  TailLoad load(env(), &client_, &client_, {.outstanding = 1, .rate_per_second = 100});
  ASSERT_TRUE(Run(load.Start()).ok());
  cluster_.RunFor(absl::Seconds(1));
  const Window steady = WindowOf(load, absl::Seconds(10));
  EXPECT_NEAR(static_cast<double>(steady.operations), 1000, 2);
  EXPECT_EQ(steady.bytes, steady.operations * 1024);
  EXPECT_EQ(steady.failed, 0);

  // No answer for a second: one append waits at the bookies, and the others for it in the load.
  for (int i = 1; i <= 3; ++i) {
    cluster_.bookie(i).SetScript([](const wire::Request& request) {
      return client::IsAdd(request) ? client::FakeBookie::kHoldRequest : client::FakeBookie::kServe;
    });
  }
  load.BeginWindow();
  cluster_.RunFor(absl::Seconds(1));
  for (int i = 1; i <= 3; ++i) {
    cluster_.bookie(i).SetScript(nullptr);
    cluster_.bookie(i).Release();
  }
  cluster_.RunFor(absl::Seconds(1));
  const Window stalled = load.EndWindow();
  EXPECT_GT(stalled.latency_nanoseconds.Percentile(7500), 300'000'000);
  EXPECT_LT(stalled.since_call_nanoseconds.Percentile(9500), 100'000'000);
  EXPECT_TRUE(Run(load.Stop()).ok());
}

TEST_F(LoadTest, ATailEndsWithTheErrorOfItsReader) {
  TailLoad load(env(), &client_, &client_, {.outstanding = 10, .rate_per_second = 100});
  ASSERT_TRUE(Run(load.Start()).ok());
  cluster_.RunFor(absl::Seconds(1));
  EXPECT_TRUE(load.failure().ok());
  for (int i = 1; i <= 3; ++i) {
    cluster_.bookie(i).SetScript([](const wire::Request& request) {
      return client::IsAdd(request) ? client::FakeBookie::kServe
                                    : client::FakeBookie::Refuse(wire::ReplyCode::kUnauthorized);
    });
  }
  const Window window = WindowOf(load, absl::Seconds(10));
  EXPECT_EQ(window.failed, 1);
  EXPECT_FALSE(load.failure().ok());
  EXPECT_EQ(Run(load.Stop()), load.failure());
}

TEST_F(LoadTest, LedgersAreCreatedAndClosedSoManyAtOnceAndDeleted) {
  CreateLoad load(env(), &client_, {.at_once = 4});
  ASSERT_TRUE(Run(load.Start()).ok());
  const Window window = WindowOf(load, absl::Seconds(2));
  EXPECT_GT(window.operations, 4);
  EXPECT_EQ(window.latency_nanoseconds.count(), window.operations);
  // Little's law: those under way are rate times latency.
  EXPECT_NEAR(static_cast<double>(window.latency_nanoseconds.sum()) /
                  static_cast<double>(window.nanoseconds),
              4, 0.2);
  ASSERT_TRUE(Run(load.Stop()).ok());
  const std::vector<LedgerId> ledgers = load.ledgers();
  for (const LedgerId ledger : ledgers) {
    EXPECT_TRUE(cluster_.ReadMetadata(ledger).value.IsClosed());
  }
  EXPECT_TRUE(Run(load.DeleteAll()).ok());
  EXPECT_TRUE(cluster_.Get(client_.ListLedgers(UseFuture())).value().empty());
}

TEST_F(LoadTest, CreationEndsWithItsError) {
  cluster_.Unregister(client::TestCluster::Id(3));
  CreateLoad load(env(), &client_, {.at_once = 4});
  ASSERT_TRUE(Run(load.Start()).ok());
  EXPECT_EQ(WindowOf(load, absl::Seconds(2)).operations, 0);
  EXPECT_FALSE(load.failure().ok());
  EXPECT_EQ(Run(load.Stop()), load.failure());
}

}  // namespace
}  // namespace stele::bench
