// Whole clusters in which bookies die and autorecovery brings the copies back.
#include <algorithm>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "autorecovery/internal/testing/repair_cluster.h"
#include "autorecovery/repair_plan.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"

namespace stele::autorecovery {
namespace {

constexpr quorum::Replication kThreeTwo{
    .ensemble_size = 3, .write_quorum_size = 3, .ack_quorum_size = 2};
constexpr quorum::Replication kFiveThree{
    .ensemble_size = 5, .write_quorum_size = 3, .ack_quorum_size = 2};
constexpr quorum::Replication kOneCopy{
    .ensemble_size = 1, .write_quorum_size = 1, .ack_quorum_size = 1};
constexpr quorum::Replication kTwoTwo{
    .ensemble_size = 2, .write_quorum_size = 2, .ack_quorum_size = 2};

bool Names(const metadata::LedgerMetadata& metadata, const BookieId& bookie) {
  return std::any_of(metadata.fragments().begin(), metadata.fragments().end(), [&](const auto& f) {
    return std::find(f.ensemble.begin(), f.ensemble.end(), bookie) != f.ensemble.end();
  });
}

class RepairSeedTest : public testing::TestWithParam<uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, RepairSeedTest, testing::Range<uint64_t>(1, 5));

TEST_P(RepairSeedTest, T01AClosedLedgerGetsItsThirdCopyBack) {
  RepairCluster repair(GetParam(), 4);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 40);
  repair.StartAutorecovery("ar");
  const int dead = repair.BookieAt(ledger, 0, 1);
  repair.cluster().Kill(dead);
  repair.cluster().RunUntil([&] { return repair.FindTask(ledger).has_value(); });
  EXPECT_EQ(repair.FindTask(ledger)->mark.replicas, std::vector<BookieId>{RepairCluster::Id(dead)});
  repair.RunUntilRepaired();
  EXPECT_FALSE(Names(repair.Metadata(ledger), RepairCluster::Id(dead)));
  repair.ExpectFullyReplicated(ledger);
  const WorkerStatus status = repair.autorecovery("ar").worker_status();
  EXPECT_EQ(status.entries_copied, 40);
  EXPECT_EQ(status.members_replaced, 1);
  EXPECT_EQ(status.ledgers_repaired, 1);
}

TEST(RepairTest, T02OnlyTheEntriesOfTheLostPositionAreCopied) {
  RepairCluster repair(2, 6);
  const LedgerId ledger = repair.WriteLedger(kFiveThree, 50);
  repair.StartAutorecovery("ar");
  repair.cluster().Kill(repair.BookieAt(ledger, 0, 2));
  repair.cluster().RunFor(absl::Seconds(20));
  repair.RunUntilRepaired();
  repair.ExpectFullyReplicated(ledger);
  EXPECT_EQ(repair.autorecovery("ar").worker_status().entries_copied, 30);  // three of five
}

TEST(RepairTest, T03AWriterThatReplacesItsBookieIsNotFenced) {
  RepairCluster repair(3, 5);
  client::WriteHandle writer = repair.OpenLedger(kThreeTwo, 10);
  repair.StartAutorecovery("ar");
  const int dead = repair.BookieAt(writer.id(), 0, 0);
  repair.cluster().Kill(dead);
  for (int64_t seconds = 0; seconds < 60; ++seconds) {
    repair.cluster().RunFor(absl::Seconds(1));
    repair.Append(writer, 10 + seconds, 1);
  }
  repair.RunUntilRepaired();
  repair.Append(writer, 70, 5);
  ASSERT_TRUE(repair.cluster().Get(writer.Close(UseFuture())).ok());
  EXPECT_EQ(repair.autorecovery("ar").worker_status().ledgers_fenced, 0);
  EXPECT_FALSE(Names(repair.Metadata(writer.id()), RepairCluster::Id(dead)));
  repair.ExpectFullyReplicated(writer.id());
}

