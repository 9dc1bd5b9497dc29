#include "client/internal/add_debt.h"

#include <algorithm>

#include "common/async/yield.h"
#include "common/base/check.h"

namespace stele::client {

AddDebt::AddDebt(Executor* executor, AddDebtLimits limits)
    : executor_(executor), limits_(limits), tasks_(executor) {}

void AddDebt::Owe(size_t size_bytes) {
  ++adds_;
  bytes_ += size_bytes;
}

void AddDebt::Settle(size_t size_bytes) {
  STELE_CHECK(adds_ > 0 && bytes_ >= size_bytes);
  --adds_;
  bytes_ -= size_bytes;
  NotifyIfPaid();
}

void AddDebt::CallWhenRoom(AddSink* sink) {
  if (std::find(waiting_.begin(), waiting_.end(), sink) == waiting_.end()) waiting_.push_back(sink);
  NotifyIfPaid();
}

void AddDebt::DropSink(AddSink* sink) { std::erase(waiting_, sink); }

void AddDebt::NotifyIfPaid() {
  if (waiting_.empty() || is_notifying_ || !IsHalfPaid()) return;
  is_notifying_ = true;
  tasks_.Spawn(Notify());
}

Task<void> AddDebt::Notify() {
  co_await Yield(executor_);
  is_notifying_ = false;
  // In the order of waiting; who fills the room again sends the others back to wait.
  while (!waiting_.empty() && HasRoom()) {
    AddSink* const sink = waiting_.front();
    waiting_.erase(waiting_.begin());
    sink->OnRoom();
  }
}

}  // namespace stele::client
