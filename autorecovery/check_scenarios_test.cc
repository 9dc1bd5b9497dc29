// What checks find, what is done about it, and moving a bookie's ledgers away.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "autorecovery/internal/testing/repair_cluster.h"
#include "autorecovery/racks.h"
#include "common/base/strings.h"

namespace stele::autorecovery {
namespace {

constexpr quorum::Replication kThreeTwo{
    .ensemble_size = 3, .write_quorum_size = 3, .ack_quorum_size = 2};
constexpr quorum::Replication kFourTwo{
    .ensemble_size = 4, .write_quorum_size = 2, .ack_quorum_size = 2};

// The bookie of four that a ledger on three of them does not name.
BookieId Spare(RepairCluster& repair, LedgerId ledger) {
  int spare = 1 + 2 + 3 + 4;
  for (BookieIndex i = 0; i < 3; ++i) spare -= repair.BookieAt(ledger, 0, i);
  return RepairCluster::Id(spare);
}

TEST(CheckTest, AHealthyClusterIsProvenAtEveryDepth) {
  RepairCluster repair(1, 4);
  repair.WriteLedger(kThreeTwo, 20);
  repair.WriteLedger(kFourTwo, 21);
  repair.WriteLedger(kThreeTwo, 0);
  for (CheckDepth depth :
       {CheckDepth::kMetadata, CheckDepth::kAvailability, CheckDepth::kSample, CheckDepth::kFull}) {
    const CheckReport report = repair.Check(depth);
    EXPECT_TRUE(report.IsClean()) << NameOf(report.findings.front().kind);
    EXPECT_EQ(report.ledgers, 3);
    EXPECT_EQ(report.copies, 20 * 3 + 21 * 2);
    EXPECT_EQ(report.copies_proven, report.copies);
    EXPECT_EQ(report.bytes_read > 0, depth >= CheckDepth::kSample);
  }
}

TEST(CheckTest, ClosedLedgersInOneRackAreCountedAndNotMarked) {
  RepairCluster repair(4, 4);
  const LedgerId spread = repair.WriteLedger(kThreeTwo, 3);
  repair.WriteLedger(kFourTwo, 8);  // two neighbours of its four members are in one rack
  repair.OpenLedger(kThreeTwo, 3);
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.placement_check_interval = absl::Hours(1);
  options.racks =
      *RackMap::Parse(StrCat(RepairCluster::Id(repair.BookieAt(spread, 0, 0)).value(), " /other"));
  repair.StartAutorecovery("ar", options);
  const auto status = [&] { return repair.autorecovery("ar").auditor_status(); };
  repair.cluster().RunUntil([&] { return status().placement_checks == 1; });
  EXPECT_EQ(status().ledgers_off_racks, 1);
  EXPECT_EQ(repair.CountTasks(), 0u);
  repair.StopAutorecovery("ar");
  // The next one goes on with the schedule.
  repair.StartAutorecovery("next", options);
  repair.cluster().RunFor(absl::Minutes(50));
  EXPECT_EQ(repair.autorecovery("next").auditor_status().placement_checks, 0);
  repair.cluster().RunFor(absl::Minutes(15));
  EXPECT_EQ(repair.autorecovery("next").auditor_status().placement_checks, 1);
}

TEST(CheckTest, NoMetadataIsReadForPlacementWhileRepairIsSwitchedOff) {
  RepairCluster repair(9, 4);
  for (int i = 0; i < 100; ++i) repair.WriteLedger(kThreeTwo, 1);
  EXPECT_TRUE(*repair.Run(repair.settings().SetEnabled(false)));
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.placement_check_interval = absl::Hours(1);
  repair.StartAutorecovery("ar", options);
  repair.cluster().RunFor(absl::Seconds(10));
  const int64_t before = repair.OperationsOf("ar");
  repair.cluster().RunFor(absl::Seconds(10));
  EXPECT_LT(repair.OperationsOf("ar") - before, 100);
  EXPECT_TRUE(*repair.Run(repair.settings().SetEnabled(true)));
  repair.cluster().RunFor(absl::Seconds(10));
  EXPECT_EQ(repair.autorecovery("ar").auditor_status().placement_checks, 1);
}

// T42, as far as there is something: what is in too few racks is not moved.
TEST(CheckTest, T42WhileARackIsDownNothingIsMarkedForItsPlacement) {
  RepairCluster repair(42, 4);
  const LedgerId spread = repair.WriteLedger(kThreeTwo, 3);
  const int alone = repair.BookieAt(spread, 0, 0);
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.recovery_delay = absl::Hours(1);
  options.placement_check_interval = absl::Minutes(10);
  options.racks = *RackMap::Parse(StrCat(RepairCluster::Id(alone).value(), " /other"));
  repair.StartAutorecovery("ar", options);
  const auto status = [&] { return repair.autorecovery("ar").auditor_status(); };
  const auto check_once_more = [&] {
    const int64_t before = status().placement_checks;
    for (int i = 0; i < 11; ++i) repair.cluster().RunFor(absl::Minutes(1));
    EXPECT_EQ(status().placement_checks, before + 1);
    EXPECT_EQ(status().ledgers_off_racks, 0);
    EXPECT_EQ(repair.CountTasks(), 0u);
  };
  repair.cluster().RunUntil([&] { return status().placement_checks == 1; });
  repair.cluster().Kill(alone);
  check_once_more();
  repair.cluster().Restart(alone);
  check_once_more();
}

TEST(CheckTest, ABookieThatIsDownProvesNothing) {
  RepairCluster repair(2, 4);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 20);
  const BookieId dead = RepairCluster::Id(repair.BookieAt(ledger, 0, 0));
  repair.cluster().Kill(RepairCluster::NumberOf(dead));
  repair.cluster().RunFor(absl::Seconds(15));
  const CheckReport report = repair.Check(CheckDepth::kAvailability);
  ASSERT_EQ(report.finding_count, 1);
  EXPECT_EQ(report.findings[0].kind, FindingKind::kBookieDown);
  EXPECT_EQ(report.findings[0].bookie, dead);
  EXPECT_EQ(report.copies_proven, 40);
}

TEST(CheckTest, T30MetadataThatCannotBeReadIsAFinding) {
  RepairCluster repair(3, 4);
  repair.WriteLedger(kThreeTwo, 1);
  repair.WriteLedger(kThreeTwo, 1);
  EXPECT_TRUE(
      repair.Run(repair.store()->Put("/ledgers/00/0000/L0000", "rubbish", metadata::kAnyVersion))
          .ok());
  const CheckReport report = repair.Check(CheckDepth::kMetadata);
  ASSERT_EQ(report.finding_count, 1);
  EXPECT_EQ(report.findings[0].kind, FindingKind::kUnreadableMetadata);
  EXPECT_EQ(report.findings[0].ledger, LedgerId(0));
  EXPECT_EQ(report.ledgers, 2);
}

TEST(CheckTest, T19AMemberThatIsBackEmptyIsFoundAndHealedInPlace) {
  RepairCluster repair(19, 4);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 30);
  const BookieId empty = Spare(repair, ledger);
  repair.NameInstead(ledger, 1, empty);
  EXPECT_TRUE(repair.Check(CheckDepth::kMetadata).IsClean());
  const CheckReport report = repair.Check(CheckDepth::kAvailability);
  ASSERT_EQ(report.finding_count, 1);
  EXPECT_EQ(report.findings[0].kind, FindingKind::kHole);
  EXPECT_EQ(report.findings[0].bookie, empty);
  EXPECT_EQ(report.findings[0].entries, 30);
  EXPECT_EQ(report.copies - report.copies_proven, 30);

