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
  for (auto& [bookie, bucket] : sources_) bucket.SetRate(limits.source, now);
  for (auto& [bookie, bucket] : targets_) bucket.SetRate(limits.target, now);
}

TokenBucket& RepairThrottle::BucketOf(std::map<BookieId, TokenBucket>* buckets,
                                      const BookieId& bookie, int64_t rate) {
  TokenBucket& bucket = (*buckets)[bookie];
  bucket.SetRate(rate, env_.clock->Now());
  return bucket;
}

Task<void> RepairThrottle::AcquireRead(BookieId source, int64_t bytes) {
  for (;;) {
    const MonotonicTime now = env_.clock->Now();
    TokenBucket& bucket = BucketOf(&sources_, source, limits_.source);
    const MonotonicTime ready = bucket.ReadyAt(now);
    if (ready <= now) {
      bucket.Charge(bytes, now);
      co_return;
    }
    co_await SleepUntil(env_.executor, env_.clock, std::min(ready, now + kLookAgain));
  }
}

Task<void> RepairThrottle::AcquireWrite(BookieId target, int64_t bytes) {
  for (;;) {
    const MonotonicTime now = env_.clock->Now();
    TokenBucket& bucket = BucketOf(&targets_, target, limits_.target);
    const MonotonicTime ready = std::max(bucket.ReadyAt(now), cluster_.ReadyAt(now));
    if (ready <= now) {
      bucket.Charge(bytes, now);
      cluster_.Charge(bytes, now);
      co_return;
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
  BucketOf(&sources_, source, limits_.source).Charge(more, env_.clock->Now());
}

void RepairThrottle::CorrectWrite(const BookieId& target, int64_t more) {
  const MonotonicTime now = env_.clock->Now();
  BucketOf(&targets_, target, limits_.target).Charge(more, now);
  cluster_.Charge(more, now);
}

void RepairThrottle::CorrectCheck(int64_t more) { check_.Charge(more, env_.clock->Now()); }

}  // namespace stele::autorecovery
