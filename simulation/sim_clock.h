// SimClock: virtual time as one shard sees it. Now() has an origin of its own per life of a process
// and may run faster or slower than the true time; WallNow() is the true virtual date plus an
// offset that the test may change at any time.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "common/seams/clock.h"
#include "simulation/scheduler.h"

namespace stele::simulation {

class SimClock : public Clock {
 public:
  // Both must outlive the clock.
  SimClock(SimExecutor* executor, const absl::Duration* wall_offset)
      : executor_(executor), wall_offset_(wall_offset) {}

  MonotonicTime Now() const override;
  absl::Time WallNow() const override;
  std::unique_ptr<Timer> CallAt(MonotonicTime deadline, Job job) override;

  // Now() begins at an origin of its own.
  void Begin(int64_t origin_nanoseconds, int64_t rate_thousandths);
  // From now on; Now() does not jump. A timer that then ends too early waits on.
  void SetRate(int64_t rate_thousandths);

  // The true time at which Now() will be `local`.
  MonotonicTime TrueTimeOf(MonotonicTime local) const;

 private:
  int64_t true_nanoseconds() const { return executor_->scheduler()->Now().nanoseconds(); }

  SimExecutor* executor_;
  const absl::Duration* wall_offset_;
  // Now() was local_base_ when the true time was true_base_.
  int64_t local_base_nanoseconds_ = 0;
  int64_t true_base_nanoseconds_ = 0;
  int64_t rate_thousandths_ = 1'000;
};

}  // namespace stele::simulation
