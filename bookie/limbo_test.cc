// A whole bookie that comes back with less than it had: what it answers, and how that ends.
#include "bookie/limbo.h"

#include <string>

#include <gtest/gtest.h>

#include "bookie/limbo_rig.h"
#include "bookie/storage/extent_format.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

using metadata::LedgerMetadata;
using wire::ProtocolVersion;
using wire::ReplyCode;

BookieId Bookie(int number) { return BookieId("b" + std::to_string(number) + ":3181"); }

LedgerMetadata TwoFragments(int first, int second, bool is_closed) {
  metadata::LedgerMetadataFields fields{
      .replication = {.ensemble_size = 1, .write_quorum_size = 1, .ack_quorum_size = 1},
      .fragments = {{.first_entry = EntryId(0), .ensemble = {Bookie(first)}},
                    {.first_entry = EntryId(5), .ensemble = {Bookie(second)}}}};
  if (is_closed) {
    fields.state = metadata::LedgerState::kClosed;
    fields.last_entry = EntryId(9);
    fields.length_bytes = 10;
  }
  const auto made = LedgerMetadata::Create(fields);
  EXPECT_TRUE(made.ok()) << made.status();
  return *made;
}

TEST(DoubtTest, AFenceCountsInTheLastEnsembleOnly) {
  for (const bool is_closed : {false, true}) {
    EXPECT_EQ(DoubtAbout(TwoFragments(1, 2, is_closed), Bookie(2)), Doubt::kEntriesAndFence);
    EXPECT_EQ(DoubtAbout(TwoFragments(1, 2, is_closed), Bookie(1)), Doubt::kEntries);
    EXPECT_EQ(DoubtAbout(TwoFragments(1, 1, is_closed), Bookie(1)), Doubt::kEntriesAndFence);
    EXPECT_EQ(DoubtAbout(TwoFragments(1, 2, is_closed), Bookie(3)), Doubt::kNone);
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, LimboTest,
                         testing::Values(IndexFormat::kFiles, IndexFormat::kExtents));

TEST_P(LimboTest, ABookieThatWasSetBackDeniesNothing) {
  SetBack();
  EXPECT_TRUE(HasLogged("this bookie has lost data"));
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(LedgersInLimbo(), 1);
    const LedgerRequests wrong{kLedger, "other password"};
    EXPECT_EQ(world_.CodeOfCall(wrong.FencingRead(0)), ReplyCode::kUnauthorized);
    EXPECT_EQ(CodeOfRead(0), ReplyCode::kUnknownLedgerState);
    EXPECT_EQ(CodeOfRead(-1), ReplyCode::kUnknownLedgerState);
    EXPECT_EQ(world_.Call(ProtocolVersion::kV2, kRequests.Read(0)).code, ReplyCode::kIoError);
    EXPECT_EQ(world_.CodeOfCall(kRequests.ReadLac()), ReplyCode::kUnknownLedgerState);
    EXPECT_EQ(world_.CodeOfCall(kRequests.ListEntries()), ReplyCode::kUnknownLedgerState);
    EXPECT_EQ(world_.CodeOfCall(kRequests.LongPoll(-1, 10)), ReplyCode::kUnknownLedgerState);
    // It may have answered a fence.
    EXPECT_EQ(world_.CodeOfCall(kRequests.Add(9, "late")), ReplyCode::kFenced);
    EXPECT_EQ(world_.CodeOfCall(kRequests.FencingRead(4)), ReplyCode::kUnknownLedgerState);
    if (round == 0) Restart();
    if (round == 1) {
      world_.PowerCut();
      Start();
    }
  }
}

TEST_P(LimboTest, LedgersThatAreMadeLaterAreAsEver) {
  SetBack();
  operator_->CreateLedger(kLater);
  EXPECT_EQ(world_.CodeOfCall(kLaterRequests.Add(0, "zero")), ReplyCode::kOk);
  EXPECT_EQ(world_.CodeOfCall(kLaterRequests.Read(0)), ReplyCode::kOk);
  EXPECT_EQ(world_.CodeOfCall(kLaterRequests.Read(1)), ReplyCode::kNoSuchEntry);
  EXPECT_EQ(world_.CodeOfCall(LedgerRequests{LedgerId(9)}.Read(0)), ReplyCode::kNoSuchLedger);
  Restart();
  EXPECT_EQ(LedgersInLimbo(), 1);
  EXPECT_EQ(world_.CodeOfCall(kLaterRequests.Read(1)), ReplyCode::kNoSuchEntry);
}

