#include "autorecovery/repair_window.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace stele::autorecovery {
namespace {

constexpr double kBytesMin = 16 << 10;
constexpr double kBytesMax = 64 << 20;
// How much longer a request may take than the fastest: half as long again, or so long.
constexpr absl::Duration kWaitMin = absl::Milliseconds(2);
constexpr absl::Duration kPeriod = absl::Seconds(10);
// Requests up to so many bytes are of one size.
constexpr int64_t kSmallBytes = 16 << 10;

}  // namespace

void RepairWindow::BeginPeriod(absl::Duration took, MonotonicTime now) {
  const bool is_next = period_end_.has_value() && now < *period_end_ + kPeriod;
  period_end_ = now + kPeriod;
  for (Fastest& fastest : fastest_) {
    fastest = {.before = is_next ? fastest.now : absl::InfiniteDuration()};
  }
  if (is_next) {
    look_end_ = now + 2 * took;
    bytes_after_look_ = std::exchange(bytes_, kBytesMin);
  } else {
    bytes_ = kUnit;
    is_starting_ = true;
    bytes_after_look_ = 0;
  }
}

RepairWindow::Fastest& RepairWindow::FastestOf(int64_t bytes) {
  const auto size = static_cast<size_t>(
      std::bit_width(static_cast<uint64_t>(std::max<int64_t>(bytes - 1, 0) / kSmallBytes)));
  return fastest_[std::min(size, fastest_.size() - 1)];
}

void RepairWindow::OnAnswer(int64_t bytes, absl::Duration took, MonotonicTime now) {
  if (!period_end_.has_value() || now >= *period_end_) BeginPeriod(took, now);
  Fastest& fastest = FastestOf(bytes);
  fastest.now = std::min(fastest.now, took);
  if (bytes_after_look_ > 0) {
    if (now >= look_end_) bytes_ = std::exchange(bytes_after_look_, 0);
    return;
  }
  const absl::Duration alone = std::min(fastest.now, fastest.before);
  const double too_long = absl::FDivDuration(took - alone, std::max(alone / 2, kWaitMin)) - 1;
  // For the answers of a whole window: twice as much at the start, then one unit more; or less, at
  // most by half.
  const double share = std::min(static_cast<double>(bytes) / bytes_, 1.0);
  if (too_long > 0) {
    is_starting_ = false;
    bytes_ -= bytes_ * share * std::min(too_long, 0.5);
  } else {
    bytes_ += share * (is_starting_ ? bytes_ : std::min(bytes_, kUnit));
  }
  bytes_ = std::clamp(bytes_, kBytesMin, kBytesMax);
}

absl::Duration RepairWindow::PauseAfter(int64_t bytes, absl::Duration took) const {
  const double windows = static_cast<double>(bytes) / bytes_;
  if (windows <= 1) return absl::ZeroDuration();
  const absl::Duration at_rate_min =
      absl::Seconds(static_cast<double>(bytes) / static_cast<double>(kRateMin));
  return std::clamp(took * (windows - 1), absl::ZeroDuration(),
                    std::max(at_rate_min - took, absl::ZeroDuration()));
}

}  // namespace stele::autorecovery
