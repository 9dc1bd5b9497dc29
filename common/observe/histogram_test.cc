#include "common/observe/histogram.h"

#include <algorithm>
#include <vector>

#include <gtest/gtest.h>

namespace stele::observe {
namespace {

TEST(HistogramTest, EmptyIsZero) {
  const Histogram histogram;
  EXPECT_EQ(histogram.Percentile(5'000), 0);
  EXPECT_EQ(histogram.mean(), 0);
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram histogram;
  for (int value = 1; value <= 100; ++value) histogram.Record(value);
  EXPECT_EQ(histogram.Percentile(5'000), 50);
  EXPECT_EQ(histogram.Percentile(9'900), 99);
  EXPECT_EQ(histogram.Percentile(10'000), 100);
  EXPECT_EQ(histogram.min(), 1);
  EXPECT_EQ(histogram.max(), 100);
  EXPECT_EQ(histogram.mean(), 50);
}

TEST(HistogramTest, LargeValuesStayWithinOnePercent) {
  std::vector<int64_t> values;
  Histogram histogram;
  for (int64_t value = 1; value < (int64_t{1} << 45); value = value * 17 / 16 + 1) {
    values.push_back(value);
    histogram.Record(value);
  }
  for (int permyriad = 100; permyriad <= 10'000; permyriad += 100) {
    const size_t rank = (values.size() * permyriad + 9'999) / 10'000;
    const int64_t exact = values[rank - 1];
    const int64_t got = histogram.Percentile(permyriad);
    EXPECT_GE(got, exact);
    EXPECT_LE(got - exact, exact / 100 + 1) << permyriad;
  }
}

TEST(HistogramTest, OutOfRangeValuesAreClamped) {
  Histogram histogram;
  histogram.Record(-5);
  histogram.Record(INT64_MAX);
  EXPECT_EQ(histogram.min(), 0);
  EXPECT_EQ(histogram.max(), (int64_t{1} << 46) - 1);
  EXPECT_EQ(histogram.Percentile(10'000), histogram.max());
}

TEST(HistogramTest, AddMergesCounts) {
  Histogram a;
  Histogram b;
  a.Record(10, 3);
  b.Record(1'000'000);
  a.Add(b);
  a.Add(Histogram());
  EXPECT_EQ(a.count(), 4);
  EXPECT_EQ(a.min(), 10);
  EXPECT_EQ(a.max(), 1'000'000);
  EXPECT_EQ(a.Percentile(7'500), 10);
}

}  // namespace
}  // namespace stele::observe
