// MonotonicTime: a point on a clock that never goes back. Only a Clock makes one
// (common/seams/clock.h).
#pragma once

#include <compare>
#include <cstdint>

#include "absl/time/time.h"

namespace stele {

class MonotonicTime {
 public:
  constexpr MonotonicTime() = default;
  static constexpr MonotonicTime FromNanoseconds(int64_t nanoseconds) {
    MonotonicTime result;
    result.nanoseconds_ = nanoseconds;
    return result;
  }
  static constexpr MonotonicTime Infinite() { return FromNanoseconds(INT64_MAX); }

  // Nanoseconds since an arbitrary origin; comparable within one process only.
  constexpr int64_t nanoseconds() const { return nanoseconds_; }

  friend constexpr auto operator<=>(MonotonicTime, MonotonicTime) = default;
  friend MonotonicTime operator+(MonotonicTime time, absl::Duration duration) {
    if (duration == absl::InfiniteDuration()) return Infinite();
    return FromNanoseconds(time.nanoseconds_ + absl::ToInt64Nanoseconds(duration));
  }
  friend absl::Duration operator-(MonotonicTime later, MonotonicTime earlier) {
    return absl::Nanoseconds(later.nanoseconds_ - earlier.nanoseconds_);
  }

 private:
  int64_t nanoseconds_ = 0;
};

}  // namespace stele
