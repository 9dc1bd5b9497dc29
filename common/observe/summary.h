// Summary: what came in all, and how it was spread lately. For latencies in nanoseconds and sizes;
// works for any non-negative integers. One shard's: recording takes no lock and no atomic.
//
// The quantiles are those of a window of one to two times kWindow that ends now, as operators know
// them from BookKeeper's exporter. A window turns with what is recorded, so an idle summary costs
// nothing, and one that never recorded has no memory.
#pragma once

#include <cstdint>
#include <memory>

#include "absl/time/time.h"
#include "common/base/time.h"
#include "common/observe/histogram.h"

namespace stele::observe {

class Summary {
 public:
  static constexpr absl::Duration kWindow = absl::Minutes(1);

  // `now` never goes back.
  void Record(MonotonicTime now, int64_t value) {
    if (now >= turns_at_) [[unlikely]]
      Turn(now);
    current_->Record(value);
    ++count_;
    sum_ += value;
  }

  // Since the start.
  int64_t count() const { return count_; }
  int64_t sum() const { return sum_; }

  // What was recorded lately.
  Histogram Recent(MonotonicTime now) const;

 private:
  void Turn(MonotonicTime now);

  int64_t count_ = 0;
  int64_t sum_ = 0;
  MonotonicTime turns_at_;  // null pointers until the first record
  std::unique_ptr<Histogram> current_;
  std::unique_ptr<Histogram> previous_;
};

// The latency of an operation, by its outcome.
struct Latency {
  Summary succeeded;
  Summary failed;

  void Record(bool success, MonotonicTime begin, MonotonicTime now) {
    (success ? succeeded : failed).Record(now, now.nanoseconds() - begin.nanoseconds());
  }
};

}  // namespace stele::observe
