// Notification: "look again". Any number of waiters; Notify wakes all of them. A wake-up carries no
// news of its own: the waiter checks its condition in a loop.   while (!condition) co_await
// changed.Wait();
#pragma once

#include <list>
#include <utility>

#include "common/async/completion.h"
#include "common/async/executor.h"

namespace stele {

class Notification {
 public:
  explicit Notification(Executor* executor) : executor_(executor) {}

  // Completes at the next NotifyAll after this call.
  Completion<bool> Wait() {
    Completion<bool> woken(executor_);
    waiters_.push_back(woken.GetCompleter());
    return woken;
  }

  void NotifyAll() {
    std::list<Completer<bool>> waiters = std::move(waiters_);
    waiters_.clear();
    for (Completer<bool>& waiter : waiters) waiter.Set(true);
  }

 private:
  Executor* executor_;
  std::list<Completer<bool>> waiters_;
};

}  // namespace stele
