#include "simulation/sim_clock.h"

#include <utility>

namespace stele::simulation {
namespace {

// 2026-01-01T00:00:00Z: the date at virtual time 0.
constexpr int64_t kWallOriginSeconds = 1'767'225'600;

class SimTimer : public Timer {
 public:
  SimTimer(Scheduler* scheduler, Scheduler::TimerId id) : timer_(scheduler, id) {}

 private:
  ScopedTimer timer_;
};

}  // namespace

MonotonicTime SimClock::Now() const {
  return MonotonicTime::FromNanoseconds(executor_->scheduler()->Now().nanoseconds() +
                                        origin_nanoseconds_);
}

absl::Time SimClock::WallNow() const {
  return absl::FromUnixSeconds(kWallOriginSeconds) +
         absl::Nanoseconds(executor_->scheduler()->Now().nanoseconds()) + *wall_offset_;
}

std::unique_ptr<Timer> SimClock::CallAt(MonotonicTime deadline, Job job) {
  Scheduler* scheduler = executor_->scheduler();
  const MonotonicTime global =
      deadline == MonotonicTime::Infinite()
          ? deadline
          : MonotonicTime::FromNanoseconds(deadline.nanoseconds() - origin_nanoseconds_);
  return std::make_unique<SimTimer>(scheduler,
                                    scheduler->CallAt(executor_, global, std::move(job)));
}

}  // namespace stele::simulation
