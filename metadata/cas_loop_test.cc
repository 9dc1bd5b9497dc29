#include "metadata/cas_loop.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "metadata/testing/metadata_test.h"

namespace stele::metadata {
namespace {

const Ensemble kFirst = {BookieId("a:1"), BookieId("b:1")};
const Ensemble kSecond = {BookieId("c:1"), BookieId("b:1")};

// A writer closes its ledger: fails when somebody closed it otherwise.
LedgerUpdate Close(EntryId last, int64_t length) {
  return {.needed = [=](const LedgerMetadata& now) -> absl::StatusOr<bool> {
            if (!now.IsClosed()) return true;
            if (now.last_entry() == last && now.length_bytes() == length) return false;
            return MakeError(ErrorCode::kMetadataConflict, "closed otherwise");
          },
          .apply = [=](const LedgerMetadata& now) { return now.WithClosed(last, length); }};
}

class CasLoopTest : public MetadataTest {
 protected:
  CreatedLedger CreateLedger() {
    LedgerMetadataFields fields;
    fields.replication = {.ensemble_size = 2, .write_quorum_size = 2, .ack_quorum_size = 2};
    fields.fragments = {{EntryId(0), kFirst}};
    return *Run(manager_.Create(*LedgerMetadata::Create(fields)));
  }

  absl::StatusOr<Versioned<LedgerMetadata>> Update(LedgerUpdate update, RetryOptions retry = {}) {
    return Run(UpdateLedger(&manager_, created_.id, created_.metadata, std::move(update), retry));
  }
  // What a rival does between our read and our write.
  Task<void> RivalExtends() {
    auto now = co_await rival_.Read(created_.id);
    const EntryId first = now->value.last_fragment().first_entry.Next();
    auto changed = now->value.WithEnsembleFrom(first, kSecond);
    (co_await rival_.Update(created_.id, *changed, now->version)).status().IgnoreError();
  }
  Task<void> RivalCloses(EntryId last, int64_t length) {
    auto now = co_await rival_.Read(created_.id);
    (co_await rival_.Update(created_.id, *now->value.WithClosed(last, length), now->version))
        .status()
        .IgnoreError();
  }

