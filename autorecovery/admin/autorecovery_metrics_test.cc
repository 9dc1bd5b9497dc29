// What auditor and worker measure, in whole clusters.
#include <string>

#include <gtest/gtest.h>

#include "autorecovery/admin/autorecovery_routes.h"
#include "autorecovery/internal/testing/repair_cluster.h"
#include "common/base/strings.h"
#include "common/observe/testing/metrics_reader.h"

namespace stele::autorecovery {
namespace {

constexpr quorum::Replication kThreeTwo{
    .ensemble_size = 3, .write_quorum_size = 3, .ack_quorum_size = 2};

// Of the process "ar": a sample without its name's prefix, by success for summaries.
class Measured {
 public:
  explicit Measured(RepairCluster& repair) {
    observe::MetricsText text(repair.world().env(repair.process("ar")).clock->Now());
    const AutoRecovery& running = repair.autorecovery("ar");
    ExportStatus(running.auditor_status(), running.worker_status(), text);
    running.Export(text);
    auto read = observe::MetricsReader::Parse(text.ToString());
    EXPECT_TRUE(read.ok()) << read.status();
    if (read.ok()) metrics_ = *std::move(read);
  }

  std::string Value(const std::string& sample) const { return metrics_.Value(sample); }
  std::string Count(const std::string& name, bool success = true) const {
    return Value(StrCat(name, "_count{success=\"", success ? "true" : "false", "\"}"));
  }
  std::string Sum(const std::string& name) const { return Value(name + "_sum{success=\"true\"}"); }

 private:
  observe::MetricsReader metrics_;
};

std::string PayloadBytes(LedgerId ledger, int64_t entries) {
  size_t bytes = 0;
  for (int64_t i = 0; i < entries; ++i) bytes += RepairCluster::PayloadOf(ledger, i).size();
  return StrCat(bytes);
}

TEST(AutorecoveryMetricsTest, ALostBookieMovesThoseOfAuditAndRepair) {
  RepairCluster repair(1, 4);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 20);
  repair.StartAutorecovery("ar");
  repair.cluster().RunFor(absl::Seconds(10));
  const Measured before(repair);
  EXPECT_EQ(before.Value("auditor_election_attempts"), "1");
  EXPECT_EQ(before.Count("auditor_NUM_UNDER_REPLICATED_LEDGERS"), "0");
  EXPECT_EQ(before.Count("replication_worker_rereplicate"), "0");

  repair.cluster().Kill(repair.BookieAt(ledger, 0, 1));
  repair.cluster().RunUntil(
      [&] { return repair.autorecovery("ar").worker_status().ledgers_repaired == 1; });
  const Measured after(repair);
  const std::string bytes = PayloadBytes(ledger, 20);
  EXPECT_NE(after.Count("auditor_AUDIT_BOOKIES_TIME"), "0");
  EXPECT_EQ(after.Count("auditor_URL_PUBLISH_TIME_FOR_LOST_BOOKIE"), "1");
  EXPECT_EQ(after.Sum("auditor_NUM_UNDER_REPLICATED_LEDGERS"), "1");
  EXPECT_EQ(after.Sum("auditor_UNDER_REPLICATED_LEDGERS_TOTAL_SIZE"), bytes);
  EXPECT_EQ(after.Count("replication_worker_rereplicate"), "1");
  EXPECT_EQ(after.Count("replication_worker_rereplicate", false), "0");
  EXPECT_EQ(after.Value("replication_worker_NUM_ENTRIES_READ"), "20");
  EXPECT_EQ(after.Sum("replication_worker_NUM_BYTES_READ"), bytes);
  EXPECT_EQ(after.Count("replication_worker_READ_DATA_LATENCY"), "20");
  EXPECT_EQ(after.Value("replication_worker_NUM_ENTRIES_WRITTEN"), "20");
  EXPECT_EQ(after.Sum("replication_worker_NUM_BYTES_WRITTEN"), bytes);
  EXPECT_EQ(after.Count("replication_worker_WRITE_DATA_LATENCY"), "20");
  EXPECT_NE(after.Sum("replication_worker_WRITE_DATA_LATENCY"), "0") << "milliseconds";
  EXPECT_EQ(after.Value("replication_worker_NUM_ENTRIES_UNABLE_TO_READ_FOR_REPLICATION"), "0");
}

TEST(AutorecoveryMetricsTest, ARepairThatFindsNoTargetFailsAndKeepsItsLock) {
  RepairCluster repair(2, 3);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 5);
  repair.StartAutorecovery("ar");
  repair.cluster().Kill(repair.BookieAt(ledger, 0, 1));
  repair.cluster().RunUntil(
      [&] { return repair.autorecovery("ar").worker_status().ledgers_failed > 0; });
  const Measured measured(repair);
  EXPECT_EQ(measured.Count("replication_worker_rereplicate", false), "1");
  EXPECT_EQ(measured.Count("replication_worker_rereplicate"), "0");
  EXPECT_EQ(measured.Value("replication_worker_NUM_DEFER_LEDGER_LOCK_RELEASE_OF_FAILED_LEDGER"),
            "1");
}

TEST(AutorecoveryMetricsTest, AnEntryThatNoBookieGivesIsCounted) {
  RepairCluster repair(3, 4);
  const LedgerId ledger = repair.OpenLedger(kThreeTwo, 5).id();
  repair.cluster().CrashClient("application");
  repair.CloseByHand(ledger, 6);
  repair.StartAutorecovery("ar");
  repair.cluster().RunFor(absl::Seconds(10));
  ASSERT_TRUE(repair.Mark(ledger, {RepairCluster::Id(repair.BookieAt(ledger, 0, 0))}));
  repair.cluster().RunUntil(
      [&] { return repair.autorecovery("ar").worker_status().ledgers_quarantined > 0; });
  const Measured measured(repair);
  EXPECT_NE(measured.Value("replication_worker_NUM_ENTRIES_UNABLE_TO_READ_FOR_REPLICATION"), "0");
  EXPECT_NE(measured.Count("replication_worker_READ_DATA_LATENCY", false), "0");
}

TEST(AutorecoveryMetricsTest, ACheckOfAllLedgersCountsWhatItSaw) {
  RepairCluster repair(4, 4);
  for (int i = 0; i < 3; ++i) repair.WriteLedger(kThreeTwo, 2);
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.ledger_check_interval = absl::Hours(1);
  options.placement_check_interval = absl::Hours(1);
  repair.StartAutorecovery("ar", options);
  const auto status = [&] { return repair.autorecovery("ar").auditor_status(); };
  repair.cluster().RunUntil([&] { return status().ledger_checks == 1; });
  repair.cluster().RunUntil([&] { return status().placement_checks == 1 && status().audits > 0; });
  const Measured measured(repair);
  EXPECT_EQ(measured.Count("auditor_CHECK_ALL_LEDGERS_TIME"), "1");
  EXPECT_EQ(measured.Count("auditor_PLACEMENT_POLICY_CHECK_TIME"), "1");
  EXPECT_EQ(measured.Value("auditor_NUM_LEDGERS_CHECKED"), "3");
  EXPECT_EQ(measured.Sum("auditor_NUM_FRAGMENTS_PER_LEDGER"), "3");
  EXPECT_EQ(measured.Sum("auditor_NUM_BOOKIES_PER_LEDGER"), "9");
  EXPECT_EQ(measured.Value("stele_auditor_check_progress_ratio{check=\"ledgers\"}"), "1.0000");
}

}  // namespace
}  // namespace stele::autorecovery
