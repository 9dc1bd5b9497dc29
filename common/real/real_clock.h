// RealClock: CLOCK_MONOTONIC, and the timers of one shard in one heap. Making and cancelling a
// timer costs no system call unless it becomes the earliest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "common/real/event_loop.h"
#include "common/seams/clock.h"

namespace stele::real {

class RealClock final : public Clock {
 public:
  // `loop` must outlive the clock.
  explicit RealClock(EventLoop* loop);
  RealClock(const RealClock&) = delete;
  RealClock& operator=(const RealClock&) = delete;
  // Timers that still exist are dead afterwards; destroying them stays safe.
  ~RealClock() override;

  MonotonicTime Now() const override;
  absl::Time WallNow() const override;
  std::unique_ptr<Timer> CallAt(MonotonicTime deadline, Job job) override;

  // How many timers are pending; for tests.
  size_t pending() const { return heap_.size(); }

 private:
  class PendingTimer;
  class Alarm;

  static bool IsBefore(const PendingTimer& a, const PendingTimer& b);
  void Place(size_t position, PendingTimer* timer);
  void SiftUp(size_t position);
  void SiftDown(size_t position);
  void Remove(PendingTimer* timer);
  void ArmFor(MonotonicTime deadline);
  void RunDueTimers();

  std::unique_ptr<Alarm> alarm_;
  MonotonicTime armed_ = MonotonicTime::Infinite();  // when the alarm will ring
  std::vector<PendingTimer*> heap_;                  // 4-ary, the earliest first
  uint64_t timers_made_ = 0;
};

}  // namespace stele::real
