#include "common/http/console/node_health.h"

#include <string>

#include <gtest/gtest.h>

#include "common/base/strings.h"
#include "common/observe/metrics_text.h"

namespace stele::http {
namespace {

int64_t Value(const NodeHealth& health, std::string_view name) {
  const auto found = health.values.find(name);
  return found == health.values.end() ? -1 : found->second;
}

TEST(NodeHealthTest, WhatSteleSaysOfItself) {
  const MonotonicTime now = MonotonicTime::FromNanoseconds(1'000'000'000);
  observe::Latency adds;
  for (int i = 0; i < 100; ++i) adds.succeeded.Record(now, 2'000'000);
  adds.failed.Record(now, 7'000'000'000);
  observe::MetricsText text(now);
  text.OfLatency("bookkeeper_server_ADD_ENTRY_REQUEST", {}, adds);
  text.OfLatency("bookkeeper_server_READ_ENTRY_REQUEST", {}, {});
  text.Gauge("bookie_ledger_dir_/a b/\"c_usage", {{"dir", "/a b/\"c"}}, 8'712, 2);
  text.Gauge("bookkeeper_server_ADD_ENTRY_IN_PROGRESS", {}, 4);
  text.Counter("scrubber_detectedScrubErrors", {}, 2);
  text.Counter("stele_lost_indexes_total", {}, 3);
  const NodeHealth health = ReadNodeHealth(text.ToString());
  EXPECT_EQ(Value(health, "adds"), 100);
  EXPECT_EQ(Value(health, "add_failures"), 1);
  EXPECT_EQ(Value(health, "adds_in_progress"), 4);
  EXPECT_NEAR(Value(health, "add_p99_us"), 2'000, 20);
  EXPECT_EQ(Value(health, "reads"), 0);
  EXPECT_EQ(Value(health, "read_p99_us"), -1) << "there was nothing to measure";
  EXPECT_EQ(Value(health, "damaged"), 5);
  ASSERT_EQ(health.directories.size(), 1u);
  EXPECT_EQ(health.directories[0], (NodeHealth::Directory{"/a b/\\\"c", 8'712}));
}

TEST(NodeHealthTest, WhatApacheSays) {
  const NodeHealth health = ReadNodeHealth(
      "# TYPE bookkeeper_server_ADD_ENTRY_REQUEST summary\n"
      "bookkeeper_server_ADD_ENTRY_REQUEST{success=\"false\",quantile=\"0.99\"} NaN\n"
      "bookkeeper_server_ADD_ENTRY_REQUEST{success=\"true\",quantile=\"0.99\"} 3.25\n"
      "bookkeeper_server_ADD_ENTRY_REQUEST_count{success=\"true\"} 41\n"
      "bookie_journal_JOURNAL_SYNC{journalIndex=\"0\",success=\"true\",quantile=\"0.99\"} 1.5\n"
      "bookie_journal_JOURNAL_SYNC{journalIndex=\"1\",success=\"true\",quantile=\"0.99\"} 9.5\n"
      "bookie_journal_JOURNAL_SYNC{journalIndex=\"2\",success=\"true\",quantile=\"0.99\"} 2.5\n"
      "bookie_ledger_dir__data_ledgers_usage 12.5\n");
  EXPECT_EQ(Value(health, "adds"), 41);
  EXPECT_EQ(Value(health, "add_p99_us"), 3'250);
  EXPECT_EQ(Value(health, "journal_sync_p99_us"), 9'500) << "the slowest journal counts";
  ASSERT_EQ(health.directories.size(), 1u);
  EXPECT_EQ(health.directories[0], (NodeHealth::Directory{"_data_ledgers", 1'250}));
}

TEST(NodeHealthTest, WhatCannotBeUnderstoodIsNotThere) {
  const NodeHealth health = ReadNodeHealth(
      "\n{} "
      "1\nbookie_WRITE_BYTES\nbookie_WRITE_BYTES{\nbookie_WRITE_BYTES{a=\"\\\nbookie_WRITE_BYTES "
      "x\nbookie_WRITE_BYTES +Inf\nbookie_READ_BYTES 1e300\n<html>\n"
      "bookkeeper_server_ADD_ENTRY_REQUEST_count{x=\"success=\\\"true\\\"\"} 7\n"
      "bookie_ledger_dir_usage 5\nbookie_ledger_dir__usage -1e9\nbookie_ledgers_count 1");
  EXPECT_EQ(Value(health, "write_bytes"), -1);
  EXPECT_EQ(Value(health, "read_bytes"), 9'007'199'254'740'992);
  EXPECT_EQ(Value(health, "adds"), -1);
  EXPECT_EQ(Value(health, "ledgers"), 1);
  ASSERT_EQ(health.directories.size(), 1u);
  EXPECT_EQ(health.directories[0], (NodeHealth::Directory{"", 0}));

  std::string many;
  for (int i = 0; i < 1'000; ++i) many += StrCat("bookie_ledger_dir_", i, "_usage 1\n");
  EXPECT_EQ(ReadNodeHealth(many).directories.size(), kHealthDirectoriesMax);
}

}  // namespace
}  // namespace stele::http
