// Clock: the only source of time. One per shard; callbacks run on that shard.
#pragma once

#include <memory>

#include "absl/time/time.h"
#include "common/async/executor.h"
#include "common/async/task.h"
#include "common/base/time.h"

namespace stele {

// A pending call. Destroying it cancels the call if it has not begun.
class Timer {
 public:
  virtual ~Timer() = default;
};

class Clock {
 public:
  virtual ~Clock() = default;

  // Nanoseconds from an arbitrary origin; never goes back.
  virtual MonotonicTime Now() const = 0;

  // For display and stored creation times only: it may jump, so it is never compared and never
  // decides anything.
  virtual absl::Time WallNow() const = 0;

  // Runs `job` once on this shard at or after `deadline`, never inside this call.
  [[nodiscard]] virtual std::unique_ptr<Timer> CallAt(MonotonicTime deadline, Job job) = 0;
};

// Waits on the clock's shard; destroying the waiting task cancels the timer.
//   executor, clock   must outlive the task
Task<void> SleepUntil(Executor* executor, Clock* clock, MonotonicTime deadline);
Task<void> SleepFor(Executor* executor, Clock* clock, absl::Duration duration);

}  // namespace stele
