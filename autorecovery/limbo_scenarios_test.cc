// Bookies that were wiped below their cookies, or set back, among others and their clients: T24.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "autorecovery/internal/testing/repair_cluster.h"
#include "autorecovery/repair_backlog.h"
#include "autorecovery/restart_check.h"
#include "common/base/errors.h"

namespace stele::autorecovery {
namespace {

constexpr quorum::Replication kThreeTwo{
    .ensemble_size = 3, .write_quorum_size = 3, .ack_quorum_size = 2};

// A cluster with what was on its disks on the first day: cookies, and nothing else.
class LimboScenarios : public testing::Test {
 protected:
  LimboScenarios() {
    for (int bookie = 1; bookie <= 4; ++bookie) {
      first_day_.push_back(cluster().machine(bookie)->disk().TakeSnapshot());
    }
    // Its age is that of a bookie that has run for a while.
    cluster().RunFor(absl::Minutes(2));
  }
  simulation::Cluster& cluster() { return repair_.cluster(); }
  void Wipe(int bookie) {
    cluster().Kill(bookie);
    cluster().machine(bookie)->disk().RestoreSnapshot(first_day_[static_cast<size_t>(bookie) - 1]);
    BringBack(bookie);
  }
  void BringBack(int bookie) {
    cluster().Restart(bookie);
    cluster().RunUntil([&] { return cluster().IsServing(bookie); });
  }
  int64_t LedgersInLimbo(int bookie) { return cluster().bookie(bookie)->Status().limbo.ledgers; }

