#include "autorecovery/bookie_rename.h"

#include <vector>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "metadata/testing/metadata_test.h"

namespace stele::autorecovery {
namespace {

using metadata::LedgerMetadata;
using metadata::LedgerState;

const BookieId kOld("old:3181");
const BookieId kNew("new:3181");
const BookieId kOther("other:3181");
const BookieId kThird("third:3181");

LedgerMetadata Ledger(LedgerState state, std::vector<metadata::Fragment> fragments) {
  metadata::LedgerMetadataFields fields;
  fields.replication = {.ensemble_size = 2, .write_quorum_size = 1, .ack_quorum_size = 1};
  fields.state = state;
  if (state == LedgerState::kClosed) fields.last_entry = EntryId(20);
  fields.fragments = std::move(fragments);
  return *LedgerMetadata::Create(fields);
}

TEST(BookieRenameTest, EachSealedFragmentThatNamesItNamesTheOtherInItsPlace) {
  const LedgerMetadata before = Ledger(
      LedgerState::kClosed,
      {{EntryId(0), {kOther, kOld}}, {EntryId(5), {kOther, kThird}}, {EntryId(9), {kOld, kOther}}});
  EXPECT_TRUE(NamesInSealed(before, kOld));
  const auto after = WithBookieRenamed(before, kOld, kNew);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(*after, Ledger(LedgerState::kClosed, {{EntryId(0), {kOther, kNew}},
                                                  {EntryId(5), {kOther, kThird}},
                                                  {EntryId(9), {kNew, kOther}}}));
  EXPECT_FALSE(NamesInSealed(*after, kOld));
}

TEST(BookieRenameTest, TheEndOfAnOpenLedgerIsItsWriters) {
  const LedgerMetadata open =
      Ledger(LedgerState::kOpen, {{EntryId(0), {kOther, kOld}}, {EntryId(5), {kThird, kOld}}});
  EXPECT_EQ(
      *WithBookieRenamed(open, kOld, kNew),
      Ledger(LedgerState::kOpen, {{EntryId(0), {kOther, kNew}}, {EntryId(5), {kThird, kOld}}}));
  EXPECT_FALSE(NamesInSealed(Ledger(LedgerState::kOpen, {{EntryId(0), {kOther, kOld}}}), kOld));
}

TEST(BookieRenameTest, AFragmentThatNamesBothIsRefused) {
  const LedgerMetadata both = Ledger(LedgerState::kClosed, {{EntryId(0), {kNew, kOld}}});
  EXPECT_EQ(CodeOf(WithBookieRenamed(both, kOld, kNew).status()), ErrorCode::kInvalidArgument);
}

TEST(BookieRenameTest, AnEntryToLookForIsOneThatItMustHave) {
  // Striped: entries 0, 2, ... are on the first of two.
  const LedgerMetadata striped =
      Ledger(LedgerState::kClosed, {{EntryId(0), {kOther, kThird}}, {EntryId(6), {kOther, kOld}}});
  EXPECT_EQ(SomeEntryOf(striped, kOld), EntryId(7));
  EXPECT_EQ(SomeEntryOf(striped, kThird), EntryId(1));
  EXPECT_EQ(SomeEntryOf(striped, kNew), std::nullopt);
  // Only the writer knows how far this one goes.
  EXPECT_EQ(SomeEntryOf(Ledger(LedgerState::kOpen, {{EntryId(0), {kOther, kOld}}}), kOld),
            std::nullopt);
}

class RenameInLedgerTest : public metadata::MetadataTest {
 protected:
  RenameInLedgerTest() { Put("/ledgers"); }
  absl::StatusOr<bool> Rename() { return Run(RenameInLedger(&ledgers_, ledger_, kOld, kNew)); }
  void Create(LedgerMetadata metadata) {
    ASSERT_TRUE(Run(ledgers_.CreateWithId(ledger_, std::move(metadata))).ok());
  }

  Task<void> RepairsThird() {
    metadata::LedgerManager rival(env_, rival_session_.get(), ledgers_.layout());
    const auto read = co_await rival.Read(ledger_);
    const auto repaired =
        read->value.WithReplacedEnsemble(EntryId(9), {BookieId("spare:1"), kOther});
    EXPECT_TRUE((co_await rival.Update(ledger_, *repaired, read->version)).ok());
  }

  LedgerId ledger_{7};
  metadata::LedgerManager ledgers_{
      env_, &store_, metadata::LedgerLayout("/ledgers", metadata::LayoutType::kHierarchical)};
};

TEST_F(RenameInLedgerTest, ALostAnswerAndASecondCallAreNoHarm) {
  Create(Ledger(LedgerState::kClosed, {{EntryId(0), {kOther, kOld}}}));
  store_.Fail(Op::kPut, "/", Fault::kLostAnswer);
  EXPECT_EQ(*Rename(), true);
  const auto after = Run(ledgers_.Read(ledger_));
  EXPECT_EQ(after->value.fragments()[0].ensemble, (metadata::Ensemble{kOther, kNew}));
  EXPECT_EQ(*Rename(), false);
  EXPECT_EQ(Run(ledgers_.Read(ledger_))->version, after->version);
}

TEST_F(RenameInLedgerTest, WhatAnotherChangesMeanwhileStays) {
  Create(
      Ledger(LedgerState::kClosed, {{EntryId(0), {kThird, kOld}}, {EntryId(9), {kThird, kOther}}}));
  store_.Before(Op::kPut, "/", [this] { return RepairsThird(); });
  EXPECT_EQ(*Rename(), true);
  EXPECT_EQ(Run(ledgers_.Read(ledger_))->value.fragments(),
            (std::vector<metadata::Fragment>{{EntryId(0), {kThird, kNew}},
                                             {EntryId(9), {BookieId("spare:1"), kOther}}}));
}

TEST_F(RenameInLedgerTest, ADeletedLedgerIsNothingToDo) { EXPECT_EQ(*Rename(), false); }

}  // namespace
}  // namespace stele::autorecovery
