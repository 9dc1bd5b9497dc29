// Launch: the two other forms of a coroutine for callers that are not one: a callback, and a
// std::future. The only place that knows about futures.
#pragma once

#include <future>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/errors.h"

namespace stele {

// Called once, on the shard that did the work.
template <typename Result>
using ResultCallback = absl::AnyInvocable<void(Result) &&>;
template <typename T>
using Callback = ResultCallback<absl::StatusOr<T>>;
using StatusCallback = ResultCallback<absl::Status>;

// As a last argument: give me a std::future. Never wait for one on a shard.
struct UseFuture {
  explicit UseFuture() = default;
};

namespace internal {

template <typename Result>
Task<void> RunAndCall(Task<Result> task, ResultCallback<Result> done) {
  Result result = co_await std::move(task);
  std::move(done)(std::move(result));
}

// Sets its promise once; at the latest, with kStopped, when it is destroyed, so that nobody waits
// for ever for an operation that was abandoned.
template <typename Result>
class PromiseKeeper {
 public:
  PromiseKeeper() = default;
  PromiseKeeper(PromiseKeeper&& other) noexcept
      : promise_(std::move(other.promise_)), is_owed_(std::exchange(other.is_owed_, false)) {}
  PromiseKeeper& operator=(PromiseKeeper&&) = delete;
  ~PromiseKeeper() {
    if (is_owed_) {
      promise_.set_value(
          Result(MakeError(ErrorCode::kStopped, Effect::kUnknown, "the operation was abandoned")));
    }
  }
  std::future<Result> GetFuture() { return promise_.get_future(); }
  void operator()(Result result) && {
    is_owed_ = false;
    promise_.set_value(std::move(result));
  }

 private:
  std::promise<Result> promise_;
  bool is_owed_ = true;
};

}  // namespace internal

// Starts `task` in `scope` and calls `done` with its result. On the scope's shard. When the scope
// is destroyed first, `done` is destroyed without a call.
template <typename Result>
void Launch(TaskScope* scope, Task<Result> task, ResultCallback<Result> done) {
  scope->Spawn(internal::RunAndCall<Result>(std::move(task), std::move(done)));
}

// A callback and the future that it fulfils, also when it is destroyed without a call (kStopped).
// Any thread may make it and wait.
template <typename Result>
std::pair<ResultCallback<Result>, std::future<Result>> MakeFutureCallback() {
  internal::PromiseKeeper<Result> keeper;
  std::future<Result> future = keeper.GetFuture();
  return {ResultCallback<Result>(std::move(keeper)), std::move(future)};
}

// As Launch with a callback; the future has the result, or kStopped when the scope is destroyed
// first.
template <typename Result>
std::future<Result> Launch(TaskScope* scope, Task<Result> task, UseFuture) {
  auto [done, future] = MakeFutureCallback<Result>();
  Launch(scope, std::move(task), std::move(done));
  return std::move(future);
}

}  // namespace stele
