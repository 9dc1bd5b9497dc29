// Permits: a bound on what is under way: so many bytes, so many operations. Those who ask wait in
// order. On one shard.
#pragma once

#include <algorithm>
#include <cstdint>
#include <list>
#include <utility>

#include "common/async/completion.h"
#include "common/async/executor.h"
#include "common/async/task.h"

namespace stele {

class Permits {
 public:
  // `executor` outlives it.
  Permits(Executor* executor, int64_t count) : executor_(executor), count_(count), free_(count) {}
  Permits(const Permits&) = delete;
  Permits& operator=(const Permits&) = delete;

  // What was acquired; given back when destroyed. `Permits` outlives it.
  class Hold {
   public:
    Hold() = default;
    Hold(Hold&& other) noexcept
        : permits_(std::exchange(other.permits_, nullptr)), amount_(other.amount_) {}
    Hold& operator=(Hold other) noexcept {
      std::swap(permits_, other.permits_);
      std::swap(amount_, other.amount_);
      return *this;
    }
    ~Hold() {
      if (permits_ != nullptr) permits_->Release(amount_);
    }

   private:
    friend class Permits;
    Hold(Permits* permits, int64_t amount) : permits_(permits), amount_(amount) {}
    Permits* permits_ = nullptr;
    int64_t amount_ = 0;
  };

  // Completes when `amount` is free and all who asked before have theirs. More than there is counts
  // as all that there is.
  Task<Hold> Acquire(int64_t amount) {
    amount = std::clamp<int64_t>(amount, 0, count_);
    if (!waiting_.empty() || !Fits(amount)) {
      Completion<bool> turn(executor_);
      const auto place = waiting_.insert(waiting_.end(), {amount, turn.GetCompleter()});
      // A waiter that is destroyed leaves the queue, or gives back what it was given.
      Place guard{this, place};
      co_await turn;
      guard.is_served = true;
    } else {
      free_ -= amount;
    }
    co_return Hold(this, amount);
  }

  // There are so many from now on. What is held beyond that is not taken away.
  void Resize(int64_t count) {
    free_ += count - count_;
    count_ = count;
    Release(0);
  }

  int64_t free() const { return free_; }

 private:
  struct Waiter {
    int64_t amount;
    Completer<bool> turn;
    bool is_given = false;
  };
  struct Place {
    Permits* permits;
    std::list<Waiter>::iterator waiter;
    bool is_served = false;
    ~Place() {
      const int64_t owed = waiter->is_given && !is_served ? waiter->amount : 0;
      const bool is_given = waiter->is_given;
      (is_given ? permits->given_ : permits->waiting_).erase(waiter);
      if (!is_served) permits->Release(owed);
    }
  };

  // Whoever asked when there was more gets it alone.
  bool Fits(int64_t amount) const { return amount <= free_ || free_ == count_; }

  void Release(int64_t amount) {
    free_ += amount;
    while (!waiting_.empty() && Fits(waiting_.front().amount)) {
      Waiter& next = waiting_.front();
      free_ -= next.amount;
      next.is_given = true;
      next.turn.Set(true);
      given_.splice(given_.end(), waiting_, waiting_.begin());
    }
  }

  Executor* executor_;
  int64_t count_;
  int64_t free_;
  std::list<Waiter> waiting_;
  std::list<Waiter> given_;  // have theirs, and have not run since
};

}  // namespace stele
