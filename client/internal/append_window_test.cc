#include "client/internal/append_window.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace stele::client {
namespace {

using Step = AppendWindow::Step;
using Indexes = std::vector<BookieIndex>;

constexpr ErrorCode kStored = ErrorCode::kOk;
constexpr ErrorCode kTimeout = ErrorCode::kDeadline;

AppendWindow::Config Plain(quorum::Replication replication) { return {.replication = replication}; }

// A window with the calls of a writer around it, and the callbacks that it made: "0 1 2".
class Writer {
 public:
  explicit Writer(AppendWindow::Config config) : window(config) {}

  void Append(int64_t size = 10) {
    auto pushed =
        window.Push(Buffer::FromString(std::string(static_cast<size_t>(size), 'x')), Done());
    ASSERT_TRUE(pushed.ok());
    window.MarkSent(*pushed, MonotonicTime());
  }
  ErrorCode AppendAt(int64_t entry, int64_t size = 10) {
    auto pushed = window.PushAt(
        EntryId(entry), Buffer::FromString(std::string(static_cast<size_t>(size), 'x')), Done());
    if (!pushed.ok()) return CodeOf(pushed.status());
    window.MarkSent(*pushed, MonotonicTime());
    return ErrorCode::kOk;
  }
  // A reply to what was sent to the bookie that is at `index` now.
  Step Reply(int64_t entry, BookieIndex index, ErrorCode code) {
    return ReplyOfEpoch(entry, index, window.epoch(index), code);
  }
  Step ReplyOfEpoch(int64_t entry, BookieIndex index, uint32_t epoch, ErrorCode code) {
    const Step step = window.OnReply({EntryId(entry), index, epoch, code});
    if (step == Step::kDeliver) Deliver();
    return step;
  }
  void Deliver() {
    while (auto append = window.PopAcknowledged()) {
      EXPECT_GE(window.acknowledged_head(), append->entry());
      std::move(append->done)(append->entry());
    }
  }
  std::string Resent(const Indexes& changed) {
    std::string text;
    for (const AppendWindow::Resend& resend : window.FinishChange(changed)) {
      text += std::to_string(resend.entry.value()) + "@" + std::to_string(resend.index) + " ";
    }
    return text;
  }
  std::string TakeCalls() { return std::exchange(calls_, ""); }

  AppendWindow window;

