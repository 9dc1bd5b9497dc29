#include <gtest/gtest.h>

#include "common/observe/metrics_text.h"
#include "common/observe/summary.h"

namespace stele::observe {
namespace {

MonotonicTime At(int64_t seconds) {
  return MonotonicTime::FromNanoseconds(seconds * 1'000'000'000);
}

TEST(SummaryTest, CountsAllAndForgetsWhatIsOlderThanTwoWindows) {
  Summary summary;
  EXPECT_EQ(summary.Recent(At(0)).count(), 0);
  summary.Record(At(10), 5);
  summary.Record(At(69), 7);
  EXPECT_EQ(summary.Recent(At(69)).max(), 7);
  summary.Record(At(70), 9);  // the window turns
  EXPECT_EQ(summary.Recent(At(129)).count(), 3);
  EXPECT_EQ(summary.Recent(At(130)).count(), 1);
  EXPECT_EQ(summary.Recent(At(130)).min(), 9);
  EXPECT_EQ(summary.Recent(At(190)).count(), 0);
  summary.Record(At(500), 11);  // what came before the gap does not come back
  EXPECT_EQ(summary.Recent(At(500)).count(), 1);
  EXPECT_EQ(summary.count(), 4);
  EXPECT_EQ(summary.sum(), 32);
}

TEST(SummaryTest, ThePastOfAQuietWindowDoesNotComeBack) {
  Summary summary;
  summary.Record(At(0), 1);
  summary.Record(At(121), 2);
  EXPECT_EQ(summary.Recent(At(121)).count(), 1);
  summary.Record(At(181), 3);
  EXPECT_EQ(summary.Recent(At(181)).count(), 2);
}

TEST(MetricsTextTest, SamplesOfANameStandTogetherUnderOneType) {
  MetricsText text(At(0));
  text.Counter("b_total", {{"kind", "x"}}, 1);
  text.Gauge("a", {}, -3);
  text.Counter("b_total", {{"kind", "y"}, {"at", "z"}}, 2);
  EXPECT_EQ(text.ToString(),
            "# TYPE a gauge\n"
            "a -3\n"
            "# TYPE b_total counter\n"
            "b_total{kind=\"x\"} 1\n"
            "b_total{kind=\"y\",at=\"z\"} 2\n");
}

TEST(MetricsTextTest, NamesAndLabelsMayHoldAnything) {
  MetricsText text(At(0));
  text.Gauge("dir-/a b\xC3\xA4_usage", {{"a.b", "say \"hi\"\\\nnow"}}, 1);
  text.Gauge("0", {}, 1);
  text.Gauge("", {}, 1);
  EXPECT_EQ(text.ToString(),
            "# TYPE _ gauge\n"
            "_ 1\n"
            "# TYPE _0 gauge\n"
            "_0 1\n"
            "# TYPE dir__a_b___usage gauge\n"
            "dir__a_b___usage{a_b=\"say \\\"hi\\\"\\\\\\nnow\"} 1\n");
}

TEST(MetricsTextTest, DecimalsAreExact) {
  MetricsText text(At(0));
  text.Gauge("a", {}, 7, 2);
  text.Gauge("aa", {}, 42, 2);
  text.Gauge("b", {}, -12345, 2);
  text.Gauge("c", {}, 100, 2);
  EXPECT_EQ(text.ToString(),
            "# TYPE a gauge\na 0.07\n# TYPE aa gauge\naa 0.42\n# TYPE b gauge\nb -123.45\n# TYPE c "
            "gauge\nc 1.00\n");
}

TEST(MetricsTextTest, LatenciesAreSummariesInMillisecondsByOutcome) {
  Latency latency;
  for (int i = 1; i <= 100; ++i) {
    latency.Record(true, At(1), MonotonicTime::FromNanoseconds(1'000'000'000 + i * 64));
  }
  MetricsText text(At(1));
  text.OfLatency("op", {{"journalIndex", "0"}}, latency);
  const std::string all = text.ToString();
  EXPECT_EQ(all.find("# TYPE op summary\nop{success=\"false\",journalIndex=\"0\","
                     "quantile=\"0.5\"} NaN\n"),
            0u)
      << all;
  EXPECT_NE(all.find("op_count{success=\"false\",journalIndex=\"0\"} 0\n"), std::string::npos);
  EXPECT_NE(all.find("op_count{success=\"true\",journalIndex=\"0\"} 100\n"), std::string::npos);
  // 323,200 ns are less than a millisecond.
  EXPECT_NE(all.find("op_sum{success=\"true\",journalIndex=\"0\"} 0\n"), std::string::npos);
  // The greatest one is exact; the median has the histogram's error.
  EXPECT_NE(all.find("quantile=\"1.0\"} 0.006400\n"), std::string::npos) << all;
  EXPECT_NE(all.find("op{success=\"true\",journalIndex=\"0\",quantile=\"0.5\"} 0.0032"),
            std::string::npos)
      << all;
}

TEST(MetricsTextTest, SizesKeepTheirUnitAndHaveTheShapeOfLatencies) {
  Summary sizes;
  sizes.Record(At(0), 4096);
  MetricsText text(At(0));
  text.OfSizes("batch", {}, sizes);
  const std::string all = text.ToString();
  // Dashboards ask for success="true", as with latencies.
  EXPECT_NE(all.find("batch{success=\"true\",quantile=\"0.5\"} 4096\n"), std::string::npos) << all;
  EXPECT_NE(all.find("batch_count{success=\"true\"} 1\nbatch_sum{success=\"true\"} 4096\n"),
            std::string::npos)
      << all;
  EXPECT_NE(all.find("batch{success=\"false\",quantile=\"0.5\"} NaN\n"), std::string::npos) << all;
}

}  // namespace
}  // namespace stele::observe
