// Signal: "look again" for one waiter, remembered until it is waited for. What changes while the
// waiter is looking is not missed.
#pragma once

#include "common/async/executor.h"
#include "common/async/notification.h"
#include "common/async/task.h"

namespace stele::metadata {

class Signal {
 public:
  explicit Signal(Executor* executor) : raised_again_(executor) {}

  void Raise() {
    raised_ = true;
    raised_again_.NotifyAll();
  }

  // Completes when it is raised, and lowers it. The signal must outlive the task.
  Task<void> Wait() {
    while (!raised_) co_await raised_again_.Wait();
    raised_ = false;
  }

 private:
  bool raised_ = false;
  Notification raised_again_;
};

}  // namespace stele::metadata
