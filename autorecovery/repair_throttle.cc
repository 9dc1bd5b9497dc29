#include "autorecovery/repair_throttle.h"

#include <algorithm>
#include <utility>

namespace stele::autorecovery {
namespace {

// What an idle bucket saves up, and the most that is still owed when the rate changes.
constexpr absl::Duration kBurst = absl::Milliseconds(100);
// Whoever waits looks again at least so often: the limits may have changed.
constexpr absl::Duration kLookAgain = absl::Milliseconds(200);
// Of one charge: more than any entry, and no product overflows.
constexpr int64_t kChargeMaxBytes = int64_t{1} << 32;
// So long a request counts as being on its way, however long it takes: one to a bookie that hangs
// must not keep others from finding that out.
constexpr absl::Duration kTurnMax = absl::Milliseconds(500);
// A request costs as much as so many bytes, at least.
constexpr int64_t kRequestMinBytes = 4096;

}  // namespace

void TokenBucket::SetRate(int64_t bytes_per_second, MonotonicTime now) {
  if (bytes_per_second == rate_) return;
  rate_ = bytes_per_second;
  paid_at_ = std::min(paid_at_, now + kBurst);
}

MonotonicTime TokenBucket::ReadyAt(MonotonicTime now) const {
  return rate_ == 0 ? now : std::max(now, paid_at_);
}

void TokenBucket::Charge(int64_t bytes, MonotonicTime now) {
  if (rate_ == 0) return;
  bytes = std::clamp(bytes, -kChargeMaxBytes, kChargeMaxBytes);
  paid_at_ = std::max(paid_at_, now + -kBurst) + absl::Nanoseconds(bytes * 1'000'000'000 / rate_);
}

void RepairThrottle::SetLimits(const metadata::RepairLimits& limits, int64_t workers) {
  const MonotonicTime now = env_.clock->Now();
  limits_ = limits;
  const int64_t share = limits.cluster == 0
                            ? 0
                            : std::max<int64_t>(limits.cluster / std::max<int64_t>(workers, 1), 1);
  cluster_.SetRate(share, now);
  check_.SetRate(limits.check, now);
  for (auto& [bookie, lane] : sources_) lane.bucket.SetRate(limits.source, now);
  for (auto& [bookie, lane] : targets_) lane.bucket.SetRate(limits.target, now);
}

RepairThrottle::Lane& RepairThrottle::LaneOf(Lanes* lanes, const BookieId& bookie, int64_t rate) {
  Lane& lane = lanes->try_emplace(bookie, env_.executor).first->second;
  lane.bucket.SetRate(rate, env_.clock->Now());
  return lane;
}

Task<RepairThrottle::Turn> RepairThrottle::Enter(Lane* lane, int64_t bytes) {
  Turn turn;
  turn.lane_ = lane;
  turn.bytes_ = std::max(bytes, kRequestMinBytes);
  turn.place_ = std::make_shared<Permits::Hold>(co_await lane->on_their_way.Acquire(turn.bytes_));
  turn.since_ = env_.clock->Now();
  turn.patience_ = env_.clock->CallAt(turn.since_ + kTurnMax,
                                      [place = turn.place_] { *place = Permits::Hold(); });
  co_return turn;
}

Task<void> RepairThrottle::Answered(Turn turn) {
  const MonotonicTime now = env_.clock->Now();
  const absl::Duration took = now - turn.since_;
  turn.lane_->window.OnAnswer(turn.bytes_, took, now);
  turn.lane_->on_their_way.Resize(turn.lane_->window.bytes());
  const absl::Duration pause = turn.lane_->window.PauseAfter(turn.bytes_, took);
  if (pause > absl::ZeroDuration()) co_await SleepFor(env_.executor, env_.clock, pause);
}

Task<RepairThrottle::Turn> RepairThrottle::AcquireRead(BookieId source, int64_t bytes) {
  for (;;) {
    const MonotonicTime now = env_.clock->Now();
    Lane& lane = LaneOf(&sources_, source, limits_.source);
    const MonotonicTime ready = lane.bucket.ReadyAt(now);
    if (ready <= now) {
      lane.bucket.Charge(bytes, now);
      co_return co_await Enter(&lane, bytes);
    }
    co_await SleepUntil(env_.executor, env_.clock, std::min(ready, now + kLookAgain));
  }
}

Task<RepairThrottle::Turn> RepairThrottle::AcquireWrite(BookieId target, int64_t bytes) {
  for (;;) {
    const MonotonicTime now = env_.clock->Now();
    Lane& lane = LaneOf(&targets_, target, limits_.target);
    const MonotonicTime ready = std::max(lane.bucket.ReadyAt(now), cluster_.ReadyAt(now));
    if (ready <= now) {
      lane.bucket.Charge(bytes, now);
      cluster_.Charge(bytes, now);
      co_return co_await Enter(&lane, bytes);
    }
    co_await SleepUntil(env_.executor, env_.clock, std::min(ready, now + kLookAgain));
  }
}

Task<void> RepairThrottle::AcquireCheck(int64_t bytes) {
  for (;;) {
    const MonotonicTime now = env_.clock->Now();
    const MonotonicTime ready = check_.ReadyAt(now);
    if (ready <= now) {
      check_.Charge(bytes, now);
      co_return;
    }
    co_await SleepUntil(env_.executor, env_.clock, std::min(ready, now + kLookAgain));
  }
}

void RepairThrottle::CorrectRead(const BookieId& source, int64_t more) {
  LaneOf(&sources_, source, limits_.source).bucket.Charge(more, env_.clock->Now());
}

void RepairThrottle::CorrectWrite(const BookieId& target, int64_t more) {
  const MonotonicTime now = env_.clock->Now();
  LaneOf(&targets_, target, limits_.target).bucket.Charge(more, now);
  cluster_.Charge(more, now);
}

void RepairThrottle::CorrectCheck(int64_t more) { check_.Charge(more, env_.clock->Now()); }

}  // namespace stele::autorecovery
