#include "common/observe/histogram.h"

#include <algorithm>
#include <bit>

namespace stele::observe {

// Values below 2^(kSubBits + 1) have a bucket each; above, the top kSubBits + 1 bits choose it.
size_t Histogram::BucketOf(int64_t value) {
  const auto unsigned_value = static_cast<uint64_t>(value);
  const int shift = std::max(0, static_cast<int>(std::bit_width(unsigned_value)) - (kSubBits + 1));
  return (static_cast<size_t>(shift) << kSubBits) + (unsigned_value >> shift);
}

int64_t Histogram::UpperValueOf(size_t bucket) {
  const size_t shift = bucket < (size_t{2} << kSubBits) ? 0 : (bucket >> kSubBits) - 1;
  const uint64_t top = bucket - (shift << kSubBits);
  return static_cast<int64_t>(((top + 1) << shift) - 1);
}

void Histogram::Record(int64_t value, int64_t times) {
  value = std::clamp<int64_t>(value, 0, kValueMax);
  counts_[BucketOf(value)] += times;
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = std::max(max_, value);
  count_ += times;
  sum_ += value * times;
}

void Histogram::Add(const Histogram& other) {
  if (other.count_ == 0) return;
  const size_t end = BucketOf(other.max_) + 1;
  for (size_t i = BucketOf(other.min_); i < end; ++i) counts_[i] += other.counts_[i];
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  count_ += other.count_;
  sum_ += other.sum_;
}

void Histogram::Clear() { *this = Histogram(); }

int64_t Histogram::Percentile(int permyriad) const {
  if (count_ == 0) return 0;
  const int64_t wanted = std::max<int64_t>(1, (count_ * permyriad + 9'999) / 10'000);
  int64_t seen = 0;
  for (size_t bucket = BucketOf(min_); bucket < counts_.size(); ++bucket) {
    seen += counts_[bucket];
    if (seen >= wanted) return std::clamp(UpperValueOf(bucket), min_, max_);
  }
  return max_;
}

}  // namespace stele::observe
