// RepairWindow: how many bytes repair has on their way to one bookie, in one direction. It learns
// from how long answers take. As long as they take little more than without repair there may be
// more on their way, else fewer: an idle bookie is used to the full, with a short queue, and
// clients of a busy one wait little longer than they would anyway.
//
// Pure. Source: docs/decisions/0012-repair-makes-room.md.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/time/time.h"
#include "common/base/time.h"

namespace stele::autorecovery {

class RepairWindow {
 public:
  int64_t bytes() const { return static_cast<int64_t>(bytes_); }

  // A request of so many bytes was answered after `took`.
  void OnAnswer(int64_t bytes, absl::Duration took, MonotonicTime now);

  // How long the bookie is left alone after that answer: a window that is smaller than a request is
  // kept by pauses.
  absl::Duration PauseAfter(int64_t bytes, absl::Duration took) const;

  // Bytes per second that are always asked for, unless the bookie takes longer for one request, for
  // lost copies must come back however busy it is.
  static constexpr int64_t kRateMin = 4 << 20;

 private:
  static constexpr double kUnit = 64 << 10;

  // The shortest time of requests of about one size.
  struct Fastest {
    absl::Duration now = absl::InfiniteDuration();     // in this period
    absl::Duration before = absl::InfiniteDuration();  // in the last
  };

  void BeginPeriod(absl::Duration took, MonotonicTime now);
  Fastest& FastestOf(int64_t bytes);

  double bytes_ = kUnit;
  bool is_starting_ = true;  // doubles until a wait is seen for the first time
  std::array<Fastest, 12> fastest_;
  std::optional<MonotonicTime> period_end_;  // nothing: before the first answer
  // Each period begins with a look at what answers take without repair, or nearly.
  MonotonicTime look_end_;
  double bytes_after_look_ = 0;
};

}  // namespace stele::autorecovery
