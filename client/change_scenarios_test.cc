// Scenarios of ensemble changes.
#include "client/testing/write_scenarios.h"

namespace stele::client {
namespace {

using metadata::Ensemble;
using metadata::LedgerMetadata;

INSTANTIATE_TEST_SUITE_P(Seeds, WriteScenarios, testing::Values(1, 2, 3));

TEST_P(WriteScenarios, Scenario07_NothingIsAcknowledgedUntilTheChangeIsStored) {
  WriteHandle writer = Writer(kThreeTwo, 1);
  for (int i = 0; i < 5; ++i) ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  at(0).SetScript(HoldAddReplies);
  at(1).SetScript(HoldAddReplies);
  at(2).SetScript(RefuseAdds);
  store().HoldPuts();
  AppendFuture e5 = AppendLater(writer);
  Settle();
  EXPECT_EQ(store().puts_waiting(), 1);
  AppendFuture e6 = AppendLater(writer);
  at(0).Release();
  at(1).Release();
  at(0).SetScript(nullptr);
  at(1).SetScript(nullptr);
  Settle();
  at(0).Release();
  at(1).Release();
  Settle();
  EXPECT_FALSE(cluster.IsReady(e5));
  EXPECT_FALSE(cluster.IsReady(e6));
  EXPECT_EQ(cluster.EntriesOf(TestCluster::Id(4), writer.id()), "");  // metadata first
  store().ReleasePuts();
  EXPECT_EQ(Result(std::move(e5)), ErrorCode::kOk);
  EXPECT_EQ(Result(std::move(e6)), ErrorCode::kOk);
  EXPECT_EQ(FragmentStarts(writer.id()), (std::vector<int64_t>{0, 5}));
  Settle();
  EXPECT_EQ(cluster.EntriesOf(TestCluster::Id(4), writer.id()), "5-6");
}

TEST_P(WriteScenarios, Scenario08_AStaleAckIsTakenBackBeforeAnythingIsDelivered) {
  WriteHandle writer = Writer({2, 1, 1}, 1);  // even entries on index 0, odd ones on index 1
  at(0).SetScript(HoldAddReplies);
  at(1).SetScript([](const wire::Request& request) {
    return IsAddOf(request, EntryId(3)) ? FakeBookie::Refuse(wire::ReplyCode::kIoError)
                                        : FakeBookie::kServe;
  });
  FakeBookie& spare = cluster.bookie(3);
  spare.SetScript(HoldAddReplies);
  store().HoldPuts();
  std::vector<AppendFuture> appends;
  for (int i = 0; i < 4; ++i) appends.push_back(AppendLater(writer));
  Settle();
  EXPECT_EQ(store().puts_waiting(), 1);
  at(0).Release();
  Settle();
  store().ReleasePuts();
  Settle();
  EXPECT_TRUE(cluster.IsReady(appends[0]));
  EXPECT_FALSE(cluster.IsReady(appends[1]));
  EXPECT_EQ(cluster.EntriesOf(TestCluster::Id(3), writer.id()), "1,3");
  spare.Release();
  for (AppendFuture& append : appends) EXPECT_EQ(Result(std::move(append)), ErrorCode::kOk);
}

TEST_P(WriteScenarios, Scenario09_AnAppendThatWaitsForRoomGoesToTheNewEnsemble) {
  WriteHandle writer = Writer({3, 3, 3}, 1, {.add_timeout = absl::Seconds(1), .adds_owed_max = 2});
  at(2).SetScript(IgnoreAdds);
  std::vector<AppendFuture> appends;
  for (int i = 0; i < 4; ++i) appends.push_back(AppendLater(writer));
  Settle();
  EXPECT_EQ(at(2).CountRequests(IsAdd), 2u);  // two are owed, the others wait here
  EXPECT_FALSE(cluster.IsReady(appends[2]));
  for (AppendFuture& append : appends) EXPECT_EQ(Result(std::move(append)), ErrorCode::kOk);
  Settle();
  EXPECT_EQ(at(2).CountRequests(IsAdd), 2u);
  EXPECT_EQ(cluster.EntriesOf(TestCluster::Id(4), writer.id()), "0-3");
  EXPECT_EQ(FragmentStarts(writer.id()), (std::vector<int64_t>{0}));
}

TEST_P(WriteScenarios, Scenario10_LateAnswersOfAReplacedBookieCountForNothing) {
  WriteHandle writer = Writer({3, 3, 3}, 1, {.add_timeout = absl::Seconds(1)});
  at(2).SetScript(HoldAddReplies);
  cluster.bookie(4).SetScript(HoldAddReplies);
  AppendFuture e0 = AppendLater(writer);
  cluster.RunFor(absl::Milliseconds(1200));
  EXPECT_EQ(cluster.LastEnsemble(writer.id())[2], TestCluster::Id(4));
  at(2).Release();  // a late ok
  Settle();
  EXPECT_FALSE(cluster.IsReady(e0));
  cluster.Kill(ensemble[2]);  // a late failure
  Settle();
  cluster.bookie(4).Release();
  EXPECT_EQ(Result(std::move(e0)), ErrorCode::kOk);
  EXPECT_EQ(store().puts(), 1);
  EXPECT_EQ(cluster.LastEnsemble(writer.id())[2], TestCluster::Id(4));
}

TEST_P(WriteScenarios, Scenario11_ASecondFailureOfTheSameBookieChangesNothingAndBlocksNothing) {
  WriteHandle writer = Writer(kThreeTwo, 1);
  at(2).SetScript([](const wire::Request& request) {
    return IsAddOf(request, EntryId(0)) ? FakeBookie::kHangUp : FakeBookie::kIgnore;
  });
  store().HoldPuts();
  for (size_t i : {0u, 1u}) at(i).SetScript(HoldAddReplies);
  AppendFuture e0 = AppendLater(writer);
  Settle();
  AppendFuture e1 = AppendLater(writer);
  Settle();
  for (size_t i : {0u, 1u}) at(i).Release();
  cluster.RunFor(absl::Seconds(6));  // e1 times out
  store().ReleasePuts();
  for (size_t i : {0u, 1u}) at(i).SetScript(nullptr);
  EXPECT_EQ(Result(std::move(e0)), ErrorCode::kOk);
  EXPECT_EQ(Result(std::move(e1)), ErrorCode::kOk);
  EXPECT_EQ(store().puts(), 1);
}

TEST_P(WriteScenarios, Scenario12_AFailureDuringTheChangeIsChangedBeforeAnythingGoesOn) {
  WriteHandle writer = Writer({3, 3, 3}, 2);
  at(1).SetScript(HoldAddReplies);
  at(2).SetScript(RefuseAdds);
  store().HoldPuts();
  AppendFuture e0 = AppendLater(writer);
  Settle();
  cluster.Kill(ensemble[1]);
  Settle();
  EXPECT_EQ(store().puts(), 1);
  store().ReleasePuts();
  EXPECT_EQ(Result(std::move(e0)), ErrorCode::kOk);
  EXPECT_EQ(store().puts(), 2);
  EXPECT_EQ(FragmentStarts(writer.id()), (std::vector<int64_t>{0}));
  EXPECT_EQ(cluster.LastEnsemble(writer.id())[0], ensemble[0]);
  for (int spare : {4, 5}) EXPECT_EQ(cluster.bookie(spare).CountRequests(IsAdd), 1u);
}

// L9: dead bookies that are still registered are no reason to write metadata without pause.
TEST_P(WriteScenarios, DeadBookiesDoNotMakeAStormOfChanges) {
  WriteHandle writer = Writer({3, 3, 3}, 2);
  for (const int dead : {3, 4, 5}) cluster.Kill(TestCluster::Id(dead));
  AppendFuture append = AppendLater(writer);
  cluster.RunFor(absl::Seconds(30));
  EXPECT_FALSE(cluster.IsReady(append));
  EXPECT_LE(store().puts(), 30);
  cluster.Revive(TestCluster::Id(5));
  EXPECT_EQ(Result(std::move(append)), ErrorCode::kOk);
}

// What somebody else does to the metadata while a change waits to be written.
TEST_P(WriteScenarios, Scenario13_AChangeThatMeetsAnotherWriterOfTheMetadata) {
  struct Row {
    std::string name;
    std::function<void(LedgerId)> meanwhile;
    ErrorCode result;
    int64_t lac;
  };
  const std::vector<Row> rows = {
      {"recovery",
       [&](LedgerId id) {
         cluster.WriteMetadata(id, cluster.ReadMetadata(id).value.WithInRecovery().value());
       },
       ErrorCode::kLedgerFenced, 0},
      {"closed",
       [&](LedgerId id) {
         cluster.WriteMetadata(
             id, cluster.ReadMetadata(id).value.WithClosed(EntryId(1234), 99999).value());
       },
       ErrorCode::kLedgerClosed, 1234},
      {"deleted",
       [&](LedgerId id) {
         Client& other = cluster.NewClient("deleter");
         EXPECT_TRUE(cluster.Get(other.DeleteLedger(id, UseFuture())).ok());
       },
       ErrorCode::kNoSuchLedgerMetadata, 0},
  };
  cluster.AddBookies(4);
  for (const Row& row : rows) {
    Client& client = cluster.NewClient(row.name);
    WriteHandle writer =
        cluster.Get(client.CreateLedger().Replication(kThreeTwo).Create(UseFuture())).value();
    ensemble = cluster.LastEnsemble(writer.id());
    ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
    at(0).SetScript(HoldAddReplies);
    at(1).SetScript(HoldAddReplies);
    at(2).SetScript(RefuseAdds);
    cluster.store(row.name).HoldPuts();
    AppendFuture append = AppendLater(writer);
    Settle();
    row.meanwhile(writer.id());
    cluster.store(row.name).ReleasePuts();
    EXPECT_EQ(Result(std::move(append)), row.result) << row.name;
    Settle();
    EXPECT_EQ(writer.last_add_confirmed(), EntryId(row.lac)) << row.name;
    EXPECT_TRUE(writer.is_closed());
    for (size_t i = 0; i < 3; ++i) at(i).SetScript(nullptr);
  }
}

TEST_P(WriteScenarios, Scenario13_AChangeKeepsWhatReReplicationWrote) {
  WriteHandle writer = Writer(kThreeTwo, 3);
  ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  at(2).SetScript(RefuseAdds);
  ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  Settle();
  ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);  // a second fragment now
  Settle();
  const size_t fragments = FragmentStarts(writer.id()).size();
  ASSERT_EQ(fragments, 2u);
  const Ensemble second = cluster.LastEnsemble(writer.id());
  cluster.bookie(second[1]).SetScript(RefuseAdds);
  store().HoldPuts();
  AppendFuture append = AppendLater(writer);
  Settle();
  AppendFuture starts_the_change = AppendLater(writer);
  Settle();
  Ensemble moved = ensemble;
  moved[2] = TestCluster::Id(6);
  const LedgerMetadata now = cluster.ReadMetadata(writer.id()).value;
  cluster.WriteMetadata(writer.id(), now.WithReplacedEnsemble(EntryId(0), moved).value());
  store().ReleasePuts();
  EXPECT_EQ(Result(std::move(append)), ErrorCode::kOk);
  EXPECT_EQ(Result(std::move(starts_the_change)), ErrorCode::kOk);
  const LedgerMetadata after = cluster.ReadMetadata(writer.id()).value;
  EXPECT_EQ(after.fragments().front().ensemble, moved);
  EXPECT_NE(after.last_fragment().ensemble[1], second[1]);
}

TEST_P(WriteScenarios, Scenario14_WithoutASpareTheLedgerEndsWhereItStands) {
  WriteHandle writer = Writer(kThreeTwo, 0);
  ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  Settle();
  at(0).SetScript(HoldAddReplies);
  at(1).SetScript(HoldAddReplies);
  at(2).SetScript(RefuseAdds);
  EXPECT_EQ(AppendNow(writer), ErrorCode::kNotEnoughBookies);
  EXPECT_EQ(AppendNow(writer), ErrorCode::kLedgerClosed);
  EXPECT_TRUE(cluster.Get(writer.Close(UseFuture())).ok());
  const LedgerMetadata metadata = cluster.ReadMetadata(writer.id()).value;
  EXPECT_TRUE(metadata.IsClosed());
  EXPECT_EQ(metadata.last_entry(), EntryId(0));
  EXPECT_EQ(metadata.length_bytes(), 7);
}

TEST_P(WriteScenarios, Scenario14_OneSpareForTwoFailuresIsTaken) {
  WriteHandle writer = Writer(kThreeTwo, 1);
  ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  Settle();
  store().HoldPuts();
  at(0).SetScript(HoldAddReplies);
  at(1).SetScript(RefuseAdds);
  at(2).SetScript(RefuseAdds);
  AppendFuture e1 = AppendLater(writer);
  Settle();
  at(0).Release();
  store().ReleasePuts();
  EXPECT_EQ(Result(std::move(e1)), ErrorCode::kOk);
  const Ensemble after = cluster.LastEnsemble(writer.id());
  EXPECT_EQ(after[0], ensemble[0]);
  EXPECT_NE(after[1] == TestCluster::Id(4), after[2] == TestCluster::Id(4));
  EXPECT_FALSE(writer.is_closed());
}

TEST_P(WriteScenarios, Scenario15_DelayedChangeReplacesWhenTheQuorumIsAtRisk) {
  WriteHandle writer = Writer({5, 5, 3}, 4, {.delay_ensemble_change = true});
  ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  at(1).SetScript(RefuseAdds);
  at(3).SetScript(RefuseAdds);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  Settle();
  EXPECT_EQ(store().puts(), 0);
  at(4).SetScript(RefuseAdds);
  ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  EXPECT_EQ(store().puts(), 1);
  const Ensemble after = cluster.LastEnsemble(writer.id());
  for (size_t i : {1u, 3u, 4u}) EXPECT_NE(after[i], ensemble[i]);
  for (size_t i : {0u, 2u}) EXPECT_EQ(after[i], ensemble[i]);
  for (size_t i : {1u, 2u, 3u, 4u}) cluster.bookie(after[i]).SetScript(HoldAddReplies);
  at(0).SetScript([](const wire::Request& request) {
    return IsAdd(request) ? FakeBookie::Refuse(wire::ReplyCode::kReadOnly) : FakeBookie::kServe;
  });
  AppendFuture append = AppendLater(writer);
  Settle();
  EXPECT_EQ(store().puts(), 2);  // a read-only bookie is replaced at once
  for (size_t i : {1u, 2u, 3u, 4u}) cluster.bookie(after[i]).Release();
  EXPECT_EQ(Result(std::move(append)), ErrorCode::kOk);
}

TEST_P(WriteScenarios, Scenario16_AFailureAfterTheAcknowledgementIsMendedByTheNextAppend) {
  WriteHandle writer = Writer(kThreeTwo, 1, {.add_timeout = absl::Seconds(1)});
  at(2).SetScript(IgnoreAdds);
  ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  cluster.RunFor(absl::Seconds(2));
  EXPECT_EQ(store().puts(), 0);
  ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  EXPECT_EQ(store().puts(), 1);
  EXPECT_EQ(FragmentStarts(writer.id()), (std::vector<int64_t>{0, 1}));
  Settle();
  EXPECT_EQ(cluster.EntriesOf(TestCluster::Id(4), writer.id()), "1");
}

TEST_P(WriteScenarios, Scenario41_ADeletedLedgerIsFoundOutAtTheNextChange) {
  WriteHandle writer = Writer(kThreeTwo, 1);
  ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  Client& other = cluster.NewClient("other");
  ASSERT_TRUE(cluster.Get(other.DeleteLedger(writer.id(), UseFuture())).ok());
  ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  Settle();
  at(0).SetScript(HoldAddReplies);
  at(1).SetScript(HoldAddReplies);
  at(2).SetScript(RefuseAdds);
  EXPECT_EQ(AppendNow(writer), ErrorCode::kNoSuchLedgerMetadata);
}

}  // namespace
}  // namespace stele::client