  repair.Mark(ledger, {empty});
  repair.StartAutorecovery("ar");
  repair.cluster().RunFor(absl::Seconds(2));
  repair.RunUntilRepaired();
  const WorkerStatus status = repair.autorecovery("ar").worker_status();
  EXPECT_EQ(status.entries_copied, 30);
  EXPECT_EQ(status.members_replaced, 0);
  EXPECT_TRUE(repair.Check(CheckDepth::kFull).IsClean());
  repair.ExpectFullyReplicated(ledger);
}

TEST(CheckTest, T34TheAuditorsOwnCheckFindsAndRepairsHoles) {
  RepairCluster repair(34, 4);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 30);
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.ledger_check_interval = absl::Hours(1);
  repair.StartAutorecovery("ar", options);
  repair.cluster().RunFor(absl::Seconds(10));  // the first check ends
  EXPECT_EQ(repair.autorecovery("ar").auditor_status().ledger_checks, 1);
  repair.NameInstead(ledger, 1, Spare(repair, ledger));
  for (int i = 0; i < 8; ++i) repair.cluster().RunFor(absl::Minutes(8));
  EXPECT_EQ(repair.autorecovery("ar").auditor_status().ledger_checks, 2);
  EXPECT_TRUE(repair.Check(CheckDepth::kAvailability).IsClean());
}

