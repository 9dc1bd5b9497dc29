#include "simulation/sim_clock.h"

#include <utility>

namespace stele::simulation {
namespace {

// 2026-01-01T00:00:00Z: the date at virtual time 0.
constexpr int64_t kWallOriginSeconds = 1'767'225'600;

// a * b / c without overflow of the product.
int64_t Scaled(int64_t a, int64_t b, int64_t c) {
  return static_cast<int64_t>(static_cast<__int128>(a) * b / c);
}

class SimTimer : public Timer {
 public:
  SimTimer(SimExecutor* executor, const SimClock* clock, MonotonicTime deadline, Job job)
      : executor_(executor), clock_(clock), deadline_(deadline), job_(std::move(job)) {
    Arm();
  }
  ~SimTimer() override { executor_->scheduler()->Cancel(id_); }

 private:
  void Arm() {
    id_ = executor_->scheduler()->CallAt(executor_, clock_->TrueTimeOf(deadline_),
                                         [this] { Fire(); });
  }
  void Fire() {
    // The clock may have become slower since.
    if (clock_->Now() < deadline_) return Arm();
    Job job = std::move(job_);  // which may destroy this timer
    std::move(job)();
  }

  SimExecutor* executor_;
  const SimClock* clock_;
  MonotonicTime deadline_;
  Job job_;
  Scheduler::TimerId id_;
};

}  // namespace

void SimClock::Begin(int64_t origin_nanoseconds, int64_t rate_thousandths) {
  true_base_nanoseconds_ = true_nanoseconds();
  local_base_nanoseconds_ = origin_nanoseconds + true_base_nanoseconds_;
  rate_thousandths_ = rate_thousandths;
}

void SimClock::SetRate(int64_t rate_thousandths) {
  local_base_nanoseconds_ = Now().nanoseconds();
  true_base_nanoseconds_ = true_nanoseconds();
  rate_thousandths_ = rate_thousandths;
}

MonotonicTime SimClock::Now() const {
  return MonotonicTime::FromNanoseconds(
      local_base_nanoseconds_ +
      Scaled(true_nanoseconds() - true_base_nanoseconds_, rate_thousandths_, 1'000));
}

MonotonicTime SimClock::TrueTimeOf(MonotonicTime local) const {
  if (local == MonotonicTime::Infinite()) return local;
  const int64_t passed = local.nanoseconds() - local_base_nanoseconds_;
  // Rounded up: the timer must not find that it has come too early.
  const int64_t rounding = passed > 0 ? rate_thousandths_ - 1 : 0;
  const __int128 true_passed =
      (static_cast<__int128>(passed) * 1'000 + rounding) / rate_thousandths_;
  if (true_passed > INT64_MAX - true_base_nanoseconds_) return MonotonicTime::Infinite();
  return MonotonicTime::FromNanoseconds(true_base_nanoseconds_ + static_cast<int64_t>(true_passed));
}

absl::Time SimClock::WallNow() const {
  return absl::FromUnixSeconds(kWallOriginSeconds) + absl::Nanoseconds(true_nanoseconds()) +
         *wall_offset_;
}

std::unique_ptr<Timer> SimClock::CallAt(MonotonicTime deadline, Job job) {
  return std::make_unique<SimTimer>(executor_, this, deadline, std::move(job));
}

}  // namespace stele::simulation