TEST(RepairTest, T04AnOpenLedgerWithoutAWriterIsClosedAfterTheGraceAndRepaired) {
  RepairCluster repair(4, 4);
  client::WriteHandle writer = repair.OpenLedger(kThreeTwo, 10);
  repair.StartAutorecovery("ar");
  repair.cluster().Kill(repair.BookieAt(writer.id(), 0, 0));
  repair.cluster().RunUntil([&] { return repair.FindTask(writer.id()).has_value(); });
  repair.cluster().RunFor(absl::Seconds(20));
  EXPECT_FALSE(repair.Metadata(writer.id()).IsClosed());
  repair.cluster().RunFor(absl::Seconds(20));
  repair.RunUntilRepaired();
  EXPECT_EQ(repair.Metadata(writer.id()).last_entry(), EntryId(9));
  repair.ExpectFullyReplicated(writer.id());
  EXPECT_EQ(repair.autorecovery("ar").worker_status().ledgers_fenced, 1);
  const auto late = repair.cluster().Get(writer.Append(Buffer::CopyOf("late"), UseFuture()));
  EXPECT_EQ(CodeOf(late.status()), ErrorCode::kLedgerFenced);
}

TEST(RepairTest, T05AnEmptyOpenLedgerSurvivesTwoLossesOneAfterTheOther) {
  RepairCluster repair(5, 6);
  client::WriteHandle writer = repair.OpenLedger(kThreeTwo, 0);
  repair.StartAutorecovery("ar");
  for (int round = 0; round < 2; ++round) {
    repair.cluster().Kill(repair.BookieAt(writer.id(), 0, 0));
    repair.cluster().RunFor(absl::Seconds(60));
    repair.RunUntilRepaired();
  }
  const auto opened = repair.cluster().Get(
      repair.client().OpenLedger(writer.id()).Password("pw").Recover().Open(UseFuture()));
  ASSERT_TRUE(opened.ok()) << opened.status();
  EXPECT_TRUE(opened->last_add_confirmed().IsNone());
}

TEST(RepairTest, T08ABookieThatComesBackInTimeCostsNothing) {
  RepairCluster repair(8, 4);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 10);
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.recovery_delay = absl::Seconds(300);
  repair.StartAutorecovery("ar", options);
  const int away = repair.BookieAt(ledger, 0, 0);
  repair.cluster().Kill(away);
  repair.cluster().RunFor(absl::Seconds(200));
  EXPECT_EQ(repair.CountTasks(), 0u);
  repair.cluster().Restart(away);
  repair.cluster().RunFor(absl::Seconds(300));
  EXPECT_EQ(repair.autorecovery("ar").auditor_status().delayed_audits_cancelled, 1);
  EXPECT_EQ(repair.autorecovery("ar").auditor_status().ledgers_marked, 0);
}

TEST(RepairTest, T09ASecondLossEndsTheDelayOfBoth) {
  RepairCluster repair(9, 6);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 10);
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.recovery_delay = absl::Seconds(300);
  repair.StartAutorecovery("ar", options);
  repair.cluster().Kill(repair.BookieAt(ledger, 0, 0));
  repair.cluster().RunFor(absl::Seconds(100));
  EXPECT_EQ(repair.CountTasks(), 0u);
  repair.cluster().Kill(repair.BookieAt(ledger, 0, 1));
  repair.cluster().RunFor(absl::Seconds(30));
  repair.RunUntilRepaired();
  repair.ExpectFullyReplicated(ledger);
}

TEST(RepairTest, T10TheNextAuditorWaitsOnlyTheRestOfTheDelay) {
  RepairCluster repair(10, 4);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 10);
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.recovery_delay = absl::Seconds(300);
  options.runs_worker = false;
  repair.StartAutorecovery("first", options);
  repair.StartAutorecovery("second", options);
  repair.cluster().Kill(repair.BookieAt(ledger, 0, 0));
  repair.cluster().RunFor(absl::Seconds(110));
  repair.CrashAutorecovery("first");
  repair.cluster().RunFor(absl::Seconds(170));
  EXPECT_TRUE(repair.autorecovery("second").auditor_status().is_leader);
  EXPECT_EQ(repair.CountTasks(), 0u);
  repair.cluster().RunFor(absl::Seconds(60));
  EXPECT_EQ(repair.CountTasks(), 1u);
}

