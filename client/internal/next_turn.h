// NextTurn: continues from the ready queue, so that what follows is never inside the caller.
#pragma once

#include "common/async/completion.h"
#include "common/async/executor.h"
#include "common/async/task.h"

namespace stele::client {

inline Task<void> NextTurn(Executor* executor) {
  Completion<bool> turn(executor);
  executor->Post([completer = turn.GetCompleter()]() mutable { completer.Set(true); });
  co_await turn;
}

}  // namespace stele::client
