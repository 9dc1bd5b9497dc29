#include "metadata/drivers/test_loop.h"

#include <algorithm>
#include <chrono>

#include "absl/time/clock.h"

namespace stele::metadata {

class TestLoop::TimerHandle : public Timer {
 public:
  TimerHandle(TestLoop* loop, TimerKey key) : loop_(loop), key_(key) {}
  ~TimerHandle() override { loop_->timers_.erase(key_); }

 private:
  TestLoop* loop_;
  TimerKey key_;
};

void TestLoop::PostFromAnyThread(Job job) {
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(std::move(job));
  }
  wake_.notify_one();
}

MonotonicTime TestLoop::Now() const {
  return MonotonicTime::FromNanoseconds(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
}

absl::Time TestLoop::WallNow() const { return absl::Now(); }

std::unique_ptr<Timer> TestLoop::CallAt(MonotonicTime deadline, Job job) {
  const TimerKey key(deadline, ++last_timer_);
  timers_.emplace(key, std::move(job));
  return std::make_unique<TimerHandle>(this, key);
}

bool TestLoop::RunUntil(const std::function<bool()>& done, absl::Duration limit) {
  const MonotonicTime give_up = Now() + limit;
  while (!done()) {
    if (Now() >= give_up) return false;
    Job job;
    if (!timers_.empty() && timers_.begin()->first.first <= Now()) {
      job = std::move(timers_.extract(timers_.begin()).mapped());
    } else {
      MonotonicTime until = give_up;
      if (!timers_.empty()) until = std::min(until, timers_.begin()->first.first);
      std::unique_lock lock(mutex_);
      wake_.wait_for(lock, std::chrono::nanoseconds(absl::ToInt64Nanoseconds(until - Now())),
                     [this] { return !jobs_.empty(); });
      if (jobs_.empty()) continue;
      job = std::move(jobs_.front());
      jobs_.pop_front();
    }
    std::move(job)();
  }
  return true;
}

}  // namespace stele::metadata