TEST_P(LimboTest, ARecoverysCopiesAreTakenAndServed) {
  SetBack();
  EXPECT_EQ(world_.CodeOfCall(kRequests.RecoveryAdd(2, Payload(2), 1)), ReplyCode::kOk);
  EXPECT_EQ(CodeOfRead(2), ReplyCode::kOk);
  EXPECT_EQ(CodeOfRead(3), ReplyCode::kUnknownLedgerState);
}

TEST_P(LimboTest, AClosedLedgerIsHealedFromPeersAndLeavesLimbo) {
  SetBack();
  RunFor(absl::Minutes(3));
  EXPECT_EQ(LedgersInLimbo(), 1) << "it is open: what it had is not known";
  const std::string record =
      StrCat("/stele/", operator_->ReadNode("/ledgers/INSTANCEID"), "/limbo/bookie:3181");
  EXPECT_NE(operator_->ReadNode(record), "");
  operator_->CloseLedger(kLedger, EntryId(4));
  RunFor(absl::Minutes(3));
  EXPECT_EQ(LedgersInLimbo(), 0);
  EXPECT_FALSE(operator_->Exists(kMark));
  EXPECT_TRUE(HasLogged("has left limbo"));
  for (int round = 0; round < 2; ++round) {
    ExpectAll();
    EXPECT_EQ(CodeOfRead(5), ReplyCode::kNoSuchEntry);
    world_.PowerCut();
    Start();
    EXPECT_EQ(world_.bookie()->Status().limbo.since, std::nullopt);
  }
}

TEST_P(LimboTest, WithoutACopyALedgerStaysInLimbo) {
  peers_.copies.erase({kLedger, EntryId(3)});
  SetBack();
  operator_->CloseLedger(kLedger, EntryId(4));
  RunFor(absl::Minutes(3));
  EXPECT_EQ(LedgersInLimbo(), 1);
  EXPECT_EQ(CodeOfRead(2), ReplyCode::kOk);
  EXPECT_EQ(CodeOfRead(3), ReplyCode::kUnknownLedgerState);
}

// Its disk may be sound: it lacks what it lacks because it has lost data.
TEST_P(LimboTest, WhatIsHealedIsNoDamageThatEndsWriting) {
  world_.options().scrub.damage_max = 3;
  operator_->CloseLedger(kLedger, EntryId(4));
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile(kEntryLog);
  operator_->RemoveFile(kLedgersAge);
  Start();
  EXPECT_EQ(LedgersInLimbo(), 1);
  RunFor(absl::Minutes(3));
  EXPECT_TRUE(HasLogged("damage on disk"));
  EXPECT_EQ(LedgersInLimbo(), 0);
  ExpectAll();
  EXPECT_EQ(world_.bookie()->Status().scrub.damaged, 0);
  operator_->CreateLedger(kLater);
  EXPECT_EQ(world_.CodeOfCall(kLaterRequests.Add(0, "zero")), ReplyCode::kOk);
}

TEST_P(LimboTest, ADeletedLedgerLeavesLimbo) {
  world_.options().gc_interval = absl::Seconds(10);
  SetBack();
  operator_->DeleteLedger(kLedger);
  RunFor(absl::Minutes(10));
  EXPECT_EQ(LedgersInLimbo(), 0);
  EXPECT_FALSE(operator_->Exists(kMark));
}

// All is there, but for the number.
TEST_P(LimboTest, ADirectoryWithoutAnAgeIsBehindAndWhatItHasIsServed) {
  operator_->CloseLedger(kLedger, EntryId(4));
  peers_.copies.clear();
  for (const char* age : {kJournalAge, kLedgersAge}) {
    world_.Kill();
    operator_->RemoveFile(age);
    Start();
    EXPECT_EQ(LedgersInLimbo(), 1) << age;
    ExpectAll();
    EXPECT_EQ(CodeOfRead(5), ReplyCode::kUnknownLedgerState);
    RunFor(absl::Seconds(10));
    EXPECT_EQ(LedgersInLimbo(), 0);
    EXPECT_EQ(CodeOfRead(5), ReplyCode::kNoSuchEntry);
  }
  EXPECT_EQ(peers_.asked, 0);
}

