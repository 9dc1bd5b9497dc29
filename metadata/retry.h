// Operations on a store that cannot be reached for a while.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/seams/env.h"
#include "metadata/backoff.h"

namespace stele::metadata {

inline const absl::Status& StatusOf(const absl::Status& status) { return status; }
template <typename T>
const absl::Status& StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// Gives the result of `operation`, which is a function that gives a task, calling it again with
// growing pauses while the error is temporary, until retry.give_up_at. Only for what may be
// repeated: reads, and writes whose second application does no harm. What `env` points to, and what
// `operation` uses, outlive the task.
template <typename Result, typename Operation>
Task<Result> WhileUnavailable(Env env, RetryOptions retry, Operation operation) {
  Backoff backoff(env.random, retry);
  for (;;) {
    Result result = co_await operation();
    if (!IsTemporary(StatusOf(result)) || env.clock->Now() >= retry.give_up_at) co_return result;
    co_await SleepFor(env.executor, env.clock, backoff.Next());
  }
}

}  // namespace stele::metadata