TEST(CheckTest, ACheckBeginsWhenItsDateIsTakenBack) {
  RepairCluster repair(5, 4);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 30);
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.ledger_check_interval = absl::Hours(24 * 7);
  repair.StartAutorecovery("ar", options);
  repair.cluster().RunFor(absl::Seconds(10));  // the first check ends
  const auto checks = [&] { return repair.autorecovery("ar").auditor_status().ledger_checks; };
  EXPECT_EQ(checks(), 1);
  const auto kind = metadata::CheckKind::kAllLedgers;
  const auto date = [&] { return **repair.Run(repair.settings().CheckTime(kind)); };
  const absl::Time first = date();
  repair.NameInstead(ledger, 1, Spare(repair, ledger));
  const auto order = [&](absl::Duration back) {
    EXPECT_TRUE(repair.Run(repair.settings().SetCheckTime(kind, first - back)).ok());
  };
  order(absl::Hours(24 * 21));
  repair.cluster().RunFor(absl::Seconds(10));
  EXPECT_EQ(checks(), 2);
  EXPECT_GT(date(), first);
  repair.RunUntilRepaired();
  EXPECT_TRUE(repair.Check(CheckDepth::kAvailability).IsClean());
  // A date within the interval orders nothing now.
  order(absl::Hours(24));
  repair.cluster().RunFor(absl::Minutes(5));
  EXPECT_EQ(checks(), 2);
}

