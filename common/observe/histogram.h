// Histogram: counts of values with a relative error below 1 %, in fixed memory, in the way of
// HdrHistogram. For latencies
// in nanoseconds; works for any non-negative integers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace stele::observe {

class Histogram {
 public:
  Histogram() : counts_(kBucketCount) {}

  // Values above kValueMax count as kValueMax, negative ones as 0.
  void Record(int64_t value, int64_t times = 1);
  void Add(const Histogram& other);
  void Clear();

  int64_t count() const { return count_; }
  int64_t min() const { return count_ == 0 ? 0 : min_; }
  int64_t max() const { return max_; }
  int64_t sum() const { return sum_; }
  int64_t mean() const { return count_ == 0 ? 0 : sum_ / count_; }

  // The least recorded value v, within the error, such that `permyriad` / 10,000 of all values are
  // <= v: 5,000 is the median, 9,990 the 99.9th percentile. 0 when nothing was recorded.
  int64_t Percentile(int permyriad) const;

 private:
  // Each power of two is cut into 128 equal parts.
  static constexpr int kSubBits = 7;
  static constexpr int kValueBits = 46;  // about 19 hours of nanoseconds
  static constexpr int64_t kValueMax = (int64_t{1} << kValueBits) - 1;
  static constexpr size_t kBucketCount = (kValueBits - kSubBits + 1) << kSubBits;

  static size_t BucketOf(int64_t value);
  static int64_t UpperValueOf(size_t bucket);

  std::vector<int64_t> counts_;
  int64_t count_ = 0;
  int64_t min_ = 0;
  int64_t max_ = 0;
  int64_t sum_ = 0;
};

}  // namespace stele::observe
