#include "common/observe/testing/metrics_reader.h"

#include <gtest/gtest.h>

namespace stele::observe {
namespace {

TEST(MetricsReaderTest, ReadsSamplesWhateverTheOrderOfTheirLabels) {
  const auto metrics = MetricsReader::Parse(
      "# TYPE a counter\na 1\na{z=\"1\",b=\"x\\\"\\\\\\n\"} 2.5\n"
      "# TYPE s summary\ns{quantile=\"0.5\"} NaN\ns_count 3\ns_sum 4\n");
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_EQ(metrics->Value("a"), "1");
  EXPECT_EQ(metrics->Value("a{b=\"x\\\"\\\\\\n\",z=\"1\"}"), "2.5");
  EXPECT_EQ(metrics->Value("s_count"), "3");
  EXPECT_EQ(metrics->Value("b"), "absent");
  EXPECT_EQ(metrics->names(), (std::set<std::string>{"a", "s", "s_count", "s_sum"}));
}

TEST(MetricsReaderTest, RefusesWhatPrometheusWouldNotTake) {
  for (const std::string_view bad :
       {"", "a 1", "a 1\n", "# TYPE a counter\na\n", "# TYPE a counter\na x\n",
        "# TYPE a counter\n1a 1\n", "# TYPE a counter\na 1\na 2\n", "# TYPE a thing\na 1\n",
        "# TYPE a counter\n# TYPE b counter\na 1\n", "# TYPE a counter\na{b=\"c} 1\n",
        "# TYPE a counter\na{b=\"\\x\"} 1\n", "# TYPE a counter\na{b-c=\"\"} 1\n",
        "# TYPE a counter\na{b=\"1\" c=\"2\"} 1\n", "# TYPE a counter\na{b=\"1\",b=\"2\"} 1\n",
        "# TYPE a counter\na_count 1\n", "# TYPE a summary\na 1\n",
        "# TYPE a counter\na 1\n# TYPE b counter\nb 1\n# TYPE a counter\na{x=\"\"} 1\n",
        "# TYPE a counter\na 0x10\n", "# TYPE a counter\n\na 1\n"}) {
    EXPECT_FALSE(MetricsReader::Parse(bad).ok()) << bad;
  }
}

}  // namespace
}  // namespace stele::observe