// A check that takes longer than any auditor leads ends all the same.
TEST(CheckTest, ALongCheckGoesOnWhereTheLastAuditorLeftIt) {
  RepairCluster repair(11, 4);
  for (int i = 0; i < 300; ++i) repair.WriteLedger(kThreeTwo, 1);
  EXPECT_TRUE(repair.Run(repair.records().SetLimits({.check = 2'000})).ok());  // for two minutes
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.ledger_check_interval = absl::Hours(24 * 7);
  repair.StartAutorecovery("first", options);
  const auto status = [&](const char* name) { return repair.autorecovery(name).auditor_status(); };
  repair.cluster().RunUntil([&] { return status("first").ledgers_in_check > 200; });
  EXPECT_EQ(status("first").ledger_checks, 0);
  repair.CrashAutorecovery("first");
  repair.StartAutorecovery("next", options);
  repair.cluster().RunUntil([&] { return status("next").ledger_checks == 1; });
  EXPECT_LT(status("next").ledgers_checked, 200);
  EXPECT_GE(status("next").ledgers_in_check, 300);
  EXPECT_EQ(*repair.Run(repair.records().ReadCheckPosition()), std::nullopt);
}

TEST(CheckTest, AnOldPositionOfACheckIsForgotten) {
  RepairCluster repair(12, 4);
  for (int i = 0; i < 3; ++i) repair.WriteLedger(kThreeTwo, 1);
  EXPECT_TRUE(repair.Run(repair.records().SetCheckPosition({.next = LedgerId(2)})).ok());
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.ledger_check_interval = absl::Hours(1);
  repair.StartAutorecovery("ar", options);
  const auto status = [&] { return repair.autorecovery("ar").auditor_status(); };
  repair.cluster().RunUntil([&] { return status().ledger_checks == 1; });
  EXPECT_EQ(status().ledgers_checked, 3);
}

TEST(CheckTest, ACheckThatIsOrderedWhileItIsBrokenOffIsBegunAnewByWhoIsElectedNext) {
  RepairCluster repair(6, 4);
  const LedgerId first = repair.WriteLedger(kThreeTwo, 1);
  for (int i = 0; i < 300; ++i) repair.WriteLedger(kThreeTwo, 1);
  EXPECT_TRUE(repair.Run(repair.records().SetLimits({.check = 30'000})).ok());  // for seconds
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.ledger_check_interval = absl::Hours(24 * 7);
  repair.StartAutorecovery("ar", options);
  const auto seen = [&] { return repair.autorecovery("ar").auditor_status().ledgers_in_check; };
  repair.cluster().RunUntil([&] { return seen() > 60; });
  EXPECT_TRUE(*repair.Run(repair.settings().SetEnabled(false)));
  repair.cluster().RunFor(absl::Seconds(7));
  ASSERT_LT(seen(), 300);
  const absl::Time long_ago = absl::UnixEpoch() + absl::Hours(1);
  EXPECT_TRUE(
      repair.Run(repair.settings().SetCheckTime(metadata::CheckKind::kAllLedgers, long_ago)).ok());
  repair.world().metadata().Expire(repair.process("ar"));
  repair.NameInstead(first, 1, Spare(repair, first));
  repair.cluster().RunFor(absl::Seconds(20));
  const auto status = [&] { return repair.autorecovery("ar").auditor_status(); };
  ASSERT_TRUE(status().is_leader);
  ASSERT_EQ(status().ledger_checks, 0);
  EXPECT_TRUE(*repair.Run(repair.settings().SetEnabled(true)));
  repair.cluster().RunUntil([&] { return status().ledger_checks == 1; });
  repair.RunUntilRepaired();
  repair.ExpectFullyReplicated(first);
}

// A check that asks the bookies of one ledger after the other, some seconds for each, when it has
// begun with the third. All of them lack entries.
std::vector<LedgerId> BeginSlowCheck(RepairCluster& repair) {
  std::vector<LedgerId> ledgers;
  for (int i = 0; i < 5; ++i) {
    ledgers.push_back(repair.WriteLedger(kThreeTwo, 10));
    repair.NameInstead(ledgers.back(), 1, Spare(repair, ledgers.back()));
  }
  EXPECT_TRUE(repair.Run(repair.records().SetLimits({.check = 200})).ok());
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.ledger_check_interval = absl::Hours(24 * 7);
  options.checks_in_flight_max = 1;
  options.runs_worker = false;
  repair.StartAutorecovery("ar", options);
  const auto seen = [&] { return repair.autorecovery("ar").auditor_status().ledgers_in_check; };
  repair.cluster().RunUntil([&] { return seen() == 2; });
  repair.cluster().RunFor(absl::Milliseconds(500));
  EXPECT_EQ(repair.CountTasks(), 2u);
  return ledgers;
}

TEST(CheckTest, AnOutageInsideOfALedgersCheckDoesNotPassItOver) {
  RepairCluster repair(7, 4);
  BeginSlowCheck(repair);
  const auto status = [&] { return repair.autorecovery("ar").auditor_status(); };
  repair.world().metadata().FailReads(repair.process("ar"), 1000);
  repair.cluster().RunFor(absl::Seconds(20));
  EXPECT_EQ(status().ledgers_in_check, 3);
  EXPECT_EQ(repair.CountTasks(), 2u);
  repair.world().metadata().FailReads(repair.process("ar"), 0);
  repair.cluster().RunUntil([&] { return status().ledger_checks == 1; });
  EXPECT_EQ(repair.CountTasks(), 5u);
  EXPECT_EQ(status().ledgers_in_check, 6);  // what was asked before the outage is not asked again
}

TEST(CheckTest, ALedgerThatOthersOvertookIsCheckedWhenTheCheckGoesOn) {
  RepairCluster repair(14, 4);
  const LedgerId slow = repair.WriteLedger(kThreeTwo, 10);
  for (int i = 0; i < 20; ++i) repair.WriteLedger(kThreeTwo, 1);
  repair.NameInstead(slow, 1, Spare(repair, slow));
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.ledger_check_interval = absl::Hours(24 * 7);
  options.runs_worker = false;
  repair.StartAutorecovery("ar", options);
  repair.store("ar")->OverloadReads("/L0000");
  const auto status = [&] { return repair.autorecovery("ar").auditor_status(); };
  repair.cluster().RunFor(absl::Seconds(10));
  EXPECT_GT(status().ledgers_in_check, 1);
  EXPECT_EQ(status().ledger_checks, 0);
  repair.store("ar")->OverloadReads(std::nullopt);
  repair.cluster().RunUntil([&] { return status().ledger_checks == 1; });
  EXPECT_TRUE(repair.FindTask(slow).has_value());
}

TEST(CheckTest, AStoreThatHasTooMuchToDoMakesNoLedgerUnreadable) {
  RepairCluster repair(10, 4);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 10);
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.ledger_check_interval = absl::Hours(24 * 7);
  options.placement_check_interval = absl::Hours(1);
  options.runs_worker = false;
  repair.StartAutorecovery("ar", options);
  repair.store("ar")->OverloadReads("/L0000");
  const auto status = [&] { return repair.autorecovery("ar").auditor_status(); };
  repair.cluster().Kill(repair.BookieAt(ledger, 0, 0));
  repair.cluster().RunFor(absl::Seconds(30));
  EXPECT_EQ(status().ledgers_unreadable, 0);
  EXPECT_EQ(status().ledger_checks + status().placement_checks, 0);
  repair.store("ar")->OverloadReads(std::nullopt);
  repair.cluster().RunFor(absl::Seconds(20));
  EXPECT_TRUE(repair.FindTask(ledger).has_value());
  EXPECT_EQ(status().ledger_checks, 1);
  EXPECT_EQ(status().placement_checks, 1);
}

TEST(CheckTest, ALedgerThatChangesInsideOfItsCheckIsLookedAtAgain) {
  RepairCluster repair(8, 4);
  const std::vector<LedgerId> ledgers = BeginSlowCheck(repair);
  repair.NameInstead(ledgers[2], 1, Spare(repair, ledgers[2]));  // who has the entries
  const auto status = [&] { return repair.autorecovery("ar").auditor_status(); };
  repair.cluster().RunUntil([&] { return status().ledger_checks == 1; });
  EXPECT_EQ(repair.CountTasks(), 4u);
  EXPECT_EQ(status().ledgers_in_check, 5);
  EXPECT_FALSE(repair.FindTask(ledgers[2]).has_value());
}

TEST(CheckTest, ALedgerThatChangesAgainAndAgainIsMarkedAllTheSame) {
  RepairCluster repair(13, 4);
  const LedgerId restless = BeginSlowCheck(repair)[2];
  const BookieId empty = RepairCluster::Id(repair.BookieAt(restless, 0, 1));
  for (int i = 0; i < 40 && !repair.FindTask(restless).has_value(); ++i) {
    repair.NameInstead(restless, 1, empty);
    repair.cluster().RunFor(absl::Milliseconds(500));
  }
  EXPECT_TRUE(repair.FindTask(restless).has_value());
}

TEST(CheckTest, T31ACheckThatIsSwitchedOffDoesNotCountAsDone) {
  RepairCluster repair(31, 4);
  for (int i = 0; i < 3; ++i) repair.WriteLedger(kThreeTwo, 1);
  EXPECT_TRUE(*repair.Run(repair.settings().SetEnabled(false)));
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.ledger_check_interval = absl::Hours(1);
  repair.StartAutorecovery("ar", options);
  repair.cluster().RunFor(absl::Minutes(2));
  EXPECT_EQ(*repair.Run(repair.settings().CheckTime(metadata::CheckKind::kAllLedgers)),
            std::nullopt);
  EXPECT_TRUE(*repair.Run(repair.settings().SetEnabled(true)));
  repair.cluster().RunFor(absl::Seconds(20));
  EXPECT_NE(*repair.Run(repair.settings().CheckTime(metadata::CheckKind::kAllLedgers)),
            std::nullopt);
}

TEST(CheckTest, T32ALongCheckDoesNotHoldUpTheLossOfABookie) {
  RepairCluster repair(32, 4);
  LedgerId ledger;
  for (int i = 0; i < 30; ++i) ledger = repair.WriteLedger(kThreeTwo, 1);
  EXPECT_TRUE(repair.Run(repair.records().SetLimits({.check = 100})).ok());  // for minutes
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.ledger_check_interval = absl::Hours(1);
  options.runs_worker = false;
  repair.StartAutorecovery("ar", options);
  repair.cluster().RunFor(absl::Seconds(20));
  repair.cluster().Kill(repair.BookieAt(ledger, 0, 0));
  repair.cluster().RunFor(absl::Seconds(10 + 5));  // its session, and the auditor's time
  EXPECT_TRUE(repair.FindTask(ledger).has_value());
  EXPECT_EQ(repair.autorecovery("ar").auditor_status().ledger_checks, 0);
}

TEST(CheckTest, T39ALivingBookieIsDrainedWhileOthersWrite) {
  RepairCluster repair(39, 5);
  std::vector<LedgerId> ledgers;
  for (int i = 0; i < 10; ++i) ledgers.push_back(repair.WriteLedger(kThreeTwo, 20));
  repair.StartAutorecovery("ar");
  const BookieId leaving = RepairCluster::Id(1);
  EXPECT_FALSE(repair.ReferencesTo(leaving).empty());
  EXPECT_TRUE(*repair.Run(repair.records().SetDraining(leaving, absl::UnixEpoch())));
  client::WriteHandle writer = repair.OpenLedger(kThreeTwo, 10);
  for (int i = 1; i <= 6; ++i) {
    repair.cluster().RunFor(absl::Seconds(5));
    repair.Append(writer, 10 * i, 10);
  }
  ASSERT_TRUE(repair.cluster().Get(writer.Close(UseFuture())).ok());
  repair.cluster().RunFor(absl::Seconds(20));
  EXPECT_TRUE(repair.ReferencesTo(leaving).empty());
  ledgers.push_back(writer.id());
  for (LedgerId ledger : ledgers) repair.ExpectFullyReplicated(ledger);
  EXPECT_EQ(repair.CountLocks(), 0u);
  EXPECT_EQ(repair.autorecovery("ar").worker_status().ledgers_fenced, 0);
}

}  // namespace
}  // namespace stele::autorecovery
