// ManualClock: a clock that a test moves, for the edges that are otherwise real.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <utility>

#include "common/seams/clock.h"

namespace stele::real {

class ManualClock final : public Clock {
 public:
  MonotonicTime Now() const override { return now_; }
  absl::Time WallNow() const override { return absl::UnixEpoch(); }
  std::unique_ptr<Timer> CallAt(MonotonicTime deadline, Job job) override {
    const Key key{deadline, made_++};
    timers_[key] = std::move(job);
    return std::make_unique<Entry>(this, key);
  }
  // Runs what is due, inside this call.
  void Advance(absl::Duration duration) {
    now_ = now_ + duration;
    while (!timers_.empty() && timers_.begin()->first.first <= now_) {
      Job job = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      std::move(job)();
    }
  }
  size_t pending() const { return timers_.size(); }

 private:
  using Key = std::pair<MonotonicTime, int>;
  struct Entry : Timer {
    Entry(ManualClock* in, Key at) : clock(in), key(at) {}
    ~Entry() override { clock->timers_.erase(key); }
    ManualClock* clock;
    Key key;
  };
  MonotonicTime now_ = MonotonicTime::FromNanoseconds(1);
  int made_ = 0;
  std::map<Key, Job> timers_;
};

}  // namespace stele::real