  RepairCluster repair_{24, 4};
  std::vector<std::shared_ptr<const simulation::Inode>> first_day_;
};

TEST_F(LimboScenarios, T24AWipedBookieHealsItsClosedLedgersByItself) {
  const LedgerId ledger = repair_.WriteLedger(kThreeTwo, 50);
  const int wiped = repair_.BookieAt(ledger, 0, 1);
  Wipe(wiped);
  EXPECT_EQ(LedgersInLimbo(wiped), 1);
  EXPECT_EQ(repair_.Check(CheckDepth::kAvailability).finding_count, 1);
  cluster().RunUntil([&] { return LedgersInLimbo(wiped) == 0; });
  repair_.ExpectFullyReplicated(ledger);
  EXPECT_EQ(repair_.Check(CheckDepth::kFull).finding_count, 0);
}

// Of the two bookies that acknowledged an entry one is wiped and the other is away; the third has
// never had it. Two denials would be the proof that it was never acknowledged.
TEST_F(LimboScenarios, T24ARecoveryMeanwhileDoesNotTruncate) {
  client::WriteHandle writer = repair_.OpenLedger(kThreeTwo, 0);
  const LedgerId ledger = writer.id();
  const int wiped = repair_.BookieAt(ledger, 0, 0);
  const int away = repair_.BookieAt(ledger, 0, 1);
  const int never = repair_.BookieAt(ledger, 0, 2);
  repair_.world().Pause(cluster().process(never));
  repair_.Append(writer, 0, 1);
  cluster().CrashClient("application");
  cluster().Kill(never);
  BringBack(never);
  Wipe(wiped);
  cluster().Kill(away);

  client::Client& other = cluster().NewClient("other");
  const auto recover = [&] {
    return cluster().Get(other.OpenLedger(ledger).Password("pw").Recover().Open(UseFuture()));
  };
  const auto too_early = recover();
  EXPECT_FALSE(too_early.ok());
  EXPECT_FALSE(repair_.Metadata(ledger).IsClosed());

  BringBack(away);
  const auto recovered = recover();
  ASSERT_TRUE(recovered.ok()) << recovered.status();
  EXPECT_EQ(repair_.Metadata(ledger).last_entry(), EntryId(0));
  // Closed, it can be healed.
  cluster().RunUntil([&] { return LedgersInLimbo(wiped) == 0; });
}

// It is up, and counts as down for whoever asks whether another may be stopped.
TEST_F(LimboScenarios, T24NobodyElseIsToBeStoppedMeanwhile) {
  const client::WriteHandle open = repair_.OpenLedger(kThreeTwo, 5);
  const int wiped = repair_.BookieAt(open.id(), 0, 0);
  const int other = repair_.BookieAt(open.id(), 0, 1);
  simulation::SimProcess* beside =
      repair_.world().AddProcess(repair_.world().AddMachine("beside"), "beside");
  metadata::MetadataStore* store = beside->Own(repair_.world().NewMetadataStore(beside));
  const Env env = repair_.world().env(beside);
  const auto found = repair_.RunIn(beside, metadata::OpenCluster(store, "/ledgers", std::nullopt));
  ASSERT_TRUE(found.ok()) << found.status();
  metadata::LedgerManager ledgers(env, store, found->layout);
  const auto ask = [&](int bookie) {
    const auto backlog = repair_.RunIn(beside, ReadRepairBacklog(env, store, *found));
    EXPECT_TRUE(backlog.ok()) << backlog.status();
    const auto verdict =
        repair_.RunIn(beside, CheckRestart(&ledgers, {.stopping = {RepairCluster::Id(bookie)},
                                                      .bookies = backlog->bookies,
                                                      .in_limbo = backlog->in_limbo}));
    EXPECT_TRUE(verdict.ok()) << verdict.status();
    return *verdict;
  };
  EXPECT_TRUE(ask(other).IsGranted());
  Wipe(wiped);
  cluster().RunFor(absl::Seconds(5));
  const RestartVerdict refused = ask(other);
  EXPECT_TRUE(refused.counts.contains(RefusalKind::kUnrecoverable));
  EXPECT_TRUE(refused.counts.contains(RefusalKind::kTooFewCopies));
  EXPECT_TRUE(ask(wiped).IsGranted());
}

// No fence of it counts, and where its part ends is known.
TEST_F(LimboScenarios, T24AnEarlierFragmentIsHealedWhileTheLedgerIsOpen) {
  client::WriteHandle writer = repair_.OpenLedger(kThreeTwo, 5);
  const LedgerId ledger = writer.id();
  const int wiped = repair_.BookieAt(ledger, 0, 0);
  cluster().Kill(wiped);
  repair_.Append(writer, 5, 5);
  cluster().RunFor(absl::Seconds(20));
  ASSERT_EQ(repair_.Metadata(ledger).fragments().size(), 2u);
  cluster().machine(wiped)->disk().RestoreSnapshot(first_day_[static_cast<size_t>(wiped) - 1]);
  BringBack(wiped);
  EXPECT_EQ(LedgersInLimbo(wiped), 1);
  cluster().RunUntil([&] { return LedgersInLimbo(wiped) == 0; });
  EXPECT_FALSE(repair_.Metadata(ledger).IsClosed());
  repair_.Append(writer, 10, 1);
  EXPECT_TRUE(cluster().Get(writer.Close(UseFuture())).ok());
  repair_.ExpectFullyReplicated(ledger);
}

// What a wiped bookie cannot know does not keep it from new work.
TEST_F(LimboScenarios, T24NewLedgersAreWrittenToAWipedBookie) {
  client::WriteHandle open = repair_.OpenLedger(kThreeTwo, 5);
  const int wiped = repair_.BookieAt(open.id(), 0, 0);
  Wipe(wiped);
  cluster().RunFor(absl::Seconds(10));  // clients know how it is registered
  int on_it = 0;
  for (int i = 0; i < 8; ++i) {
    const LedgerId later = repair_.WriteLedger(kThreeTwo, 5);
    repair_.ExpectFullyReplicated(later);
    const metadata::LedgerMetadata written = repair_.Metadata(later);
    on_it += std::ranges::count(written.fragments().back().ensemble, RepairCluster::Id(wiped)) > 0;
  }
  EXPECT_GT(on_it, 0);
  EXPECT_EQ(LedgersInLimbo(wiped), 1);
}

}  // namespace
}  // namespace stele::autorecovery
