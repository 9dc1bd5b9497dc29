// ByteRate: keeps background work at so many bytes per second. It never sleeps longer than
// kSliceMax at once, so that whoever is told to stop stops.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"
#include "common/async/task.h"
#include "common/base/time.h"
#include "common/seams/env.h"

namespace stele::bookie {

class ByteRate {
 public:
  static constexpr absl::Duration kSliceMax = absl::Milliseconds(100);

  // bytes_per_second 0: no limit.
  ByteRate(Env env, uint64_t bytes_per_second)
      : env_(env), bytes_per_second_(bytes_per_second), free_at_(env.clock->Now()) {}

  // How long to wait before the next bytes; at most kSliceMax. Idle time is not saved up.
  absl::Duration Delay() const {
    return std::clamp(free_at_ - env_.clock->Now(), absl::ZeroDuration(), kSliceMax);
  }
  // `bytes` are read or written now.
  void Spend(uint64_t bytes) {
    if (bytes_per_second_ == 0) return;
    free_at_ = std::max(free_at_, env_.clock->Now()) +
               absl::Nanoseconds(static_cast<int64_t>(static_cast<unsigned __int128>(bytes) *
                                                      1'000'000'000 / bytes_per_second_));
  }

 private:
  Env env_;
  uint64_t bytes_per_second_;
  MonotonicTime free_at_;
};

}  // namespace stele::bookie
