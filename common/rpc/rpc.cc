#include "common/rpc/rpc.h"

#include <memory>

namespace stele::rpc {

Task<bool> Caller::Pause(absl::Duration duration) {
  const MonotonicTime until = clock_->Now() + duration;
  while (!is_gone_ && clock_->Now() < until) {
    Completion<bool> woken = changed_.Wait();
    const std::unique_ptr<Timer> timer = clock_->CallAt(until, [this] { changed_.NotifyAll(); });
    co_await woken;
  }
  co_return !is_gone_;
}

void Caller::SetGone() {
  is_gone_ = true;
  changed_.NotifyAll();
}

}  // namespace stele::rpc
