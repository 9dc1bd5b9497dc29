#include "metadata/ledger_metadata.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/bookie_id.h"

namespace stele::metadata {
namespace {

Ensemble Bookies(std::initializer_list<const char*> names) {
  Ensemble ensemble;
  for (const char* name : names) ensemble.emplace_back(name);
  return ensemble;
}

LedgerMetadataFields ThreeBookies() {
  LedgerMetadataFields fields;
  fields.replication = {.ensemble_size = 3, .write_quorum_size = 2, .ack_quorum_size = 2};
  fields.fragments = {{EntryId(0), Bookies({"a:1", "b:1", "c:1"})}};
  return fields;
}

LedgerMetadata Open() { return *LedgerMetadata::Create(ThreeBookies()); }

ErrorCode CodeOfCreate(const LedgerMetadataFields& fields) {
  return CodeOf(LedgerMetadata::Create(fields).status());
}

TEST(LedgerMetadataTest, QuorumsMustFitTogether) {
  LedgerMetadataFields fields = ThreeBookies();
  fields.replication = {.ensemble_size = 3, .write_quorum_size = 4, .ack_quorum_size = 2};
  EXPECT_EQ(CodeOfCreate(fields), ErrorCode::kInvalidArgument);
  fields.replication = {.ensemble_size = 3, .write_quorum_size = 2, .ack_quorum_size = 3};
  EXPECT_EQ(CodeOfCreate(fields), ErrorCode::kInvalidArgument);
  fields.replication = {.ensemble_size = 3, .write_quorum_size = 2, .ack_quorum_size = 0};
  EXPECT_EQ(CodeOfCreate(fields), ErrorCode::kInvalidArgument);
  fields.replication = {.ensemble_size = 3, .write_quorum_size = 3, .ack_quorum_size = 3};
  EXPECT_EQ(CodeOfCreate(fields), ErrorCode::kOk);
}

TEST(LedgerMetadataTest, EnsemblesHaveTheRightSizeAndDistinctValidMembers) {
  for (const Ensemble& wrong :
       {Bookies({"a:1", "b:1"}), Bookies({"a:1", "b:1", "c:1", "d:1"}), Ensemble(),
        Bookies({"a:1", "b:1", "a:1"}), Bookies({"a:1", "b:1", "c/1"}), Bookies({"a:1", "b:1", ""}),
        Bookies({"a:1", "b:1", "ReadOnly"})}) {
    LedgerMetadataFields fields = ThreeBookies();
    fields.fragments.push_back({EntryId(5), wrong});
    EXPECT_EQ(CodeOfCreate(fields), ErrorCode::kInvalidArgument);
  }
}

TEST(LedgerMetadataTest, FragmentsBeginWithEntryZeroAndIncrease) {
  const Ensemble ensemble = ThreeBookies().fragments[0].ensemble;
  const auto code_for = [&](std::initializer_list<int64_t> first_entries) {
    LedgerMetadataFields fields = ThreeBookies();
    fields.fragments.clear();
    for (const int64_t first : first_entries)
      fields.fragments.push_back({EntryId(first), ensemble});
    return CodeOfCreate(fields);
  };
  EXPECT_EQ(code_for({}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_for({1}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_for({-1, 0}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_for({0, 7, 7}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_for({0, 7, 6}), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_for({0, 6, 7}), ErrorCode::kOk);
}

TEST(LedgerMetadataTest, FiveThousandFragmentsAreTheLimit) {
  LedgerMetadataFields fields = ThreeBookies();
  for (size_t i = 1; i < kFragmentCountMax; ++i) {
    fields.fragments.push_back({EntryId(i), fields.fragments[0].ensemble});
  }
  const auto full = LedgerMetadata::Create(fields);
  ASSERT_TRUE(full.ok());
  EXPECT_EQ(CodeOf(full->WithEnsembleFrom(EntryId(9000), fields.fragments[0].ensemble).status()),
            ErrorCode::kInvalidArgument);
}

TEST(LedgerMetadataTest, OnlyAClosedLedgerHasAnEnd) {
  LedgerMetadataFields fields = ThreeBookies();
  fields.last_entry = EntryId(3);
  EXPECT_EQ(CodeOfCreate(fields), ErrorCode::kInvalidArgument);
  fields.state = LedgerState::kClosed;
  EXPECT_EQ(CodeOfCreate(fields), ErrorCode::kOk);
  fields.last_entry = EntryId(-2);
  EXPECT_EQ(CodeOfCreate(fields), ErrorCode::kInvalidArgument);
  fields.last_entry = kNoEntry;
  EXPECT_EQ(CodeOfCreate(fields), ErrorCode::kOk);
  fields.length_bytes = -1;
  EXPECT_EQ(CodeOfCreate(fields), ErrorCode::kInvalidArgument);
}

TEST(LedgerMetadataTest, FragmentOfFindsTheGreatestFirstEntryAtOrBelow) {
  LedgerMetadataFields fields = ThreeBookies();
  fields.fragments.push_back({EntryId(10), Bookies({"a:1", "b:1", "d:1"})});
  fields.fragments.push_back({EntryId(20), Bookies({"a:1", "b:1", "e:1"})});
  const LedgerMetadata metadata = *LedgerMetadata::Create(fields);
  EXPECT_EQ(metadata.FragmentOf(EntryId(0)).first_entry, EntryId(0));
  EXPECT_EQ(metadata.FragmentOf(EntryId(9)).first_entry, EntryId(0));
  EXPECT_EQ(metadata.FragmentOf(EntryId(10)).first_entry, EntryId(10));
  EXPECT_EQ(metadata.FragmentOf(EntryId(19)).first_entry, EntryId(10));
  EXPECT_EQ(metadata.FragmentOf(EntryId(1'000'000)).first_entry, EntryId(20));
  EXPECT_EQ(metadata.last_fragment().first_entry, EntryId(20));
}

TEST(LedgerMetadataTest, EnsembleFromTheLastKeyReplacesInPlaceAndFromALaterOneAppends) {
  const Ensemble first = Bookies({"a:1", "b:1", "d:1"});
  const Ensemble second = Bookies({"a:1", "e:1", "d:1"});
  const auto replaced = Open().WithEnsembleFrom(EntryId(0), first);
  ASSERT_TRUE(replaced.ok());
  EXPECT_EQ(replaced->fragments(), (std::vector<Fragment>{{EntryId(0), first}}));
  const auto appended = replaced->WithEnsembleFrom(EntryId(8), second);
  ASSERT_TRUE(appended.ok());
  EXPECT_EQ(appended->fragments(),
            (std::vector<Fragment>{{EntryId(0), first}, {EntryId(8), second}}));
  EXPECT_EQ(CodeOf(appended->WithEnsembleFrom(EntryId(7), first).status()),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(appended->WithEnsembleFrom(EntryId(9), Bookies({"a:1"})).status()),
            ErrorCode::kInvalidArgument);
}

TEST(LedgerMetadataTest, AClosedLedgerIsNeitherReopenedNorExtendedNorClosedAgain) {
  const auto closed = Open().WithClosed(EntryId(41), 4096);
  ASSERT_TRUE(closed.ok());
  EXPECT_EQ(closed->last_entry(), EntryId(41));
  EXPECT_EQ(closed->length_bytes(), 4096);
  EXPECT_EQ(CodeOf(closed->WithInRecovery().status()), ErrorCode::kLedgerClosed);
  EXPECT_EQ(CodeOf(closed->WithClosed(EntryId(41), 4096).status()), ErrorCode::kLedgerClosed);
  EXPECT_EQ(CodeOf(closed->WithEnsembleFrom(EntryId(42), Bookies({"a:1", "b:1", "d:1"})).status()),
            ErrorCode::kLedgerClosed);
}

TEST(LedgerMetadataTest, RecoveryGoesOnThroughRecoveryToClosed) {
  const auto in_recovery = Open().WithInRecovery();
  ASSERT_TRUE(in_recovery.ok());
  EXPECT_EQ(in_recovery->state(), LedgerState::kInRecovery);
  EXPECT_TRUE(in_recovery->WithInRecovery().ok());
  EXPECT_TRUE(in_recovery->WithEnsembleFrom(EntryId(3), Bookies({"a:1", "b:1", "d:1"})).ok());
  const auto closed = in_recovery->WithClosed(kNoEntry, 0);
  ASSERT_TRUE(closed.ok());
  EXPECT_EQ(closed->last_entry(), kNoEntry);
  EXPECT_FALSE(in_recovery->WithClosed(EntryId(-2), 0).ok());
}

TEST(LedgerMetadataTest, ReReplicationChangesAnyFragmentInAnyState) {
  const Ensemble copied = Bookies({"x:1", "b:1", "c:1"});
  const auto closed = Open()
                          .WithEnsembleFrom(EntryId(10), Bookies({"a:1", "b:1", "d:1"}))
                          ->WithClosed(EntryId(20), 99);
  const auto result = closed->WithReplacedEnsemble(EntryId(0), copied);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->FragmentOf(EntryId(9)).ensemble, copied);
  EXPECT_EQ(result->FragmentOf(EntryId(10)), closed->FragmentOf(EntryId(10)));
  EXPECT_TRUE(result->IsClosed());
  EXPECT_EQ(result->last_entry(), EntryId(20));
  EXPECT_EQ(CodeOf(closed->WithReplacedEnsemble(EntryId(9), copied).status()),
            ErrorCode::kInvalidArgument);
}

TEST(LedgerMetadataTest, EveryUpdateDropsTheCreatorTokenAndKeepsTheRest) {
  LedgerMetadataFields fields = ThreeBookies();
  fields.digest_type = DigestType::kMac;
  fields.password = "secret";
  fields.custom_metadata = {{"app", "stele"}};
  fields.creation_time = absl::FromUnixMillis(1700000000000);
  fields.format = MetadataFormat::kText;
  const LedgerMetadata created = LedgerMetadata::Create(fields)->WithCreatorToken(77);
  EXPECT_EQ(created.creator_token(), 77);
  const Ensemble other = Bookies({"a:1", "b:1", "d:1"});
  for (const auto& updated : {created.WithInRecovery(), created.WithClosed(EntryId(1), 2),
                              created.WithEnsembleFrom(EntryId(5), other),
                              created.WithReplacedEnsemble(EntryId(0), other)}) {
    ASSERT_TRUE(updated.ok());
    EXPECT_EQ(updated->creator_token(), 0);
    EXPECT_EQ(updated->password(), "secret");
    EXPECT_EQ(updated->digest_type(), DigestType::kMac);
    EXPECT_EQ(updated->custom_metadata(), created.custom_metadata());
    EXPECT_EQ(updated->creation_time(), created.creation_time());
    EXPECT_EQ(updated->format(), MetadataFormat::kText);
  }
}

TEST(BookieIdTest, AcceptsExactlyTheCharactersThatApacheAccepts) {
  const std::string_view accepted =
      "-.0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_abcdefghijklmnopqrstuvwxyz";
  for (int c = 0; c < 256; ++c) {
    const std::string id = {'a', static_cast<char>(c)};
    EXPECT_EQ(IsValidBookieId(id), accepted.find(static_cast<char>(c)) != std::string_view::npos)
        << c;
  }
  EXPECT_FALSE(IsValidBookieId(""));
  EXPECT_FALSE(IsValidBookieId("readonly"));
  EXPECT_FALSE(IsValidBookieId("READonly"));
  EXPECT_TRUE(IsValidBookieId("readonly2"));
}

}  // namespace
}  // namespace stele::metadata
