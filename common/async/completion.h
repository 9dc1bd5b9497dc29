// Completion<T>: one value that arrives later. One side holds the Completion and awaits it; the
// other holds a Completer and sets it once. Either side may vanish first: a Completion that was
// destroyed ignores the value, and a Completer that is destroyed unset leaves its waiter waiting
// (the waiter's owner destroys it). Both live on one shard.
#pragma once

#include <coroutine>
#include <memory>
#include <optional>
#include <utility>

#include "common/async/executor.h"
#include "common/base/check.h"

namespace stele {

template <typename T>
class Completer;

template <typename T>
class [[nodiscard]] Completion {
 public:
  explicit Completion(Executor* executor) : state_(std::make_shared<State>()) {
    state_->executor = executor;
  }
  Completion(Completion&&) noexcept = default;
  Completion& operator=(Completion&&) noexcept = default;
  ~Completion() {
    if (state_ != nullptr) state_->waiter = nullptr;
  }

  Completer<T> GetCompleter() { return Completer<T>(state_); }
  bool IsSet() const { return state_->value.has_value(); }

  // co_await completion: the value. The waiter is resumed from the ready queue, never inside Set().
  auto operator co_await() noexcept {
    struct Awaiter {
      State* state;
      bool await_ready() const noexcept { return state->value.has_value(); }
      void await_suspend(std::coroutine_handle<> waiter) const noexcept {
        STELE_CHECK(!state->waiter);
        state->waiter = waiter;
      }
      T await_resume() const { return *std::move(state->value); }
    };
    return Awaiter{state_.get()};
  }

 private:
  friend class Completer<T>;
  struct State {
    Executor* executor = nullptr;
    std::optional<T> value;
    std::coroutine_handle<> waiter;
  };
  std::shared_ptr<State> state_;
};

// Copyable, so that a callback may hold it; the first Set wins, later ones are ignored.
template <typename T>
class Completer {
 public:
  void Set(T value) {
    if (state_->value.has_value()) return;
    state_->value.emplace(std::move(value));
    // The job shares the state: a waiter that is destroyed before the job runs has cleared
    // `waiter`.
    if (state_->waiter) {
      state_->executor->Post([state = state_] {
        if (state->waiter) std::exchange(state->waiter, nullptr).resume();
      });
    }
  }
  bool IsSet() const { return state_->value.has_value(); }

 private:
  friend class Completion<T>;
  explicit Completer(std::shared_ptr<typename Completion<T>::State> state)
      : state_(std::move(state)) {}
  std::shared_ptr<typename Completion<T>::State> state_;
};

}  // namespace stele
