// Task<T>: a C++20 coroutine that starts when it is awaited and resumes its caller when it ends, on
// the same shard.
//
// Rules (docs/HACKING.md, "Coroutines"): parameters by value; no capturing lambda is a coroutine;
// after each co_await look at the world again; no exception leaves a Task (an escaping one aborts).
// Destroying a suspended Task destroys its frame and all frames it waits for: every awaitable in
// this directory and behind the seams allows that at any time.
#pragma once

#include <coroutine>
#include <cstdlib>
#include <optional>
#include <utility>

#include "common/base/check.h"

namespace stele {

template <typename T>
class Task;

namespace internal {

struct FinalAwaiter {
  bool await_ready() const noexcept { return false; }
  template <typename Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) const noexcept {
    return self.promise().caller;
  }
  void await_resume() const noexcept {}
};

struct PromiseBase {
  std::coroutine_handle<> caller = std::noop_coroutine();
  std::suspend_always initial_suspend() const noexcept { return {}; }
  FinalAwaiter final_suspend() const noexcept { return {}; }
  [[noreturn]] void unhandled_exception() const noexcept { std::abort(); }
};

template <typename T>
struct Promise : PromiseBase {
  std::optional<T> value;
  Task<T> get_return_object();
  template <typename U>
  void return_value(U&& result) {
    value.emplace(std::forward<U>(result));
  }
};

template <>
struct Promise<void> : PromiseBase {
  Task<void> get_return_object();
  void return_void() const noexcept {}
};

}  // namespace internal

template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::Promise<T>;

  Task(Task&& other) noexcept : frame_(std::exchange(other.frame_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      if (frame_) frame_.destroy();
      frame_ = std::exchange(other.frame_, nullptr);
    }
    return *this;
  }
  ~Task() {
    if (frame_) frame_.destroy();
  }

  // co_await std::move(task): runs it to its end and gives its result.
  auto operator co_await() && noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> frame;
      bool await_ready() const noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> caller) const noexcept {
        frame.promise().caller = caller;
        return frame;
      }
      T await_resume() const {
        if constexpr (!std::is_void_v<T>) {
          STELE_CHECK(frame.promise().value.has_value());
          return *std::move(frame.promise().value);
        }
      }
    };
    STELE_CHECK(frame_ != nullptr);
    return Awaiter{frame_};
  }

 private:
  friend promise_type;
  explicit Task(std::coroutine_handle<promise_type> frame) : frame_(frame) {}
  std::coroutine_handle<promise_type> frame_;
};

namespace internal {

template <typename T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}

inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

}  // namespace internal
}  // namespace stele
