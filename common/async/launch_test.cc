#include "common/async/launch.h"

#include <chrono>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "common/async/completion.h"
#include "common/async/queue_executor.h"

namespace stele {
namespace {

Task<absl::StatusOr<int>> Doubled(Completion<int> number) {
  const int value = co_await number;
  if (value < 0) co_return MakeError(ErrorCode::kInvalidArgument, "negative");
  co_return 2 * value;
}

bool IsReady(const std::future<absl::StatusOr<int>>& future) {
  return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

TEST(LaunchTest, CallsBackOnceWithTheResult) {
  QueueExecutor executor;
  TaskScope scope(&executor);
  Completion<int> number(&executor);
  Completer<int> completer = number.GetCompleter();
  std::string seen;
  Callback<int> done = [&](absl::StatusOr<int> result) { seen += std::to_string(*result); };
  Launch(&scope, Doubled(std::move(number)), std::move(done));
  EXPECT_EQ(seen, "");
  completer.Set(21);
  executor.Run();
  EXPECT_EQ(seen, "42");
  EXPECT_EQ(scope.size(), 0u);
}

TEST(LaunchTest, FulfilsAFutureWithResultOrError) {
  for (int value : {4, -4}) {
    QueueExecutor executor;
    TaskScope scope(&executor);
    Completion<int> number(&executor);
    Completer<int> completer = number.GetCompleter();
    std::future<absl::StatusOr<int>> future =
        Launch(&scope, Doubled(std::move(number)), UseFuture());
    EXPECT_FALSE(IsReady(future));
    completer.Set(value);
    executor.Run();
    ASSERT_TRUE(IsReady(future));
    const absl::StatusOr<int> result = future.get();
    if (value > 0) {
      EXPECT_EQ(result.value(), 8);
    } else {
      EXPECT_EQ(CodeOf(result.status()), ErrorCode::kInvalidArgument);
    }
  }
}

TEST(LaunchTest, AnAbandonedFutureIsStopped) {
  QueueExecutor executor;
  auto scope = std::make_unique<TaskScope>(&executor);
  std::future<absl::StatusOr<int>> future =
      Launch(scope.get(), Doubled(Completion<int>(&executor)), UseFuture());
  scope.reset();
  ASSERT_TRUE(IsReady(future));
  EXPECT_EQ(CodeOf(future.get().status()), ErrorCode::kStopped);
}

}  // namespace
}  // namespace stele
