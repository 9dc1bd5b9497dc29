// Backoff: how long to wait before each further attempt. Doubling, with jitter so that those who
// collided do not meet again.
#pragma once

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/errors.h"
#include "common/base/time.h"
#include "common/seams/random.h"

namespace stele::metadata {

// Errors of a store that end by themselves: it is away, or has too much to do.
inline bool IsTemporary(const absl::Status& status) {
  const ErrorCode code = CodeOf(status);
  return code == ErrorCode::kMetadataUnavailable || code == ErrorCode::kOverloaded;
}

struct RetryOptions {
  absl::Duration backoff_first = absl::Milliseconds(20);
  absl::Duration backoff_max = absl::Seconds(5);
  // No further attempt begins after it.
  MonotonicTime give_up_at = MonotonicTime::Infinite();
};

class Backoff {
 public:
  // `random` must outlive it.
  Backoff(Random* random, const RetryOptions& options)
      : random_(random), next_(options.backoff_first), max_(options.backoff_max) {}

  // Between half and all of a time that doubles with each call.
  absl::Duration Next() {
    const int64_t nanoseconds = std::max<int64_t>(absl::ToInt64Nanoseconds(next_), 2);
    next_ = std::min(2 * next_, max_);
    return absl::Nanoseconds(nanoseconds / 2 +
                             static_cast<int64_t>(random_->Below(nanoseconds / 2 + 1)));
  }

 private:
  Random* random_;
  absl::Duration next_;
  absl::Duration max_;
};

}  // namespace stele::metadata
