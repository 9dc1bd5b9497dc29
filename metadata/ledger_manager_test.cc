#include "metadata/ledger_manager.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "metadata/ledger_metadata_codec.h"
#include "metadata/testing/metadata_test.h"

namespace stele::metadata {
namespace {

LedgerMetadata OneFragment(MetadataFormat format = MetadataFormat::kBinary) {
  LedgerMetadataFields fields;
  fields.replication = {.ensemble_size = 2, .write_quorum_size = 2, .ack_quorum_size = 2};
  fields.fragments = {{EntryId(0), {BookieId("a:1"), BookieId("b:1")}}};
  fields.password = format == MetadataFormat::kLines ? std::nullopt : std::optional("pw");
  fields.format = format;
  return *LedgerMetadata::Create(fields);
}

class LedgerManagerTest : public MetadataTest {
 protected:
  LedgerManagerTest() { Put("/ledgers"); }

  RetryOptions Within(absl::Duration duration) {
    return {.give_up_at = env_.clock->Now() + duration};
  }
  Task<void> RivalCreates(std::string path, std::string value) {
    (co_await rival_session_->Create(std::move(path), std::move(value), NodeKind::kPersistent))
        .IgnoreError();
  }

  LedgerLayout layout_{"/ledgers", LayoutType::kHierarchical};
  LedgerManager manager_{env_, &store_, layout_};
};

TEST_F(LedgerManagerTest, CreatedLedgersGetIdsFromZeroAndAreReadBack) {
  const auto first = Run(manager_.Create(OneFragment()));
  const auto second = Run(manager_.Create(OneFragment()));
  ASSERT_TRUE(first.ok()) << first.status();
  EXPECT_EQ(first->id, LedgerId(0));
  EXPECT_EQ(second->id, LedgerId(1));
  EXPECT_EQ(first->metadata.version, 0);
  EXPECT_NE(first->metadata.value.creator_token(), 0);
  EXPECT_NE(first->metadata.value.creator_token(), second->metadata.value.creator_token());
  EXPECT_EQ(*Run(manager_.Read(LedgerId(1))), second->metadata);
  EXPECT_EQ(ValueOf("/ledgers/00/0000/L0001"), *SerializeLedgerMetadata(second->metadata.value));
  EXPECT_EQ(Run(rival_session_->Children("/ledgers/idgen"))->size(), 0u);
}

TEST_F(LedgerManagerTest, AnIdThatSomebodyChoseIsPassedOver) {
  Put("/ledgers/00/0000/L0000", "whatever");
  const auto created = Run(manager_.Create(OneFragment()));
  ASSERT_TRUE(created.ok());
  EXPECT_EQ(created->id, LedgerId(1));
  EXPECT_EQ(CodeOf(Run(manager_.CreateWithId(LedgerId(0), OneFragment())).status()),
            ErrorCode::kLedgerExists);
  EXPECT_EQ(ValueOf("/ledgers/00/0000/L0000"), "whatever");
}

TEST_F(LedgerManagerTest, ALostAnswerToCreateIsRecognisedByTheToken) {
  store_.Fail(Op::kCreate, "/L", Fault::kLostAnswer);
  const auto generated = Run(manager_.Create(OneFragment()));
  ASSERT_TRUE(generated.ok());
  EXPECT_EQ(generated->id, LedgerId(0));
  store_.Fail(Op::kCreate, "/L", Fault::kLostAnswer, 3);
  store_.Fail(Op::kGet, "/L", Fault::kNotSent, 3);
  const auto chosen = Run(manager_.CreateWithId(LedgerId(4294967296), OneFragment()));
  ASSERT_TRUE(chosen.ok()) << chosen.status();
  EXPECT_EQ(ValueOf("/ledgers/000/0000/0042/9496/L7296"),
            *SerializeLedgerMetadata(chosen->metadata.value));
}

TEST_F(LedgerManagerTest, AnotherTokenIsAnotherCreator) {
  const std::string theirs = *SerializeLedgerMetadata(OneFragment().WithCreatorToken(7));
  store_.Before(Op::kCreate, "/L", [&] { return RivalCreates("/ledgers/00/0000/L0009", theirs); });
  EXPECT_EQ(CodeOf(Run(manager_.CreateWithId(LedgerId(9), OneFragment())).status()),
            ErrorCode::kLedgerExists);
}

TEST_F(LedgerManagerTest, WithoutATokenALostAnswerIsUnknownOrCostsAnId) {
  store_.Fail(Op::kCreate, "/L", Fault::kLostAnswer);
  const auto chosen = Run(manager_.CreateWithId(LedgerId(5), OneFragment(MetadataFormat::kText)));
  EXPECT_EQ(CodeOf(chosen.status()), ErrorCode::kLedgerExists);
  EXPECT_EQ(EffectOf(chosen.status()), Effect::kUnknown);
  store_.Fail(Op::kCreate, "/L", Fault::kLostAnswer);
  const auto generated = Run(manager_.Create(OneFragment(MetadataFormat::kLines)));
  ASSERT_TRUE(generated.ok());
  EXPECT_EQ(generated->id, LedgerId(1));
  EXPECT_EQ(generated->metadata.value.creator_token(), 0);
}

TEST_F(LedgerManagerTest, ANodeThatWasOursAndHasGoneIsNotMadeAgain) {
  store_.Fail(Op::kCreate, "/L", Fault::kLostAnswer);
  store_.Before(Op::kGet, "/L0003", [&]() -> Task<void> {
    return [](MetadataStore* store) -> Task<void> {
      (co_await store->Delete("/ledgers/00/0000/L0003", kAnyVersion)).IgnoreError();
    }(rival_session_.get());
  });
  const auto created = Run(manager_.CreateWithId(LedgerId(3), OneFragment()));
  EXPECT_EQ(CodeOf(created.status()), ErrorCode::kLedgerExists);
  EXPECT_EQ(EffectOf(created.status()), Effect::kUnknown);
  EXPECT_FALSE(Exists("/ledgers/00/0000/L0003"));
}

TEST_F(LedgerManagerTest, CreateAsksAStoreThatHasTooMuchToDoAgain) {
  store_.Fail(Op::kCreateSequential, "/ledgers", Fault::kOverloaded, 2);
  store_.Fail(Op::kCreate, "/L", Fault::kOverloaded, 2);
  const auto created = Run(manager_.Create(OneFragment()));
  ASSERT_TRUE(created.ok()) << created.status();
  EXPECT_EQ(store_.CountOf(Op::kCreate), 3);
}

TEST_F(LedgerManagerTest, CreateGivesUpInTimeAndSaysWhatItDoesNotKnow) {
  store_.Fail(Op::kCreate, "/L", Fault::kNotSent, 1000);
  const auto not_sent = Run(manager_.Create(OneFragment(), Within(absl::Seconds(10))));
  EXPECT_EQ(CodeOf(not_sent.status()), ErrorCode::kMetadataUnavailable);
  EXPECT_EQ(EffectOf(not_sent.status()), Effect::kNone);

  ScriptedStore lossy(session_.get());
  LedgerManager manager(env_, &lossy, layout_);
  lossy.Fail(Op::kCreate, "/L", Fault::kLostAnswer);
  lossy.Fail(Op::kCreate, "/L", Fault::kNotSent, 1000);
  const auto unknown = Run(manager.Create(OneFragment(), Within(absl::Seconds(10))));
  EXPECT_EQ(CodeOf(unknown.status()), ErrorCode::kMetadataUnavailable);
  EXPECT_EQ(EffectOf(unknown.status()), Effect::kUnknown);
}

TEST_F(LedgerManagerTest, WhatCannotBeStoredIsRefusedBeforeAnIdIsTaken) {
  LedgerMetadataFields fields = OneFragment().fields();
  fields.custom_metadata["large"] = std::string(kLedgerMetadataSizeMaxBytes, 'x');
  EXPECT_EQ(CodeOf(Run(manager_.Create(*LedgerMetadata::Create(fields))).status()),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(store_.CountOf(Op::kCreateSequential), 0);
  EXPECT_EQ(CodeOf(Run(manager_.CreateWithId(LedgerId(-1), OneFragment())).status()),
            ErrorCode::kInvalidArgument);
}

TEST_F(LedgerManagerTest, ReadTellsMissingFromDamaged) {
  EXPECT_EQ(CodeOf(Run(manager_.Read(LedgerId(1))).status()), ErrorCode::kNoSuchLedgerMetadata);
  Put("/ledgers/00/0000/L0001", "");
  EXPECT_EQ(CodeOf(Run(manager_.Read(LedgerId(1))).status()), ErrorCode::kCorruptData);
}

TEST_F(LedgerManagerTest, UpdateComparesTheVersion) {
  const auto created = Run(manager_.Create(OneFragment()));
  const LedgerMetadata recovering = *created->metadata.value.WithInRecovery();
  EXPECT_EQ(*Run(manager_.Update(created->id, recovering, 0)), 1);
  EXPECT_EQ(CodeOf(Run(manager_.Update(created->id, recovering, 0)).status()),
            ErrorCode::kMetadataConflict);
  EXPECT_EQ(CodeOf(Run(manager_.Update(LedgerId(77), recovering, 0)).status()),
            ErrorCode::kNoSuchLedgerMetadata);
  EXPECT_EQ(Run(manager_.Read(created->id))->value, recovering);
}

TEST_F(LedgerManagerTest, AnUpdateKeepsTheStoredFormat) {
  const auto created = Run(manager_.Create(OneFragment(MetadataFormat::kText)));
  EXPECT_TRUE(
      Run(manager_.Update(created->id, *created->metadata.value.WithClosed(EntryId(1), 9), 0))
          .ok());
  EXPECT_EQ(ValueOf("/ledgers/00/0000/L0000").substr(0, 30), "BookieMetadataFormatVersion\t2\n");
}

TEST_F(LedgerManagerTest, DeleteIsIdempotentAndRemovesEmptyParents) {
  const auto first = Run(manager_.Create(OneFragment()));
  const auto second = Run(manager_.Create(OneFragment()));
  EXPECT_EQ(CodeOf(Run(manager_.Delete(first->id, 5))), ErrorCode::kMetadataConflict);
  EXPECT_TRUE(Run(manager_.Delete(first->id, 0)).ok());
  EXPECT_TRUE(Exists("/ledgers/00/0000"));
  EXPECT_TRUE(Run(manager_.Delete(second->id, kAnyVersion)).ok());
  EXPECT_FALSE(Exists("/ledgers/00"));
  EXPECT_TRUE(Exists("/ledgers"));
  EXPECT_TRUE(Run(manager_.Delete(second->id, kAnyVersion)).ok());
}

TEST_F(LedgerManagerTest, TheLegacyLayoutKeepsEmptyParents) {
  LedgerManager legacy(env_, &store_, LedgerLayout("/ledgers", LayoutType::kLegacyHierarchical));
  const auto created = Run(legacy.Create(OneFragment()));
  EXPECT_TRUE(Run(legacy.Delete(created->id, kAnyVersion)).ok());
  EXPECT_TRUE(Exists("/ledgers/00/0000"));
}

TEST_F(LedgerManagerTest, AWatchDeliversOnlyGreaterVersionsAndThenTheEnd) {
  const auto created = Run(manager_.Create(OneFragment()));
  const auto watch = manager_.Watch(created->id);
  ASSERT_TRUE(watch.ok());
  EXPECT_EQ(**Run((*watch)->Next()), created->metadata);

  const auto next = Start((*watch)->Next());
  RunFor(absl::Seconds(1));
  EXPECT_FALSE(next->has_value());
  const LedgerMetadata recovering = *created->metadata.value.WithInRecovery();
  store_.Fail(Op::kGet, "/L0000", Fault::kNotSent, 3);
  EXPECT_TRUE(Run(manager_.Update(created->id, recovering, 0)).ok());
  RunFor(absl::Seconds(1));
  ASSERT_TRUE(next->has_value());
  EXPECT_EQ(***next, (Versioned<LedgerMetadata>{recovering, 1}));

  EXPECT_TRUE(Run(manager_.Delete(created->id, 1)).ok());
  const auto end = Run((*watch)->Next());
  ASSERT_TRUE(end.ok());
  EXPECT_FALSE(end->has_value());
}

TEST_F(LedgerManagerTest, AWatchNeverGoesBack) {
  const auto created = Run(manager_.Create(OneFragment()));
  const LedgerMetadata recovering = *created->metadata.value.WithInRecovery();
  EXPECT_TRUE(Run(manager_.Update(created->id, recovering, 0)).ok());
  const auto watch = manager_.Watch(created->id);
  EXPECT_EQ((*Run((*watch)->Next()))->version, 1);
  // The same id again, behind the back of everybody: its versions begin anew.
  EXPECT_TRUE(Run(rival_session_->Delete("/ledgers/00/0000/L0000", 1)).ok());
  Put("/ledgers/00/0000/L0000", *SerializeLedgerMetadata(OneFragment()));
  const auto next = Start((*watch)->Next());
  RunFor(absl::Seconds(1));
  EXPECT_FALSE(next->has_value());
}

TEST_F(LedgerManagerTest, AWatchSaysWhenMetadataIsDamagedAndGoesOn) {
  const auto created = Run(manager_.Create(OneFragment()));
  const auto watch = manager_.Watch(created->id);
  EXPECT_TRUE(Run((*watch)->Next()).ok());
  EXPECT_TRUE(Run(rival_session_->Put("/ledgers/00/0000/L0000", "rubbish", 0)).ok());
  EXPECT_EQ(CodeOf(Run((*watch)->Next()).status()), ErrorCode::kCorruptData);
  const std::string good = *SerializeLedgerMetadata(OneFragment());
  EXPECT_TRUE(Run(rival_session_->Put("/ledgers/00/0000/L0000", good, 1)).ok());
  EXPECT_EQ((*Run((*watch)->Next()))->version, 2);
}

}  // namespace
}  // namespace stele::metadata