  LedgerLayout layout_{"/ledgers", LayoutType::kHierarchical};
  LedgerManager manager_{env_, &store_, layout_};
  LedgerManager rival_{env_, rival_session_.get(), layout_};
  CreatedLedger created_ = CreateLedger();
};

TEST_F(CasLoopTest, AnUndisturbedUpdateIsOneWriteWithoutARead) {
  const auto closed = Update(Close(EntryId(4), 50));
  ASSERT_TRUE(closed.ok());
  EXPECT_EQ(closed->version, 1);
  EXPECT_TRUE(closed->value.IsClosed());
  EXPECT_EQ(*Run(rival_.Read(created_.id)), *closed);
  EXPECT_EQ(store_.CountOf(Op::kGet), 1);  // of the id generator
}

TEST_F(CasLoopTest, NothingNeededIsNothingWritten) {
  created_.metadata = *Update(Close(EntryId(4), 50));
  EXPECT_EQ(Update(Close(EntryId(4), 50))->version, 1);
  EXPECT_EQ(store_.CountOf(Op::kPut), 1);
}

TEST_F(CasLoopTest, AConflictIsTriedAgainOnTopOfTheRivalsChange) {
  store_.Before(Op::kPut, "/L", [&] { return RivalExtends(); });
  const auto closed = Update(Close(EntryId(4), 50));
  ASSERT_TRUE(closed.ok());
  EXPECT_EQ(closed->version, 2);
  EXPECT_EQ(closed->value.fragments().size(), 2u);
  EXPECT_EQ(*Run(rival_.Read(created_.id)), *closed);
}

TEST_F(CasLoopTest, ARivalThatAlwaysWinsOnlyDelaysUs) {
  for (int i = 0; i < 20; ++i) store_.Before(Op::kPut, "/L", [&] { return RivalExtends(); });
  const auto closed = Update(Close(EntryId(40), 50));
  ASSERT_TRUE(closed.ok());
  EXPECT_EQ(closed->version, 21);
}

TEST_F(CasLoopTest, AgainstARivalThatAlwaysWinsItGivesUpInTimeAndNothingIsApplied) {
  for (int i = 0; i < 200; ++i) store_.Before(Op::kPut, "/L", [&] { return RivalExtends(); });
  const MonotonicTime begin = env_.clock->Now();
  const auto closed = Update(Close(EntryId(400), 50), {.give_up_at = begin + absl::Seconds(60)});
  EXPECT_EQ(CodeOf(closed.status()), ErrorCode::kMetadataConflict);
  EXPECT_EQ(EffectOf(closed.status()), Effect::kNone);
  EXPECT_LE(env_.clock->Now() - begin, absl::Seconds(66));
  EXPECT_LT(store_.CountOf(Op::kPut), 60);  // the pauses grow
}

TEST_F(CasLoopTest, ThePredicateDecidesWhenTheRivalWasFirst) {
  store_.Before(Op::kPut, "/L", [&] { return RivalCloses(EntryId(3), 30); });
  EXPECT_EQ(CodeOf(Update(Close(EntryId(4), 50)).status()), ErrorCode::kMetadataConflict);
  EXPECT_EQ(Run(rival_.Read(created_.id))->value.last_entry(), EntryId(3));
}

// W15: a write whose answer was lost was done, or was not; never an assumed failure.
TEST_F(CasLoopTest, ALostAnswerIsFoundDoneByReadingAgain) {
  store_.Fail(Op::kPut, "/L", Fault::kLostAnswer);
  store_.Fail(Op::kGet, "/L", Fault::kNotSent, 5);
  const auto closed = Update(Close(EntryId(4), 50));
  ASSERT_TRUE(closed.ok()) << closed.status();
  EXPECT_EQ(closed->version, 1);
  EXPECT_EQ(store_.CountOf(Op::kPut), 1);
}

TEST_F(CasLoopTest, AWriteThatWasNotSentIsSentAgain) {
  store_.Fail(Op::kPut, "/L", Fault::kNotSent, 3);
  const auto closed = Update(Close(EntryId(4), 50));
  ASSERT_TRUE(closed.ok());
  EXPECT_EQ(closed->version, 1);
  EXPECT_EQ(store_.CountOf(Op::kPut), 4);
}

TEST_F(CasLoopTest, AStoreThatHasTooMuchToDoIsAskedAgain) {
  store_.Fail(Op::kPut, "/L", Fault::kOverloaded, 3);
  const auto closed = Update(Close(EntryId(4), 50));
  ASSERT_TRUE(closed.ok()) << closed.status();
  EXPECT_EQ(closed->version, 1);
  EXPECT_EQ(store_.CountOf(Op::kPut), 4);
}

TEST_F(CasLoopTest, GivingUpAfterALostAnswerIsAnUnknownEffect) {
  store_.Fail(Op::kPut, "/L", Fault::kLostAnswer);
  store_.Fail(Op::kGet, "/L", Fault::kNotSent, 1000);
  const auto closed =
      Update(Close(EntryId(4), 50), {.give_up_at = env_.clock->Now() + absl::Seconds(30)});
  EXPECT_EQ(CodeOf(closed.status()), ErrorCode::kMetadataUnavailable);
  EXPECT_EQ(EffectOf(closed.status()), Effect::kUnknown);
  EXPECT_TRUE(Run(rival_.Read(created_.id))->value.IsClosed());
}

TEST_F(CasLoopTest, OtherErrorsEndItAtOnce) {
  EXPECT_TRUE(Run(rival_.Delete(created_.id, kAnyVersion)).ok());
  const auto closed = Update(Close(EntryId(4), 50));
  EXPECT_EQ(CodeOf(closed.status()), ErrorCode::kNoSuchLedgerMetadata);
  EXPECT_EQ(EffectOf(closed.status()), Effect::kNone);
  LedgerUpdate impossible = {
      .needed = [](const LedgerMetadata&) { return true; },
      .apply = [](const LedgerMetadata& now) { return now.WithClosed(EntryId(-5), 0); }};
  EXPECT_EQ(CodeOf(Update(std::move(impossible)).status()), ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace stele::metadata
