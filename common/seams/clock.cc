#include "common/seams/clock.h"

#include <utility>

#include "common/async/completion.h"

namespace stele {

Task<void> SleepUntil(Executor* executor, Clock* clock, MonotonicTime deadline) {
  Completion<bool> due(executor);
  const std::unique_ptr<Timer> timer =
      clock->CallAt(deadline, [completer = due.GetCompleter()]() mutable { completer.Set(true); });
  co_await due;
}

Task<void> SleepFor(Executor* executor, Clock* clock, absl::Duration duration) {
  co_await SleepUntil(executor, clock, clock->Now() + duration);
}

}  // namespace stele