 private:
  AppendDone Done() {
    return
        [this](absl::StatusOr<EntryId> entry) { calls_ += std::to_string(entry->value()) + " "; };
  }
  std::string calls_;
};

TEST(AppendWindowTest, Scenario06_CallbacksAreInOrderWhateverTheOrderOfAcks) {
  Writer writer(Plain({3, 3, 2}));
  for (int i = 0; i < 10; ++i) writer.Append();
  for (int i = 9; i > 0; --i) {
    writer.Reply(i, 0, kStored);
    writer.Reply(i, 1, kStored);
  }
  EXPECT_EQ(writer.TakeCalls(), "");
  writer.Reply(0, 2, kStored);
  writer.Reply(0, 1, kStored);
  EXPECT_EQ(writer.TakeCalls(), "0 1 2 3 4 5 6 7 8 9 ");
  EXPECT_EQ(writer.window.last_add_confirmed(), EntryId(9));
  EXPECT_TRUE(writer.window.empty());
}

TEST(AppendWindowTest, LacIsAtTheEntryInsideItsCallback) {
  Writer writer(Plain({3, 3, 2}));
  writer.Append();
  writer.Append();
  for (int entry : {1, 0}) {
    writer.Reply(entry, 0, kStored);
    if (entry == 1) writer.Reply(entry, 1, kStored);
  }
  writer.window.OnReply({EntryId(0), 1, 0, kStored});
  for (int64_t entry : {0, 1}) {
    auto append = writer.window.PopAcknowledged();
    ASSERT_TRUE(append.has_value());
    EXPECT_EQ(append->entry(), EntryId(entry));
    EXPECT_EQ(writer.window.last_add_confirmed(), EntryId(entry));
  }
}

TEST(AppendWindowTest, AcksOfABookieCountOnce) {
  Writer writer(Plain({3, 3, 2}));
  writer.Append();
  writer.Reply(0, 0, kStored);
  writer.Reply(0, 0, kStored);
  EXPECT_EQ(writer.TakeCalls(), "");
}

TEST(AppendWindowTest, HeadersCarryTheLacAndTheLengthUpToTheEntry) {
  Writer writer(Plain({3, 3, 2}));
  writer.Append(7);
  writer.Append(0);
  EXPECT_EQ(writer.window.Find(EntryId(0))->length_bytes, 7);
  EXPECT_EQ(writer.window.Find(EntryId(1))->length_bytes, 7);
  EXPECT_EQ(writer.window.Find(EntryId(1))->header_lac, kNoEntry);
  writer.Reply(0, 0, kStored);
  writer.Reply(0, 1, kStored);
  writer.Append(5);
  EXPECT_EQ(writer.window.Find(EntryId(2))->length_bytes, 12);
  EXPECT_EQ(writer.window.Find(EntryId(2))->header_lac, EntryId(0));
  EXPECT_EQ(writer.window.spread_lac(), kNoEntry);
  for (int entry : {1, 2}) {
    writer.Reply(entry, 0, kStored);
    writer.Reply(entry, 1, kStored);
  }
  EXPECT_EQ(writer.window.spread_lac(), EntryId(0));
}

TEST(AppendWindowTest, Scenario07_NothingIsAcknowledgedWhileTheEnsembleChanges) {
  Writer writer(Plain({3, 3, 2}));
  for (int i = 0; i < 6; ++i) writer.Append();
  for (int i = 0; i < 5; ++i) {
    writer.Reply(i, 0, kStored);
    writer.Reply(i, 1, kStored);
  }
  writer.TakeCalls();
  EXPECT_EQ(writer.Reply(5, 2, kTimeout), Step::kReplaceBookies);
  EXPECT_EQ(writer.window.BeginChange(), (Indexes{2}));
  writer.Append();
  for (int entry : {5, 6}) {
    writer.Reply(entry, 0, kStored);
    writer.Reply(entry, 1, kStored);
  }
  EXPECT_EQ(writer.TakeCalls(), "");
  EXPECT_EQ(writer.window.last_add_confirmed(), EntryId(4));  // the new fragment begins at 5
  EXPECT_EQ(writer.Resent({2}), "5@2 6@2 ");
  writer.Deliver();
  EXPECT_EQ(writer.TakeCalls(), "5 6 ");
}

// Two phases: all stale acks are taken back before anything is delivered. Delivering while taking
// them back would acknowledge e1, whose only copy is on a bookie that no reader will ask.
TEST(AppendWindowTest, Scenario08_StaleAcksOfAllAppendsAreTakenBackBeforeDelivery) {
  Writer writer(Plain({2, 1, 1}));
  for (int i = 0; i < 4; ++i) writer.Append();  // e0 and e2 on index 0, e1 and e3 on index 1
  writer.Reply(1, 1, kStored);
  EXPECT_EQ(writer.TakeCalls(), "");
  EXPECT_EQ(writer.Reply(3, 1, kTimeout), Step::kReplaceBookies);
  EXPECT_EQ(writer.window.BeginChange(), (Indexes{1}));
  writer.Reply(0, 0, kStored);
  EXPECT_EQ(writer.Resent({1}), "1@1 3@1 ");
  writer.Deliver();
  EXPECT_EQ(writer.TakeCalls(), "0 ");
  writer.Reply(1, 1, kStored);
  EXPECT_EQ(writer.TakeCalls(), "1 ");
}

TEST(AppendWindowTest, Scenario10_LateRepliesOfAReplacedBookieAreDropped) {
  Writer writer(Plain({3, 3, 2}));
  writer.Append();
  writer.Reply(0, 0, kStored);
  EXPECT_EQ(writer.Reply(0, 2, kTimeout), Step::kReplaceBookies);
  writer.window.BeginChange();
  EXPECT_EQ(writer.Resent({2}), "0@2 ");
  writer.Deliver();
  EXPECT_EQ(writer.ReplyOfEpoch(0, 2, 0, kStored), Step::kNothing);
  EXPECT_EQ(writer.ReplyOfEpoch(0, 2, 0, kTimeout), Step::kNothing);
  EXPECT_FALSE(writer.window.HasDelayedFailures());
  EXPECT_EQ(writer.TakeCalls(), "");
  EXPECT_EQ(writer.ReplyOfEpoch(0, 2, 1, kStored), Step::kDeliver);
  EXPECT_EQ(writer.TakeCalls(), "0 ");
}

TEST(AppendWindowTest, Scenario11_AChangeThatChangesNothingStillDelivers) {
  Writer writer(Plain({3, 3, 2}));
  writer.Append();
  EXPECT_EQ(writer.Reply(0, 2, ErrorCode::kConnectionLost), Step::kReplaceBookies);
  writer.window.BeginChange();
  EXPECT_EQ(writer.Reply(0, 2, kTimeout), Step::kNothing);
  writer.Reply(0, 0, kStored);
  writer.Reply(0, 1, kStored);
  EXPECT_EQ(writer.window.TakeFailuresDuringChange(), (Indexes{2}));
  EXPECT_EQ(writer.Resent({}), "");
  writer.Deliver();
  EXPECT_EQ(writer.TakeCalls(), "0 ");
}

TEST(AppendWindowTest, Scenario12_FailuresDuringAChangeJoinIt) {
  Writer writer(Plain({3, 3, 2}));
  writer.Append();
  writer.Append();
  EXPECT_EQ(writer.Reply(0, 2, kTimeout), Step::kReplaceBookies);
  writer.window.BeginChange();
  EXPECT_EQ(writer.Reply(0, 1, kTimeout), Step::kNothing);
  EXPECT_EQ(writer.Reply(1, 1, kTimeout), Step::kNothing);
  EXPECT_EQ(writer.window.TakeFailuresDuringChange(), (Indexes{1}));
  EXPECT_EQ(writer.Resent({1, 2}), "0@1 0@2 1@1 1@2 ");
}

TEST(AppendWindowTest, Scenario15_DelayedChangeWaitsUntilTheQuorumIsAtRisk) {
  Writer writer(AppendWindow::Config{
      .replication = {5, 5, 3}, .replace_policy = AppendWindow::ReplacePolicy::kWhenQuorumAtRisk});
  writer.Append();
  EXPECT_EQ(writer.Reply(0, 1, kTimeout), Step::kNothing);
  EXPECT_EQ(writer.Reply(0, 3, kTimeout), Step::kNothing);
  EXPECT_EQ(writer.Reply(0, 4, kTimeout), Step::kReplaceBookies);
  EXPECT_EQ(writer.window.BeginChange(), (Indexes{1, 3, 4}));
  writer.Resent({1, 3, 4});
  EXPECT_EQ(writer.Reply(0, 0, ErrorCode::kReadOnlyBookie), Step::kReplaceBookies);
  EXPECT_EQ(writer.window.BeginChange(), (Indexes{0}));
}

TEST(AppendWindowTest, Scenario16_AFailureAfterTheAcknowledgementWaitsForTheNextAppend) {
  Writer writer(Plain({3, 3, 2}));
  writer.Append();
  writer.Reply(0, 0, kStored);
  writer.Reply(0, 1, kStored);
  EXPECT_FALSE(writer.window.HasDelayedFailures());
  EXPECT_EQ(writer.Reply(0, 2, kTimeout), Step::kNothing);
  ASSERT_TRUE(writer.window.HasDelayedFailures());
  EXPECT_EQ(writer.window.BeginChange(), (Indexes{2}));
  EXPECT_EQ(writer.window.last_add_confirmed().Next(), EntryId(1));
}

TEST(AppendWindowTest, AFenceEndsTheWriterAlsoAfterTheAcknowledgement) {
  Writer writer(Plain({3, 3, 2}));
  writer.Append();
  writer.Reply(0, 0, kStored);
  writer.Reply(0, 1, kStored);
  EXPECT_EQ(writer.Reply(0, 2, ErrorCode::kLedgerFenced), Step::kFail);
}

TEST(AppendWindowTest, FatalCodesNeverChangeTheEnsemble) {
  for (ErrorCode code : {ErrorCode::kLedgerFenced, ErrorCode::kUnauthorized,
                         ErrorCode::kUnsupported, ErrorCode::kStopped}) {
    Writer writer(Plain({3, 3, 2}));
    writer.Append();
    EXPECT_EQ(writer.Reply(0, 2, code), Step::kFail);
  }
  for (ErrorCode code :
       {ErrorCode::kDeadline, ErrorCode::kConnectionLost, ErrorCode::kWriteFailed,
        ErrorCode::kOverloaded, ErrorCode::kProtocolVersion, ErrorCode::kUnknownLedgerState,
        ErrorCode::kNoSuchLedger, ErrorCode::kReadOnlyBookie}) {
    Writer writer(Plain({3, 3, 2}));
    writer.Append();
    EXPECT_EQ(writer.Reply(0, 2, code), Step::kReplaceBookies);
  }
}

TEST(AppendWindowTest, Scenario14_AnAppendWithoutReplacementsIsHopelessOnlyBelowItsQuorum) {
  Writer writer(Plain({3, 3, 2}));
  writer.Append();
  writer.Reply(0, 1, kTimeout);
  writer.window.BeginChange();
  writer.Reply(0, 2, kTimeout);
  writer.window.TakeFailuresDuringChange();
  EXPECT_EQ(writer.Resent({1}), "0@1 ");  // one spare for two
  EXPECT_FALSE(writer.window.HasHopelessAppend());
  writer.Reply(0, 1, kTimeout);
  writer.window.BeginChange();
  EXPECT_EQ(writer.Resent({}), "");
  EXPECT_TRUE(writer.window.HasHopelessAppend());
}

AppendWindow::Config GivenIds(quorum::Replication replication) {
  return {.replication = replication, .ids = AppendWindow::Ids::kGivenByCaller};
}

TEST(AppendWindowTest, Scenario17_AChangeUnderAGapTakesBackWhatLiesFarAbove) {
  Writer writer(GivenIds({3, 3, 3}));
  auto ack = [&](int64_t entry) {
    for (int index = 0; index < 3; ++index) writer.Reply(entry, index, kStored);
  };
  for (int64_t entry = 0; entry < 5; ++entry) {
    EXPECT_EQ(writer.AppendAt(entry), ErrorCode::kOk);
    ack(entry);
  }
  EXPECT_EQ(writer.AppendAt(10), ErrorCode::kOk);
  ack(10);
  EXPECT_EQ(writer.TakeCalls(), "0 1 2 3 4 ");
  writer.AppendAt(5);
  EXPECT_EQ(writer.Reply(5, 0, kTimeout), Step::kReplaceBookies);
  EXPECT_EQ(writer.window.BeginChange(), (Indexes{0}));
  writer.Reply(5, 1, kTimeout);
  writer.Reply(5, 2, kTimeout);
  EXPECT_EQ(writer.window.TakeFailuresDuringChange(), (Indexes{1, 2}));
  EXPECT_EQ(writer.window.last_add_confirmed().Next(), EntryId(5));
  EXPECT_EQ(writer.Resent({0, 1, 2}), "5@0 5@1 5@2 10@0 10@1 10@2 ");
  for (int64_t entry = 6; entry < 10; ++entry) writer.AppendAt(entry);
  for (int64_t entry = 5; entry < 10; ++entry) ack(entry);
  EXPECT_EQ(writer.TakeCalls(), "5 6 7 8 9 ");
  ack(10);
  EXPECT_EQ(writer.TakeCalls(), "10 ");
}

TEST(AppendWindowTest, Scenario18_AnIdIsAcceptedOnce) {
  Writer writer(GivenIds({3, 3, 2}));
  EXPECT_EQ(writer.AppendAt(7), ErrorCode::kOk);
  EXPECT_EQ(writer.AppendAt(7), ErrorCode::kDuplicateEntry);
  EXPECT_EQ(writer.AppendAt(0), ErrorCode::kOk);
  writer.Reply(0, 0, kStored);
  writer.Reply(0, 1, kStored);
  EXPECT_EQ(writer.AppendAt(0), ErrorCode::kDuplicateEntry);
  EXPECT_EQ(writer.AppendAt(-1), ErrorCode::kInvalidArgument);
  for (int64_t entry = 6; entry >= 1; --entry) EXPECT_EQ(writer.AppendAt(entry), ErrorCode::kOk);
  for (int64_t entry = 7; entry >= 1; --entry) {
    writer.Reply(entry, 0, kStored);
    writer.Reply(entry, 1, kStored);
  }
  EXPECT_EQ(writer.TakeCalls(), "0 1 2 3 4 5 6 7 ");
}

TEST(AppendWindowTest, Scenario18_AnAcknowledgedIdIsADuplicateAlsoBeforeTheForce) {
  AppendWindow::Config config = GivenIds({3, 3, 2});
  config.durability = AppendWindow::Durability::kDeferred;
  Writer writer(config);
  writer.AppendAt(0);
  writer.Reply(0, 0, kStored);
  writer.Reply(0, 1, kStored);
  EXPECT_EQ(writer.TakeCalls(), "0 ");
  EXPECT_TRUE(writer.window.last_add_confirmed().IsNone());
  EXPECT_EQ(writer.AppendAt(0), ErrorCode::kDuplicateEntry);
}

TEST(AppendWindowTest, Scenario19_ClosingOverAGapDropsWhatLiesAboveIt) {
  Writer writer(GivenIds({3, 3, 2}));
  for (int64_t entry = 0; entry < 10; ++entry) {
    if (entry != 4) writer.AppendAt(entry, 1 << entry);
  }
  for (int64_t entry = 0; entry < 10; ++entry) {
    writer.Reply(entry, 0, kStored);
    writer.Reply(entry, 1, kStored);
  }
  EXPECT_EQ(writer.TakeCalls(), "0 1 2 3 ");
  std::vector<QueuedAppend> drained = writer.window.Drain();
  ASSERT_EQ(drained.size(), 5u);
  EXPECT_EQ(drained.front().entry(), EntryId(5));
  EXPECT_EQ(writer.window.last_add_confirmed(), EntryId(3));
  EXPECT_EQ(writer.window.length_bytes(), 1 + 2 + 4 + 8);
}

TEST(AppendWindowTest, Scenario20_DeferredDurabilityMovesTheLacByForceOnly) {
  Writer writer(AppendWindow::Config{.replication = {3, 3, 2},
                                     .durability = AppendWindow::Durability::kDeferred});
  for (int i = 0; i < 100; ++i) {
    writer.Append();
    writer.Reply(i, 0, kStored);
    writer.Reply(i, 1, kStored);
  }
  EXPECT_EQ(writer.window.acknowledged_head(), EntryId(99));
  EXPECT_TRUE(writer.window.last_add_confirmed().IsNone());
  writer.Append();
  writer.window.OnForced(EntryId(99));
  EXPECT_EQ(writer.window.last_add_confirmed(), EntryId(99));
  writer.window.OnForced(EntryId(50));
  EXPECT_EQ(writer.window.last_add_confirmed(), EntryId(99));
}

TEST(AppendWindowTest, Scenario21_DeferredDurabilityNeverChangesTheEnsemble) {
  Writer writer(AppendWindow::Config{.replication = {3, 3, 2},
                                     .durability = AppendWindow::Durability::kDeferred});
  writer.Append();
  EXPECT_EQ(writer.Reply(0, 1, kTimeout), Step::kFail);
}

TEST(AppendWindowTest, Scenario23_DrainTakesAlsoAcknowledgedAppendsBehindAGapAndTheirLength) {
  Writer writer(Plain({3, 3, 2}));
  for (int i = 0; i < 4; ++i) writer.Append(100);
  writer.Reply(0, 0, kStored);
  writer.Reply(0, 1, kStored);
  writer.Reply(2, 0, kStored);
  writer.Reply(2, 1, kStored);
  std::vector<QueuedAppend> drained = writer.window.Drain();
  ASSERT_EQ(drained.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(drained[i].entry().value(), static_cast<int64_t>(i) + 1);
  EXPECT_EQ(writer.window.length_bytes(), 100);
  EXPECT_EQ(writer.window.last_add_pushed(), EntryId(0));
  EXPECT_EQ(writer.Reply(1, 0, kStored), Step::kNothing);
  EXPECT_EQ(writer.Reply(1, 1, ErrorCode::kLedgerFenced), Step::kNothing);
}

TEST(AppendWindowTest, RecoveryStampsItsStartingLacOnEveryEntry) {
  Writer writer(AppendWindow::Config{.replication = {3, 3, 2},
                                     .header_lac = AppendWindow::HeaderLac::kStartingLac,
                                     .last_add_confirmed = EntryId(41),
                                     .length_bytes = 7});
  for (int64_t i = 0; i < 3; ++i) {
    QueuedAppend* append =
        writer.window.PushRecovered(Buffer::CopyOf("x"), 1000 + i, [](absl::StatusOr<EntryId>) {});
    writer.window.MarkSent(append, MonotonicTime());
    EXPECT_EQ(append->entry(), EntryId(42 + i));
    EXPECT_EQ(append->header_lac, EntryId(41));
    EXPECT_EQ(append->length_bytes, 1000 + i);
    writer.Reply(42 + i, 0, kStored);
    writer.Reply(42 + i, 1, kStored);
  }
  EXPECT_EQ(writer.window.last_add_confirmed(), EntryId(44));
  EXPECT_EQ(writer.window.length_bytes(), 1002);
}

TEST(AppendWindowTest, LimitsAreKeptAndOneAppendAlwaysFits) {
  AppendWindow window(
      {.replication = {3, 3, 2}, .pending_bytes_max = 100, .pending_entries_max = 3});
  auto push = [&](size_t size) {
    return CodeOf(window.Push(Buffer::FromString(std::string(size, 'x')), nullptr).status());
  };
  EXPECT_EQ(push(101), ErrorCode::kOk);
  EXPECT_EQ(push(1), ErrorCode::kOverloaded);
  EXPECT_EQ(window.last_add_pushed(), EntryId(0));
  AppendWindow small(
      {.replication = {3, 3, 2}, .pending_bytes_max = 100, .pending_entries_max = 3});
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(small.Push(Buffer(), nullptr).ok());
  }
  EXPECT_EQ(CodeOf(small.Push(Buffer(), nullptr).status()), ErrorCode::kOverloaded);
}

TEST(AppendWindowTest, UnsentAppendsAreNotResentAfterAChange) {
  Writer writer(Plain({3, 3, 2}));
  writer.Append();
  ASSERT_TRUE(writer.window.Push(Buffer(), nullptr).ok());  // queued behind a slow bookie
  writer.Reply(0, 2, kTimeout);
  writer.window.BeginChange();
  EXPECT_EQ(writer.Resent({2}), "0@2 ");
}

}  // namespace
}  // namespace stele::client
