#include "tools/bench/reporter.h"

#include <gtest/gtest.h>

namespace stele::bench {
namespace {

TEST(ReporterTest, TheLineOfAWindowForARunner) {
  Window window{.operations = 3000, .bytes = 3'072'000, .failed = 1, .nanoseconds = 1'500'000'000};
  window.latency_nanoseconds.Record(1'000'000, 2990);
  window.latency_nanoseconds.Record(64'000'000, 10);
  const std::string line = PeerJson(window);
  EXPECT_TRUE(
      line.starts_with("{\"ops\":3000,\"bytes\":3072000,\"seconds\":1.500,\"ops_s\":2000,"
                       "\"mb_s\":2.0,\"p50_us\":"))
      << line;
  EXPECT_TRUE(line.ends_with("\"max_us\":64000,\"failed\":1}")) << line;
}

TEST(ReporterTest, AnEmptyWindowDividesByNothing) {
  EXPECT_TRUE(
      PeerJson(Window()).starts_with("{\"ops\":0,\"bytes\":0,\"seconds\":0.000,\"ops_s\":0,"));
}

}  // namespace
}  // namespace stele::bench
