// Yield: lets the jobs run that are ready now. For work that goes on long without waiting for
// anything, and for what must not go on inside of its caller.
#pragma once

#include "common/async/completion.h"
#include "common/async/executor.h"
#include "common/async/task.h"

namespace stele {

inline Task<void> Yield(Executor* executor) {
  Completion<bool> turn(executor);
  executor->Post([completer = turn.GetCompleter()]() mutable { completer.Set(true); });
  co_await turn;
}

}  // namespace stele
