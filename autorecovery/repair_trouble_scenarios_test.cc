// Repair beside other trouble: entries that nobody gives, bookies that are read-only or full, a
// slow network, and bookies that tidy up.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "autorecovery/internal/testing/repair_cluster.h"
#include "autorecovery/repair_plan.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/http/console/node_health.h"

namespace stele::autorecovery {
namespace {

constexpr quorum::Replication kThreeTwo{
    .ensemble_size = 3, .write_quorum_size = 3, .ack_quorum_size = 2};

std::vector<BookieId> MembersOf(RepairCluster& repair, LedgerId ledger) {
  return repair.Metadata(ledger).fragments()[0].ensemble;
}

bool Names(RepairCluster& repair, LedgerId ledger, const BookieId& bookie) {
  const std::vector<BookieId> members = MembersOf(repair, ledger);
  return std::find(members.begin(), members.end(), bookie) != members.end();
}

// Who takes the first copies of a ledger, of bookies 1 to `count`.
BookieId TargetOf(RepairCluster& repair, LedgerId ledger, int count) {
  std::vector<BookieId> all;
  for (int i = 1; i <= count; ++i) all.push_back(RepairCluster::Id(i));
  const std::vector<BookieId> members = MembersOf(repair, ledger);
  return *ChooseTarget(ledger, all, {members.begin(), members.end()});
}

AutorecoveryOptions WorkerOnly() {
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.runs_auditor = false;
  return options;
}

// The second half of a ledger is on two of its three bookies. Both are away; the third gives only
// the first half.
TEST(RepairTroubleTest, T21RetriesCopyNothingTwiceWhileOtherLedgersAreRepaired) {
  constexpr int64_t kHalf = 500;
  RepairCluster repair(21, 5);
  client::WriteHandle writer = repair.OpenLedger(kThreeTwo, kHalf);
  const LedgerId ledger = writer.id();
  const std::vector<BookieId> members = MembersOf(repair, ledger);
  const int back_later = RepairCluster::NumberOf(members[0]);
  const int lost = RepairCluster::NumberOf(members[1]);
  const int has_half = RepairCluster::NumberOf(members[2]);
  repair.world().Pause(repair.cluster().process(has_half));
  repair.Append(writer, kHalf, kHalf);
  repair.cluster().CrashClient("application");
  repair.cluster().Kill(has_half);
  repair.cluster().Restart(has_half);
  repair.CloseByHand(ledger, 2 * kHalf);
  repair.cluster().RunFor(absl::Seconds(20));
  repair.cluster().Kill(back_later);
  repair.cluster().Kill(lost);
  repair.cluster().RunFor(absl::Seconds(20));

  AutorecoveryOptions options = WorkerOnly();
  options.quarantine_retry = absl::Minutes(1);
  const std::vector<std::string> workers = {"w1", "w2", "w3", "w4", "w5"};
  for (const std::string& name : workers) repair.StartAutorecovery(name, options);
  const auto copied = [&] {
    int64_t sum = 0;
    for (const std::string& name : workers) {
      sum += repair.autorecovery(name).worker_status().entries_copied;
    }
    return sum;
  };
  repair.Mark(ledger, {members[0], members[1]});
  repair.cluster().RunFor(absl::Seconds(30));
  const auto record = repair.Run(repair.records().Quarantine(ledger));
  ASSERT_TRUE(record.ok() && record->has_value());
  // Several are asked for at the same time.
  const auto in_flight_max = static_cast<int64_t>(options.entries_in_flight_max);
  EXPECT_GE((*record)->entries.front().first, EntryId(kHalf));
  EXPECT_LT((*record)->entries.front().first, EntryId(kHalf + in_flight_max));
  // Both targets have the first half.
  const int64_t first_attempt = copied();
  EXPECT_GE(first_attempt, 2 * (kHalf - in_flight_max));
  const auto written_bytes = [&] {
    int64_t sum = 0;
    for (int bookie = 1; bookie <= 5; ++bookie) {
      if (bookie == back_later || bookie == lost) continue;
      const std::string metrics = repair.cluster().bookie(bookie)->Metrics().ToString();
      sum += http::ReadNodeHealth(metrics).values.at("write_bytes");
    }
    return sum;
  };
  const int64_t written_first = written_bytes();
  EXPECT_GT(written_first, 0);
  repair.cluster().RunFor(absl::Minutes(10));
  EXPECT_EQ(copied(), first_attempt);
  EXPECT_EQ(written_bytes(), written_first);

  // Others are repaired meanwhile.
  const LedgerId other(4711);
  EXPECT_TRUE(repair.Mark(other, {members[0]}));  // it was deleted
  repair.cluster().RunFor(absl::Seconds(10));
  EXPECT_FALSE(repair.FindTask(other).has_value());

  repair.cluster().Restart(back_later);
  repair.cluster().RunFor(absl::Seconds(30));
  repair.RunUntilRepaired();
  repair.ExpectFullyReplicated(ledger);
  // What the first attempt brought to the new member has not been copied again: the second half to
  // it, and to the member that lacked it.
  EXPECT_GE(copied() - first_attempt, 2 * kHalf);
  EXPECT_LE(copied() - first_attempt, 2 * (kHalf + in_flight_max));
}

TEST(RepairTroubleTest, T25OfTwoReadOnlyBookiesOnlyTheDeadOneIsPublished) {
  RepairCluster repair(25, 5);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 20);
  const std::vector<BookieId> members = MembersOf(repair, ledger);
  for (size_t i : {0, 1}) {
    const int bookie = RepairCluster::NumberOf(members[i]);
    const absl::Status set = repair.RunIn(repair.cluster().process(bookie),
                                          repair.cluster().bookie(bookie)->SetReadOnly(true));
    EXPECT_TRUE(set.ok()) << set;
  }
  repair.StartAutorecovery("ar");
  repair.cluster().RunFor(absl::Seconds(30));
  EXPECT_EQ(repair.CountTasks(), 0u);
  repair.cluster().Kill(RepairCluster::NumberOf(members[0]));
  repair.cluster().RunUntil([&] { return repair.FindTask(ledger).has_value(); });
  EXPECT_EQ(repair.FindTask(ledger)->mark.replicas, std::vector<BookieId>{members[0]});
  repair.RunUntilRepaired();
  EXPECT_TRUE(Names(repair, ledger, members[1]));
  EXPECT_FALSE(Names(repair, ledger, members[0]));
  repair.ExpectFullyReplicated(ledger);
}

TEST(RepairTroubleTest, T33AHundredthOfTheAnswersInTimeMarksNothing) {
  RepairCluster repair(33, 4);
  for (int i = 0; i < 200; ++i) repair.WriteLedger(kThreeTwo, 1);
  AutorecoveryOptions options = RepairCluster::QuickOptions();
  options.ledger_check_interval = absl::Minutes(1);
  options.client.read_timeout = absl::Milliseconds(150);
  // A stall is 200 ms and more, and holds up what comes behind it on the connection.
  for (int bookie = 1; bookie <= 4; ++bookie) {
    repair.world().network().SetConditions(StrCat("b", bookie), "ar", {.stalls = 10});
  }
  repair.StartAutorecovery("ar", options);
  const auto status = [&] { return repair.autorecovery("ar").auditor_status(); };
  repair.cluster().RunUntil([&] { return status().ledger_checks == 3; });
  EXPECT_GT(repair.world().scheduler().faults().of("network.stall"), 0u);
  EXPECT_EQ(status().ledgers_marked, 0);
  EXPECT_EQ(repair.CountTasks(), 0u);
}

TEST(RepairTroubleTest, AMemberThatSomebodyElseHasReplacedMeanwhileIsNotCounted) {
  RepairCluster repair(34, 4);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 100);
  const BookieId target = TargetOf(repair, ledger, 4);
  EXPECT_TRUE(repair.Run(repair.records().SetLimits({.cluster = 5'000})).ok());
  repair.StartAutorecovery("ar", WorkerOnly());
  const int dead = repair.BookieAt(ledger, 0, 0);
  repair.cluster().Kill(dead);
  repair.cluster().RunFor(absl::Seconds(15));
  repair.Mark(ledger, {RepairCluster::Id(dead)});
  repair.cluster().RunUntil([&] { return repair.CountLocks() == 1; });
  repair.cluster().RunFor(absl::Seconds(1));
  repair.NameInstead(ledger, 0, target);
  repair.RunUntilRepaired();
  EXPECT_EQ(repair.autorecovery("ar").worker_status().members_replaced, 0);
  EXPECT_EQ(repair.autorecovery("ar").worker_status().ledgers_repaired, 1);
  repair.ExpectFullyReplicated(ledger);
}

// T36, T37: the bookie that copies come to looks for garbage at every step of the repair, with the
// lock or when somebody has taken that away.
class RepairBesideGarbageTest : public testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(Lock, RepairBesideGarbageTest, testing::Bool());

TEST_P(RepairBesideGarbageTest, T36T37WhatIsBeingCopiedIsNoGarbageAtAnyStep) {
  const bool has_lock = GetParam();
  simulation::ClusterOptions options{.bookies = 4, .scheduler = {.seed = 36}};
  options.adjust_bookie = [](int, bookie::BookieOptions* bookie) {
    bookie->gc_interval = absl::Milliseconds(1);  // also the grace: a second look is enough
  };
  RepairCluster repair(std::move(options));
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 100);
  const LedgerId deleted = repair.WriteLedger(kThreeTwo, 10);
  const BookieId target = TargetOf(repair, ledger, 4);
  const int tidy = RepairCluster::NumberOf(target);
  const auto collect = [&] {
    const absl::Status collected = repair.RunIn(repair.cluster().process(tidy),
                                                repair.cluster().bookie(tidy)->CollectGarbage({}));
    EXPECT_TRUE(collected.ok()) << collected;
  };
  EXPECT_TRUE(repair.Run(repair.records().SetLimits({.cluster = 10'000})).ok());
  repair.StartAutorecovery("ar", WorkerOnly());
  const int dead = repair.BookieAt(ledger, 0, 0);
  repair.cluster().Kill(dead);
  repair.cluster().RunFor(absl::Seconds(15));
  ASSERT_TRUE(repair.cluster().Get(repair.client().DeleteLedger(deleted, UseFuture())).ok());
  repair.Mark(ledger, {RepairCluster::Id(dead)});
  repair.cluster().RunUntil([&] { return repair.CountLocks() == 1; });
  if (!has_lock) {
    const metadata::UnderreplicationPaths paths{metadata::ClusterPaths("/ledgers")};
    EXPECT_TRUE(repair.Run(repair.store()->Delete(paths.Lock(ledger), metadata::kAnyVersion)).ok());
  }
  int looks = 0;
  while (repair.FindTask(ledger).has_value()) {
    collect();
    ++looks;
    ASSERT_LT(looks, 20'000);
  }
  EXPECT_GT(looks, 100);  // at least one for each entry
  EXPECT_TRUE(Names(repair, ledger, target));
  collect();
  collect();
  repair.ExpectFullyReplicated(ledger);
  // It does collect what is garbage.
  EXPECT_EQ(repair.cluster().bookie(tidy)->Ledgers(LedgerId(0), 10),
            (std::vector<LedgerId>{ledger}));
}

TEST(RepairTroubleTest, T45ATargetWhoseDiskFillsUpIsReplacedAndStaysUp) {
  RepairCluster repair(45, 5);
  const LedgerId ledger = repair.WriteLedger(kThreeTwo, 200);
  const BookieId target = TargetOf(repair, ledger, 5);
  const int full = RepairCluster::NumberOf(target);
  EXPECT_TRUE(repair.Run(repair.records().SetLimits({.cluster = 2'000})).ok());
  repair.StartAutorecovery("ar");
  repair.cluster().Kill(repair.BookieAt(ledger, 0, 0));
  repair.cluster().RunUntil(
      [&] { return repair.autorecovery("ar").worker_status().repairs_running == 1; });
  repair.cluster().RunFor(absl::Seconds(2));
  // Others have filled it up to 97 of 100.
  simulation::SimDisk& disk = repair.cluster().machine(full)->disk();
  disk.set_size_bytes(disk.used_bytes() * 100 / 97);
  repair.cluster().RunFor(absl::Seconds(30));
  EXPECT_TRUE(repair.Run(repair.records().SetLimits({})).ok());
  repair.RunUntilRepaired();
  EXPECT_FALSE(Names(repair, ledger, target));
  repair.ExpectFullyReplicated(ledger);
  ASSERT_TRUE(repair.cluster().IsServing(full));
  EXPECT_EQ(repair.cluster().bookie(full)->Status().mode, metadata::BookieMode::kReadOnly);
  EXPECT_LE(disk.used_bytes(), disk.size_bytes() * 99 / 100);
  EXPECT_TRUE(repair.cluster().failures().empty());
}

}  // namespace
}  // namespace stele::autorecovery