TEST(RepairTest, T11TheSameDelayWrittenAgainIsAnOrderToAudit) {
  RepairCluster repair(11, 4);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 10);
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.recovery_delay = absl::Seconds(300);
  repair.StartAutorecovery("ar", options);
  repair.cluster().Kill(repair.BookieAt(ledger, 0, 0));
  repair.cluster().RunFor(absl::Seconds(30));
  EXPECT_EQ(repair.CountTasks(), 0u);
  EXPECT_TRUE(repair.Run(repair.settings().SetRecoveryDelay(absl::Seconds(300))).ok());
  EXPECT_TRUE(repair.Run(repair.settings().SetRecoveryDelay(absl::Seconds(300))).ok());
  repair.cluster().RunFor(absl::Seconds(10));
  repair.RunUntilRepaired();
  repair.ExpectFullyReplicated(ledger);
}

TEST(RepairTest, T12SwitchedOffNothingIsFencedOrCopiedAndSwitchedOnItGoesOn) {
  RepairCluster repair(12, 5);
  const LedgerId closed = repair.WriteLedger(kThreeTwo, 200);
  client::WriteHandle writer = repair.OpenLedger(kThreeTwo, 10);
  EXPECT_TRUE(repair.Run(repair.records().SetLimits({.cluster = 2'000})).ok());
  repair.StartAutorecovery("ar");
  // One that is in both: with five bookies and three of each there is one.
  const metadata::LedgerMetadata first = repair.Metadata(closed);
  int dead = 0;
  for (const BookieId& bookie : first.fragments()[0].ensemble) {
    if (Names(repair.Metadata(writer.id()), bookie)) dead = RepairCluster::NumberOf(bookie);
  }
  repair.cluster().Kill(dead);
  repair.cluster().RunUntil([&] { return repair.CountTasks() == 2; });
  repair.cluster().RunFor(absl::Seconds(3));
  EXPECT_TRUE(*repair.Run(repair.settings().SetEnabled(false)));
  repair.cluster().RunFor(absl::Seconds(10));
  const int64_t copied = repair.autorecovery("ar").worker_status().entries_copied;
  EXPECT_EQ(repair.CountLocks(), 0u);
  repair.cluster().RunFor(absl::Seconds(60));
  EXPECT_EQ(repair.autorecovery("ar").worker_status().entries_copied, copied);
  EXPECT_FALSE(repair.Metadata(writer.id()).IsClosed());
  EXPECT_EQ(repair.CountTasks(), 2u);
  EXPECT_TRUE(repair.Run(repair.records().SetLimits({})).ok());
  EXPECT_TRUE(*repair.Run(repair.settings().SetEnabled(true)));
  repair.cluster().RunFor(absl::Seconds(5));
  repair.RunUntilRepaired();
  repair.ExpectFullyReplicated(closed);
  repair.ExpectFullyReplicated(writer.id());
}

TEST(RepairTest, T14AWorkerWhoseSessionEndsDoesNoHarm) {
  RepairCluster repair(14, 5);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 100);
  EXPECT_TRUE(repair.Run(repair.records().SetLimits({.cluster = 5'000})).ok());
  AutorecoveryOptions worker_only = RepairCluster::QuickOptions();
  worker_only.runs_auditor = false;
  repair.StartAutorecovery("first", worker_only);
  const int dead = repair.BookieAt(ledger, 0, 0);
  repair.cluster().Kill(dead);
  repair.cluster().RunFor(absl::Seconds(15));
  repair.Mark(ledger, {RepairCluster::Id(dead)});
  repair.cluster().RunUntil([&] { return repair.CountLocks() == 1; });
  repair.cluster().RunFor(absl::Milliseconds(500));
  repair.world().metadata().Expire(repair.process("first"));
  repair.StartAutorecovery("second", worker_only);
  repair.cluster().RunFor(absl::Seconds(5));
  repair.RunUntilRepaired();
  repair.ExpectFullyReplicated(ledger);
  EXPECT_FALSE(Names(repair.Metadata(ledger), RepairCluster::Id(dead)));
}

// A worker stands still while it copies for two lost bookies. One comes back, another worker does
// the rest, and the first goes on with what it knew.
TEST(RepairTest, T14APausedWorkerLeavesAloneWhatAnotherHasRepaired) {
  RepairCluster repair(17, 6);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 100);
  EXPECT_TRUE(repair.Run(repair.records().SetLimits({.cluster = 5'000})).ok());
  AutorecoveryOptions worker_only = RepairCluster::QuickOptions();
  worker_only.runs_auditor = false;
  repair.StartAutorecovery("first", worker_only);
  const int lost = repair.BookieAt(ledger, 0, 0);
  const int away = repair.BookieAt(ledger, 0, 1);
  repair.cluster().Kill(lost);
  repair.cluster().Kill(away);
  repair.cluster().RunFor(absl::Seconds(15));
  repair.Mark(ledger, {RepairCluster::Id(lost), RepairCluster::Id(away)});
  repair.cluster().RunUntil([&] { return repair.CountLocks() == 1; });
  repair.cluster().RunFor(absl::Milliseconds(500));
  repair.world().Pause(repair.process("first"));
  repair.cluster().Restart(away);
  repair.cluster().RunFor(absl::Seconds(60));
  EXPECT_EQ(repair.CountLocks(), 0u);
  EXPECT_TRUE(repair.Run(repair.records().SetLimits({})).ok());
  repair.StartAutorecovery("second", worker_only);
  repair.cluster().RunUntil([&] { return repair.CountTasks() == 0; });
  const metadata::LedgerMetadata repaired = repair.Metadata(ledger);
  EXPECT_FALSE(Names(repaired, RepairCluster::Id(lost)));
  EXPECT_TRUE(Names(repaired, RepairCluster::Id(away)));
  SometimesHits hits{};
  CountSometimes(&hits);
  repair.world().Resume(repair.process("first"));
  repair.cluster().RunFor(absl::Seconds(60));
  CountSometimes(nullptr);
  EXPECT_GT(hits[static_cast<size_t>(Sometimes::kRepairOvertaken)], 0u);
  EXPECT_EQ(repair.Metadata(ledger).fragments()[0].ensemble, repaired.fragments()[0].ensemble);
  repair.ExpectFullyReplicated(ledger);
}

// Repairs wait with their locks, for there is no bookie to copy to, and are told to end.
uint64_t HashOfAStopAmongWaits() {
  RepairCluster repair(15, 3);
  for (int ledger = 0; ledger < 20; ++ledger) repair.WriteLedger(kThreeTwo, 1 + ledger % 3);
  repair.StartAutorecovery("ar");
  repair.cluster().Kill(1);
  repair.cluster().RunUntil([&] { return repair.CountLocks() > 10; });
  repair.cluster().RunFor(absl::Seconds(30));
  EXPECT_GT(repair.CountLocks(), 10u);
  repair.StopAutorecovery("ar");
  return repair.world().scheduler().trace().hash();
}

TEST(RepairTest, WhereMemoryLiesDoesNotDecideWhoIsWokenFirst) {
  const uint64_t hash = HashOfAStopAmongWaits();
  // Holes of all sizes, so that what lay in order of its birth does not the next time.
  std::vector<std::string> blocks;
  for (size_t i = 0; i < 20'000; ++i) blocks.emplace_back(16 + i * 7919 % 2'000, 'x');
  for (size_t i = 0; i < blocks.size(); i += 2)
    std::string().swap(blocks[i * 7919 % blocks.size()]);
  EXPECT_EQ(HashOfAStopAmongWaits(), hash);
}

TEST(RepairTest, T16ADeletedLedgerIsDone) {
  RepairCluster repair(16, 4);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 10);
  ASSERT_TRUE(repair.cluster().Get(repair.client().DeleteLedger(ledger, UseFuture())).ok());
  repair.Mark(ledger, {RepairCluster::Id(1)});
  repair.StartAutorecovery("ar");
  repair.cluster().RunFor(absl::Seconds(2));
  EXPECT_EQ(repair.CountTasks(), 0u);
  EXPECT_EQ(repair.CountLocks(), 0u);
}

TEST(RepairTest, T18ATargetThatDiesHalfWayIsReplacedByAnother) {
  RepairCluster repair(18, 5);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 100);
  EXPECT_TRUE(repair.Run(repair.records().SetLimits({.cluster = 5'000})).ok());
  repair.StartAutorecovery("ar");
  const int dead = repair.BookieAt(ledger, 0, 0);
  std::set<int> spare = {1, 2, 3, 4, 5};
  for (BookieIndex i = 0; i < 3; ++i) spare.erase(repair.BookieAt(ledger, 0, i));
  repair.cluster().Kill(dead);
  repair.cluster().RunUntil([&] { return repair.CountLocks() == 1; });
  repair.cluster().RunFor(absl::Seconds(1));
  const std::optional<BookieId> target = ChooseTarget(
      ledger, {RepairCluster::Id(*spare.begin()), RepairCluster::Id(*spare.rbegin())}, {});
  repair.cluster().Kill(RepairCluster::NumberOf(*target));
  EXPECT_TRUE(repair.Run(repair.records().SetLimits({})).ok());
  repair.cluster().RunFor(absl::Seconds(20));
  repair.RunUntilRepaired();
  EXPECT_FALSE(Names(repair.Metadata(ledger), *target));
  repair.ExpectFullyReplicated(ledger);
}

TEST(RepairTest, T20ALedgerWithoutAnyCopyIsQuarantinedUntilItsBookieReturns) {
  RepairCluster repair(20, 3);
  const LedgerId ledger = repair.WriteLedger(kOneCopy, 5);
  repair.StartAutorecovery("ar");
  const int away = repair.BookieAt(ledger, 0, 0);
  repair.cluster().Kill(away);
  repair.cluster().RunFor(absl::Seconds(60));
  const auto record = repair.Run(repair.records().Quarantine(ledger));
  ASSERT_TRUE(record.ok() && record->has_value());
  EXPECT_EQ((*record)->entries.front().first, EntryId(0));
  EXPECT_EQ((*record)->evidence.front().first, RepairCluster::Id(away));
  const WorkerStatus before = repair.autorecovery("ar").worker_status();
  EXPECT_EQ(before.ledgers_quarantined, 1);
  EXPECT_EQ(repair.CountTasks(), 1u);
  EXPECT_EQ(repair.CountLocks(), 0u);
  repair.cluster().Restart(away);
  repair.cluster().RunFor(absl::Seconds(30));
  repair.RunUntilRepaired();
  EXPECT_EQ(*repair.Run(repair.records().Quarantine(ledger)), std::nullopt);
  repair.ExpectFullyReplicated(ledger);
}

TEST(RepairTest, T22TasksOfDeletedLedgersAreDrainedQuickly) {
  RepairCluster repair(22, 3);
  for (int64_t id = 0; id < 500; ++id) repair.Mark(LedgerId(id), {RepairCluster::Id(1)});
  repair.StartAutorecovery("ar");
  repair.cluster().RunFor(absl::Seconds(3));
  EXPECT_EQ(repair.CountTasks(), 0u);
}

TEST(RepairTest, T23ABookieThatIsBackBeforeItsTasksAreWorkedCostsNoCopies) {
  RepairCluster repair(23, 4);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 10);
  repair.Mark(ledger, {RepairCluster::Id(repair.BookieAt(ledger, 0, 0))});
  repair.StartAutorecovery("ar");
  repair.cluster().RunFor(absl::Seconds(5));
  EXPECT_EQ(repair.CountTasks(), 0u);
  EXPECT_EQ(repair.autorecovery("ar").worker_status().entries_copied, 0);
  repair.ExpectFullyReplicated(ledger);
}

TEST(RepairTest, T26AStormIsNotBelieved) {
  RepairCluster repair(26, 8);
  const LedgerId ledger = repair.WriteLedger(kTwoTwo, 10);
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.storm_percent = 30;
  repair.StartAutorecovery("ar", options);
  repair.cluster().RunFor(absl::Seconds(1));
  for (int bookie : {1, 2, 3}) repair.cluster().Kill(bookie);
  repair.cluster().RunFor(absl::Seconds(60));
  EXPECT_TRUE(repair.autorecovery("ar").auditor_status().is_storm);
  EXPECT_EQ(repair.CountTasks(), 0u);
  for (int bookie : {1, 2, 3}) repair.cluster().Restart(bookie);
  repair.cluster().RunFor(absl::Seconds(60));
  EXPECT_FALSE(repair.autorecovery("ar").auditor_status().is_storm);
  EXPECT_EQ(repair.autorecovery("ar").auditor_status().ledgers_marked, 0);
  repair.ExpectFullyReplicated(ledger);
}

TEST(RepairTest, T27OneLeaderAfterItsVoteWasDeletedByHand) {
  RepairCluster repair(27, 3);
  repair.StartAutorecovery("first");
  repair.cluster().RunFor(absl::Seconds(1));
  repair.StartAutorecovery("second");
  repair.cluster().RunFor(absl::Seconds(1));
  EXPECT_TRUE(repair.autorecovery("first").auditor_status().is_leader);
  EXPECT_TRUE(
      repair
          .Run(repair.store()->Delete("/ledgers/underreplication/auditorelection/V_0000000000",
                                      metadata::kAnyVersion))
          .ok());
  repair.cluster().RunFor(absl::Seconds(10));
  EXPECT_FALSE(repair.autorecovery("first").auditor_status().is_leader);
  EXPECT_TRUE(repair.autorecovery("second").auditor_status().is_leader);
}

TEST(RepairTest, T28AnOutageOfTheMetadataStoreStopsNothingForGood) {
  RepairCluster repair(28, 5);
  std::vector<LedgerId> ledgers;
  for (int i = 0; i < 10; ++i) ledgers.push_back(repair.WriteLedger(kThreeTwo, 20));
  repair.StartAutorecovery("first");
  repair.StartAutorecovery("second");
  repair.cluster().Kill(1);
  repair.cluster().RunFor(absl::Milliseconds(10'300));
  repair.world().metadata().Stop();
  repair.cluster().RunFor(absl::Seconds(90));
  repair.world().metadata().Start();
  repair.cluster().RunFor(absl::Seconds(40));
  repair.RunUntilRepaired();
  for (LedgerId ledger : ledgers) {
    repair.ExpectFullyReplicated(ledger);
    EXPECT_FALSE(Names(repair.Metadata(ledger), RepairCluster::Id(1)));
  }
  EXPECT_NE(repair.autorecovery("first").auditor_status().is_leader,
            repair.autorecovery("second").auditor_status().is_leader);
}

// T48, for one worker: eight operations for a ledger (read, mark; look, lock, look again, read,
// write, remove all), one for each that is only read, and a few for the whole.
TEST(RepairTest, T48ARepairCostsTheMetadataStoreEightOperationsPerLedger) {
  RepairCluster repair(48, 4);
  constexpr int64_t kLedgers = 200;
  for (int64_t i = 0; i < kLedgers; ++i) repair.WriteLedger(kThreeTwo, 1);
  repair.StartAutorecovery("ar");
  repair.cluster().RunFor(absl::Seconds(10));
  const auto affected = static_cast<int64_t>(repair.ReferencesTo(RepairCluster::Id(1)).size());
  repair.cluster().Kill(1);
  const int64_t before = repair.OperationsOf("ar");
  repair.cluster().RunUntil(
      [&] { return repair.autorecovery("ar").worker_status().ledgers_repaired == affected; });
  const int64_t operations = repair.OperationsOf("ar") - before;
  std::printf("%lld operations for %lld ledgers\n", static_cast<long long>(operations),
              static_cast<long long>(affected));
  EXPECT_LE(operations, 8 * affected + (kLedgers - affected) + 100);
}

TEST(RepairTest, T30OneUnreadableLedgerDoesNotKeepTheOthersFromRepair) {
  RepairCluster repair(30, 4);
  const LedgerId bad = repair.WriteLedger(kThreeTwo, 1);
  const LedgerId good = repair.WriteLedger(kThreeTwo, 10);
  EXPECT_EQ(bad, LedgerId(0));
  EXPECT_TRUE(
      repair.Run(repair.store()->Put("/ledgers/00/0000/L0000", "rubbish", metadata::kAnyVersion))
          .ok());
  repair.StartAutorecovery("ar");
  repair.cluster().Kill(repair.BookieAt(good, 0, 0));
  repair.cluster().RunFor(absl::Seconds(20));
  repair.RunUntilRepaired();
  repair.ExpectFullyReplicated(good);
  EXPECT_EQ(repair.autorecovery("ar").auditor_status().ledgers_unreadable, 1);
}

}  // namespace
}  // namespace stele::autorecovery
