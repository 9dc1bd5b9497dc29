// Scenarios of creating, appending, chosen ids, deferred sync and closing.
#include "client/testing/write_scenarios.h"

namespace stele::client {
namespace {

using metadata::LedgerMetadata;
using metadata::LedgerState;

INSTANTIATE_TEST_SUITE_P(Seeds, WriteScenarios, testing::Values(1, 2, 3));

TEST_P(WriteScenarios, Scenario03_ImpossibleQuorumsAreRefusedBeforeAnythingHappens) {
  cluster.AddBookies(5);
  Client& client = cluster.NewClient("writer");
  for (quorum::Replication replication :
       {quorum::Replication{4, 2, 3}, {4, 2, 0}, {4, 5, 2}, {0, 0, 0}, {3, -1, -1}}) {
    EXPECT_EQ(CodeOf(cluster.Get(client.CreateLedger().Replication(replication).Create(UseFuture()))
                         .status()),
              ErrorCode::kInvalidArgument);
  }
  EXPECT_EQ(
      CodeOf(cluster.Get(client.CreateLedger().Id(LedgerId(-1)).Create(UseFuture())).status()),
      ErrorCode::kInvalidArgument);
  EXPECT_TRUE(cluster.Get(client.ListLedgers(UseFuture())).value().empty());
  for (int i = 1; i <= 5; ++i) EXPECT_TRUE(cluster.bookie(i).requests().empty());
}

TEST_P(WriteScenarios, Scenario04_ACreateWhoseAnswerWasLostIsRecognised) {
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("writer");
  cluster.world().metadata().LoseReplies(cluster.process("writer"), 1);
  absl::StatusOr<WriteHandle> created =
      cluster.Get(client.CreateLedger().Id(LedgerId(7)).Create(UseFuture()));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(created->id(), LedgerId(7));
  EXPECT_EQ(AppendNow(*created), ErrorCode::kOk);

  // Somebody else's node: another id when we chose it, an error when the caller did.
  EXPECT_EQ(CodeOf(cluster.Get(client.CreateLedger().Id(LedgerId(7)).Create(UseFuture())).status()),
            ErrorCode::kLedgerExists);
  const LedgerId first = cluster.Get(client.CreateLedger().Create(UseFuture())).value().id();
  Client& other = cluster.NewClient("other");
  const LedgerId next(first.value() + 1);
  ASSERT_TRUE(cluster.Get(other.CreateLedger().Id(next).Create(UseFuture())).ok());
  EXPECT_GT(cluster.Get(client.CreateLedger().Create(UseFuture())).value().id(), next);
}

TEST_P(WriteScenarios, Scenario05_OpportunisticStripingShrinksTheEnsemble) {
  cluster.AddBookies(3);
  Client& client = cluster.NewClient("writer", {.opportunistic_striping = true});
  WriteHandle writer =
      cluster.Get(client.CreateLedger().Replication({5, 2, 2}).Create(UseFuture())).value();
  EXPECT_EQ(cluster.ReadMetadata(writer.id()).value.replication(), (quorum::Replication{3, 2, 2}));
  EXPECT_EQ(AppendNow(writer), ErrorCode::kOk);
  cluster.Unregister(TestCluster::Id(1));
  cluster.Unregister(TestCluster::Id(2));
  EXPECT_EQ(
      CodeOf(
          cluster.Get(client.CreateLedger().Replication({5, 2, 2}).Create(UseFuture())).status()),
      ErrorCode::kNotEnoughBookies);
}

TEST_P(WriteScenarios, Scenario06_CallbacksComeInOrderWhateverTheOrderOfAcks) {
  WriteHandle writer = Writer(kThreeTwo, 0);
  for (size_t i = 0; i < 3; ++i) at(i).SetScript(HoldAddReplies);
  std::vector<int64_t> called;
  std::vector<int64_t> lac_inside;
  for (int i = 0; i < 10; ++i) {
    writer.Append(Buffer::CopyOf("x"), [&](absl::StatusOr<EntryId> entry) {
      called.push_back(entry->value());
      lac_inside.push_back(writer.last_add_confirmed().value());
    });
  }
  Settle();
  EXPECT_TRUE(called.empty());
  for (size_t i = 0; i < 3; ++i) at(i).ReleaseLastFirst();
  Settle();
  ASSERT_EQ(called.size(), 10u);
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(called[i], static_cast<int64_t>(i));
    EXPECT_GE(lac_inside[i], called[i]);
  }
}

TEST_P(WriteScenarios, Scenario17_EntriesAboveAGapMoveWithTheEnsemble) {
  WriteHandle writer = Writer(
      {3, 3, 3}, 3, {}, [](CreateLedgerBuilder& builder) { builder.CallerAssignsEntryIds(); });
  for (int64_t i = 0; i < 5; ++i) ASSERT_EQ(AppendAt(writer, i), ErrorCode::kOk);
  AppendFuture e10 = writer.AppendAt(EntryId(10), Buffer::CopyOf("ten"), UseFuture());
  Settle();
  EXPECT_FALSE(cluster.IsReady(e10));
  for (const BookieId& bookie : ensemble) {
    EXPECT_EQ(cluster.EntriesOf(bookie, writer.id()), "0-4,10");
    cluster.Kill(bookie);
  }
  std::vector<AppendFuture> rest;
  for (int64_t i = 5; i < 10; ++i) {
    rest.push_back(writer.AppendAt(EntryId(i), Buffer::CopyOf("x"), UseFuture()));
  }
  for (AppendFuture& append : rest) EXPECT_EQ(Result(std::move(append)), ErrorCode::kOk);
  EXPECT_EQ(Result(std::move(e10)), ErrorCode::kOk);
  EXPECT_EQ(FragmentStarts(writer.id()), (std::vector<int64_t>{0, 5}));
  for (const BookieId& bookie : ensemble) cluster.Revive(bookie);
  ASSERT_TRUE(cluster.Get(writer.Close(UseFuture())).ok());
  ReadHandle reader =
      cluster.Get(cluster.NewClient("reader").OpenLedger(writer.id()).Open(UseFuture())).value();
  std::vector<Entry> entries =
      cluster.Get(reader.Read(EntryId(0), EntryId(10), UseFuture())).value();
  EXPECT_EQ(entries.back().payload.view(), "ten");
}

TEST_P(WriteScenarios, Scenario18_TwoPayloadsForOneIdOneWins) {
  WriteHandle writer = Writer(
      kThreeTwo, 0, {}, [](CreateLedgerBuilder& builder) { builder.CallerAssignsEntryIds(); });
  AppendFuture a = writer.AppendAt(EntryId(7), Buffer::CopyOf("a"), UseFuture());
  AppendFuture b = writer.AppendAt(EntryId(7), Buffer::CopyOf("b"), UseFuture());
  EXPECT_EQ(Result(std::move(b)), ErrorCode::kDuplicateEntry);
  for (int64_t i = 0; i < 7; ++i) EXPECT_EQ(AppendAt(writer, i), ErrorCode::kOk);
  EXPECT_EQ(Result(std::move(a)), ErrorCode::kOk);
  EXPECT_EQ(AppendAt(writer, 3), ErrorCode::kDuplicateEntry);
  EXPECT_EQ(AppendNow(writer), ErrorCode::kUnsupported);
  EXPECT_EQ(AppendAt(writer, 8), ErrorCode::kOk);
}

TEST_P(WriteScenarios, Scenario18_AnAcknowledgedIdIsADuplicateUnderDeferredSync) {
  WriteHandle writer = Writer(kThreeTwo, 0, {}, [](CreateLedgerBuilder& builder) {
    builder.CallerAssignsEntryIds().DeferredSync();
  });
  EXPECT_EQ(AppendAt(writer, 0), ErrorCode::kOk);
  EXPECT_TRUE(writer.last_add_confirmed().IsNone());
  EXPECT_EQ(AppendAt(writer, 0, "other"), ErrorCode::kDuplicateEntry);
}

TEST_P(WriteScenarios, Scenario19_ClosingOverAGap) {
  WriteHandle writer = Writer(
      kThreeTwo, 0, {}, [](CreateLedgerBuilder& builder) { builder.CallerAssignsEntryIds(); });
  std::vector<AppendFuture> appends;
  for (int64_t i = 0; i < 10; ++i) {
    if (i != 4) appends.push_back(writer.AppendAt(EntryId(i), Buffer::CopyOf("xy"), UseFuture()));
  }
  Settle();
  ASSERT_TRUE(cluster.Get(writer.Close(UseFuture())).ok());
  for (size_t i = 0; i < appends.size(); ++i) {
    EXPECT_EQ(Result(std::move(appends[i])), i < 4 ? ErrorCode::kOk : ErrorCode::kLedgerClosed);
  }
  ReadHandle reader =
      cluster.Get(cluster.NewClient("reader").OpenLedger(writer.id()).Open(UseFuture())).value();
  EXPECT_EQ(reader.last_add_confirmed(), EntryId(3));
  EXPECT_EQ(reader.length_bytes(), 8);
}

TEST_P(WriteScenarios, Scenario20_DeferredSyncIsDurableWhenForced) {
  WriteHandle writer = Writer(kThreeTwo, 0, {.read_timeout = absl::Seconds(1)},
                              [](CreateLedgerBuilder& builder) { builder.DeferredSync(); });
  std::vector<AppendFuture> appends;
  for (int i = 0; i < 100; ++i) appends.push_back(AppendLater(writer));
  for (AppendFuture& append : appends) ASSERT_EQ(Result(std::move(append)), ErrorCode::kOk);
  Settle();
  EXPECT_TRUE(writer.last_add_confirmed().IsNone());
  EXPECT_EQ(cluster.Get(writer.Read(EntryId(0), EntryId(99), UseFuture())).value().size(), 100u);
  cluster.Kill(ensemble[1]);
  EXPECT_FALSE(cluster.Get(writer.Force(UseFuture())).ok());
  EXPECT_TRUE(writer.last_add_confirmed().IsNone());
  cluster.Revive(ensemble[1]);
  cluster.RunFor(absl::Seconds(2));
  EXPECT_TRUE(cluster.Get(writer.Force(UseFuture())).ok());
  EXPECT_EQ(writer.last_add_confirmed(), EntryId(99));
  EXPECT_TRUE(cluster.Get(writer.Close(UseFuture())).ok());
  EXPECT_EQ(cluster.ReadMetadata(writer.id()).value.last_entry(), EntryId(99));
}

TEST_P(WriteScenarios, Scenario20_ACloseForcesFirstAndDoesNotSealWhatItCannotForce) {
  const auto deferred = [](CreateLedgerBuilder& builder) { builder.DeferredSync(); };
  WriteHandle writer = Writer(kThreeTwo, 0, {.read_timeout = absl::Seconds(1)}, deferred);
  for (int i = 0; i < 3; ++i) ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  EXPECT_TRUE(cluster.Get(writer.Close(UseFuture())).ok());
  EXPECT_EQ(cluster.ReadMetadata(writer.id()).value.last_entry(), EntryId(2));
  EXPECT_EQ(cluster.ReadMetadata(writer.id()).value.length_bytes(), 21);

  Client& client = cluster.NewClient("second");
  CreateLedgerBuilder builder = client.CreateLedger();
  WriteHandle second =
      cluster.Get(builder.Replication(kThreeTwo).DeferredSync().Create(UseFuture())).value();
  for (int i = 0; i < 3; ++i) ASSERT_EQ(AppendNow(second), ErrorCode::kOk);
  Settle();
  cluster.Kill(TestCluster::Id(2));
  EXPECT_FALSE(cluster.Get(second.Close(UseFuture())).ok());
  EXPECT_EQ(cluster.ReadMetadata(second.id()).value.state(), LedgerState::kOpen);
  // What was accepted is found by a recovery.
  ReadHandle reader =
      cluster.Get(client.OpenLedger(second.id()).Recover().Open(UseFuture())).value();
  EXPECT_EQ(reader.last_add_confirmed(), EntryId(2));
}

TEST_P(WriteScenarios, Scenario21_DeferredSyncNeverChangesTheEnsemble) {
  WriteHandle writer =
      Writer(kThreeTwo, 1, {}, [](CreateLedgerBuilder& builder) { builder.DeferredSync(); });
  ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  Settle();
  at(0).SetScript(HoldAddReplies);
  at(1).SetScript(HoldAddReplies);
  cluster.Kill(ensemble[2]);
  EXPECT_EQ(AppendNow(writer), ErrorCode::kWriteFailed);
  EXPECT_EQ(AppendNow(writer), ErrorCode::kLedgerClosed);
  EXPECT_EQ(FragmentStarts(writer.id()), (std::vector<int64_t>{0}));
}

TEST_P(WriteScenarios, Scenario22_TheQuorumTimeoutEndsTheHandle) {
  WriteHandle writer = Writer(
      {3, 3, 3}, 1, {.add_timeout = absl::Seconds(30), .append_quorum_timeout = absl::Seconds(1)});
  ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  at(1).SetScript(IgnoreAdds);
  std::vector<AppendFuture> appends;
  for (int i = 0; i < 3; ++i) appends.push_back(AppendLater(writer));
  for (AppendFuture& append : appends) {
    EXPECT_EQ(Result(std::move(append)), ErrorCode::kAppendDeadline);
  }
  EXPECT_EQ(AppendNow(writer), ErrorCode::kLedgerClosed);
  ASSERT_TRUE(cluster.Get(writer.Close(UseFuture())).ok());
  EXPECT_EQ(cluster.ReadMetadata(writer.id()).value.last_entry(), EntryId(0));
}

TEST_P(WriteScenarios, Scenario23_CloseFailsWhatIsPendingAndHasOneResult) {
  WriteHandle writer = Writer(kThreeTwo, 0);
  ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
  const auto hold_first = [](const wire::Request& request) {
    return IsAddOf(request, EntryId(1)) ? FakeBookie::kHoldReply : FakeBookie::kServe;
  };
  for (size_t i = 0; i < 3; ++i) at(i).SetScript(hold_first);
  std::vector<AppendFuture> appends;
  for (int i = 0; i < 3; ++i) appends.push_back(AppendLater(writer));
  Settle();  // 2 and 3 are on all bookies, behind 1
  store().HoldPuts();
  std::future<absl::Status> first = writer.Close(UseFuture());
  std::future<absl::Status> second = writer.Close(UseFuture());
  Settle();
  for (AppendFuture& append : appends) {
    const absl::StatusOr<EntryId> result = cluster.Get(std::move(append));
    EXPECT_EQ(CodeOf(result.status()), ErrorCode::kLedgerClosed);
    EXPECT_EQ(EffectOf(result.status()), Effect::kUnknown);
  }
  EXPECT_FALSE(cluster.IsReady(first));
  EXPECT_FALSE(cluster.IsReady(second));
  store().ReleasePuts();
  EXPECT_TRUE(cluster.Get(std::move(first)).ok());
  EXPECT_TRUE(cluster.Get(std::move(second)).ok());
  EXPECT_EQ(store().puts(), 1);
  EXPECT_EQ(cluster.ReadMetadata(writer.id()).value.last_entry(), EntryId(0));
  EXPECT_EQ(cluster.ReadMetadata(writer.id()).value.length_bytes(), 7);
}

TEST_P(WriteScenarios, Scenario24_ACloseThatMeetsAnother) {
  struct Row {
    std::string name;
    bool overrides;
    std::function<LedgerMetadata(const LedgerMetadata&)> meanwhile;
    ErrorCode result;
    LedgerState state;
    int64_t last;
  };
  const auto closed_at = [](int64_t last) {
    return [last](const LedgerMetadata& now) {
      return now.WithClosed(EntryId(last), 7 * (last + 1)).value();
    };
  };
  const auto recovery = [](const LedgerMetadata& now) { return now.WithInRecovery().value(); };
  const std::vector<Row> rows = {
      {"same", false, closed_at(1), ErrorCode::kOk, LedgerState::kClosed, 1},
      {"other", false, closed_at(0), ErrorCode::kMetadataConflict, LedgerState::kClosed, 0},
      {"recovery", false, recovery, ErrorCode::kLedgerFenced, LedgerState::kInRecovery, -1},
      {"override", true, recovery, ErrorCode::kOk, LedgerState::kClosed, 1},
  };
  cluster.AddBookies(3);
  for (const Row& row : rows) {
    Client& client =
        cluster.NewClient(row.name, {.writer_close_overrides_recovery = row.overrides});
    WriteHandle writer =
        cluster.Get(client.CreateLedger().Replication(kThreeTwo).Create(UseFuture())).value();
    for (int i = 0; i < 2; ++i) ASSERT_EQ(AppendNow(writer), ErrorCode::kOk);
    cluster.store(row.name).HoldPuts();
    std::future<absl::Status> close = writer.Close(UseFuture());
    Settle();
    cluster.WriteMetadata(writer.id(), row.meanwhile(cluster.ReadMetadata(writer.id()).value));
    cluster.store(row.name).ReleasePuts();
    EXPECT_EQ(CodeOf(cluster.Get(std::move(close))), row.result) << row.name;
    const LedgerMetadata after = cluster.ReadMetadata(writer.id()).value;
    EXPECT_EQ(after.state(), row.state) << row.name;
    EXPECT_EQ(after.last_entry(), EntryId(row.last)) << row.name;
    if (row.result == ErrorCode::kMetadataConflict) {
      EXPECT_EQ(writer.last_add_confirmed(), EntryId(row.last));
    }
  }
}

}  // namespace
}  // namespace stele::client
