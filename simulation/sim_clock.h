// SimClock: virtual time as one shard sees it. Now() has an origin of its own per life of a
// process; WallNow() is the true virtual date plus an offset that the test may change at any time.
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

  // What Now() adds to the scheduler's time.
  void SetOrigin(int64_t nanoseconds) { origin_nanoseconds_ = nanoseconds; }

 private:
  SimExecutor* executor_;
  const absl::Duration* wall_offset_;
  int64_t origin_nanoseconds_ = 0;
};

}  // namespace stele::simulation
