// LedgerLocks: one coroutine at a time may change what the disk has of a ledger. They keep loading,
// flushing and deleting of one ledger apart; different ledgers do not wait for each other.
#pragma once

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "common/async/executor.h"
#include "common/async/notification.h"
#include "common/async/task.h"
#include "common/base/ids.h"

namespace stele::bookie {

class LedgerLocks {
 public:
  explicit LedgerLocks(Executor* executor) : released_(executor) {}

  // Held until it is destroyed, which must be before the LedgerLocks is.
  class Guard {
   public:
    Guard(LedgerLocks* locks, LedgerId ledger) : locks_(locks), ledger_(ledger) {}
    Guard(Guard&& other) noexcept
        : locks_(std::exchange(other.locks_, nullptr)), ledger_(other.ledger_) {}
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (locks_ == nullptr) return;
      locks_->held_.erase(ledger_);
      locks_->released_.NotifyAll();
    }

   private:
    LedgerLocks* locks_;
    LedgerId ledger_;
  };

  Task<Guard> Acquire(LedgerId ledger) {
    while (!held_.insert(ledger).second) co_await released_.Wait();
    co_return Guard(this, ledger);
  }

 private:
  absl::flat_hash_set<LedgerId> held_;  // looked up only
  Notification released_;
};

}  // namespace stele::bookie
