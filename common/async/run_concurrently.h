// RunConcurrently: the same work for many items, some of them at a time: a device that is asked for
// 16 syncs at once does them in little more than the time of one.
#pragma once

#include <cstddef>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "common/async/executor.h"
#include "common/async/task.h"

namespace stele {

// Awaits work(0) .. work(count - 1), at most `concurrency_max` at a time, begun in this order.
// After an error no further one is begun; the first error is the result. `work` must outlive the
// task; it makes a Task and is no coroutine itself.
Task<absl::Status> RunConcurrently(Executor* executor, size_t count, size_t concurrency_max,
                                   absl::FunctionRef<Task<absl::Status>(size_t)> work);

}  // namespace stele