class LimboOfExtentsTest : public LimboTest {
 protected:
  // So that nothing of its rows is left.
  void DamageRuns() {
    const std::string directory = "/data/ledgers/current/extents";
    for (const std::string& name : operator_->List(directory)) {
      if (!name.ends_with(kExtentRunSuffix)) continue;
      const std::string path = StrCat(directory, "/", name);
      const std::string run = operator_->ReadFile(path);
      const auto footer = ParseExtentFooter(run.substr(0, kExtentFooterBytes));
      ASSERT_TRUE(footer.ok()) << footer.status();
      for (uint32_t block = 0; block <= footer->blocks; ++block) {  // the last is the tail
        operator_->Overwrite(path, ExtentBlockOffset(block), "\xff");
      }
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Formats, LimboOfExtentsTest, testing::Values(IndexFormat::kExtents));

// Metadata knows it, and no entry log does.
TEST_P(LimboOfExtentsTest, AFenceThatLayInADamagedPartOfTheIndexIsNotForgotten) {
  operator_->CreateLedger(kLater);
  EXPECT_NE(world_.CodeOfCall(kLaterRequests.FencingRead(0)), ReplyCode::kFenced);
  EXPECT_EQ(world_.CodeOfCall(kLaterRequests.Add(0, "zero")), ReplyCode::kFenced);
  ASSERT_TRUE(world_.Stop().ok());
  DamageRuns();
  for (int round = 0; round < 3; ++round) {
    Start();
    EXPECT_TRUE(HasLogged("ledgers may have been lost"));
    EXPECT_EQ(LedgersInLimbo(), 2) << round;
    EXPECT_EQ(world_.CodeOfCall(kLaterRequests.Read(0)), ReplyCode::kUnknownLedgerState);
    EXPECT_EQ(world_.CodeOfCall(kLaterRequests.Add(0, "zero")), ReplyCode::kFenced);
    round == 0 ? world_.Kill() : world_.PowerCut();
  }
}

class LimboOfIndexFilesTest : public LimboTest {};
INSTANTIATE_TEST_SUITE_P(Formats, LimboOfIndexFilesTest, testing::Values(IndexFormat::kFiles));

// The log has its entries.
TEST_P(LimboOfIndexFilesTest, ALedgerWithoutItsIndexIsInLimboUntilItIsFoundInTheLogs) {
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile(kIndexFile);
  operator_->RemoveFile(kLedgersAge);
  peers_.copies.clear();
  for (int round = 0; round < 2; ++round) {
    Start();
    EXPECT_EQ(LedgersInLimbo(), 1) << round;
    EXPECT_EQ(CodeOfRead(0), ReplyCode::kUnknownLedgerState);
    world_.Kill();
  }
  Start();
  RunFor(absl::Minutes(3));
  EXPECT_EQ(LedgersInLimbo(), 1) << "it is open";
  EXPECT_EQ(CodeOfRead(5), ReplyCode::kUnknownLedgerState);
  operator_->CloseLedger(kLedger, EntryId(4));
  RunFor(absl::Minutes(3));
  EXPECT_EQ(LedgersInLimbo(), 0);
  ExpectAll();
  EXPECT_EQ(CodeOfRead(5), ReplyCode::kNoSuchEntry);
}

TEST_P(LimboOfIndexFilesTest, ALedgerWithoutItsIndexThatIsDeletedLeavesLimbo) {
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile(kIndexFile);
  operator_->RemoveFile(kLedgersAge);
  Start();
  EXPECT_EQ(LedgersInLimbo(), 1);
  operator_->DeleteLedger(kLedger);
  RunFor(absl::Minutes(3));
  EXPECT_EQ(LedgersInLimbo(), 0);
  EXPECT_FALSE(operator_->Exists(kMark));
}

}  // namespace
}  // namespace stele::bookie
