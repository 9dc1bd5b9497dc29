// AcceptRate: how many connections per second a listener takes.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"
#include "common/base/time.h"

namespace stele::real {

class AcceptRate {
 public:
  // That much quiet is saved up.
  static constexpr absl::Duration kBurst = absl::Seconds(2);

  //   per_second   0: no limit
  bool MayTake(MonotonicTime now, int per_second) const {
    return per_second == 0 || NextFree(now) + Share(per_second) <= now;
  }
  // One is taken.
  void Spend(MonotonicTime now, int per_second) {
    if (per_second > 0) free_ = NextFree(now) + Share(per_second);
  }

 private:
  static absl::Duration Share(int per_second) { return absl::Seconds(1) / per_second; }
  MonotonicTime NextFree(MonotonicTime now) const { return std::max(free_, now + -kBurst); }

  MonotonicTime free_ = MonotonicTime::FromNanoseconds(INT64_MIN);
};

}  // namespace stele::real
