#include "common/async/task_scope.h"

#include <cstdlib>

namespace stele {

struct TaskScope::Root {
  struct promise_type {
    TaskScope* scope;
    std::list<std::coroutine_handle<>>::iterator place;

    promise_type(TaskScope* owner, Task<void>&) : scope(owner) {}
    Root get_return_object() {
      return Root{std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() const noexcept { return {}; }
    // The frame destroys itself at its end; the scope forgets it first.
    auto final_suspend() const noexcept {
      struct Forget {
        bool await_ready() const noexcept { return false; }
        void await_suspend(std::coroutine_handle<promise_type> self) const noexcept {
          TaskScope* owner = self.promise().scope;
          auto entry = self.promise().place;
          self.destroy();
          owner->OnEnd(entry);
        }
        void await_resume() const noexcept {}
      };
      return Forget{};
    }
    void return_void() const noexcept {}
    [[noreturn]] void unhandled_exception() const noexcept { std::abort(); }
  };
  std::coroutine_handle<promise_type> frame;
};

TaskScope::TaskScope(Executor* executor) : executor_(executor) {}

TaskScope::~TaskScope() {
  // A frame's destructor may end up spawning nothing, but it may run other destructors: take the
  // list apart first.
  std::list<std::coroutine_handle<>> running = std::move(running_);
  running_.clear();
  for (std::coroutine_handle<> frame : running) frame.destroy();
}

TaskScope::Root TaskScope::Drive(TaskScope* scope, Task<void> task) { co_await std::move(task); }

void TaskScope::Spawn(Task<void> task) {
  Root root = Drive(this, std::move(task));
  running_.push_back(root.frame);
  root.frame.promise().place = std::prev(running_.end());
  root.frame.resume();
}

void TaskScope::OnEnd(std::list<std::coroutine_handle<>>::iterator place) {
  running_.erase(place);
  if (!running_.empty()) return;
  std::list<Completer<bool>> joiners = std::move(joiners_);
  joiners_.clear();
  for (Completer<bool>& joiner : joiners) joiner.Set(true);
}

Task<void> TaskScope::Join() {
  while (!running_.empty()) {
    Completion<bool> done(executor_);
    joiners_.push_back(done.GetCompleter());
    co_await done;
  }
}

}  // namespace stele
