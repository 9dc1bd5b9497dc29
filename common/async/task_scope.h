// TaskScope: owns coroutines that nobody awaits. Destroying the scope destroys those that still
// run; closing it waits for them. A component keeps one as its last member, so that its coroutines
// die before what they use.
#pragma once

#include <coroutine>
#include <cstddef>
#include <list>
#include <utility>

#include "common/async/completion.h"
#include "common/async/executor.h"
#include "common/async/task.h"

namespace stele {

class TaskScope {
 public:
  // `executor` must outlive the scope.
  explicit TaskScope(Executor* executor);
  TaskScope(const TaskScope&) = delete;
  TaskScope& operator=(const TaskScope&) = delete;
  // Destroys the frames of all tasks that have not ended. They see no further resumption.
  ~TaskScope();

  // Starts `task` now, on the caller's stack, up to its first suspension.
  void Spawn(Task<void> task);

  // How many spawned tasks have not ended.
  size_t size() const { return running_.size(); }

  // Completes when all tasks spawned so far or meanwhile have ended.
  Task<void> Join();

 private:
  struct Root;  // the coroutine type that drives one spawned task
  static Root Drive(TaskScope* scope, Task<void> task);
  void OnEnd(std::list<std::coroutine_handle<>>::iterator place);

  Executor* executor_;
  std::list<std::coroutine_handle<>> running_;
  std::list<Completer<bool>> joiners_;
};

}  // namespace stele
