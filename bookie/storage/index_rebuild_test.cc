// Ledgers whose index file is gone while entry logs have their entries. F28 names the scenario.
#include "bookie/storage/index_rebuild.h"

#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/storage_rig.h"

namespace stele::bookie {
namespace {

using simulation::FileOperation;

constexpr LedgerId kLedger{0x109};
constexpr LedgerId kOther{6};
const char kIndexPath[] = "/d0/1/9/109.idx";

struct IndexRebuildTest : testing::Test, StorageRig {
  void SetUp() override {
    options.is_deleted = nullptr;
    MustOpen();
    for (int64_t i = 0; i < 5; ++i) MustPut(kLedger, EntryId(i), StrCat("payload ", i));
  }
  // A process that ended well, then a file system that lost the file.
  void LoseTheIndexFile() {
    ASSERT_TRUE(Await(storage->Close()).ok());
    Kill();
    RemoveFile(kIndexPath);
    MustOpen();
  }
  void ReplayEntries(int64_t first, int64_t last) {
    storage->CreateLedger(kLedger, KeyOf(kLedger));
    for (int64_t i = first; i <= last; ++i) {
      ASSERT_EQ(storage->PutReplayed(kLedger, EntryId(i),
                                     MakeBody(kLedger, EntryId(i), StrCat("payload ", i))),
                PutResult::kStored);
    }
    const absl::Status judged = Await(storage->JudgeReplayedStrays());
    ASSERT_TRUE(judged.ok()) << judged;
  }
  void ExpectAll() {
    for (int64_t i = 0; i < 5; ++i) {
      const auto body = Read(kLedger, EntryId(i));
      ASSERT_TRUE(body.ok()) << i << " " << body.status();
      EXPECT_EQ(*body, MakeBody(kLedger, EntryId(i), StrCat("payload ", i)));
    }
  }

  TestPace pace;
};

TEST_F(IndexRebuildTest, F28ALostIndexFileIsNeverANoAndComesBackFromTheLogs) {
  LoseTheIndexFile();
  EXPECT_EQ(storage->StrayLedgers(), std::vector<LedgerId>{kLedger});
  EXPECT_EQ(CodeOf(Await(storage->Load(kLedger)).status()), ErrorCode::kUnknownLedgerState);
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kUnknownLedgerState);
  EXPECT_EQ(CodeOf(Await(storage->ReadLac(kLedger)).status()), ErrorCode::kUnknownLedgerState);
  EXPECT_EQ(CodeOfRead(kOther, EntryId(0)), ErrorCode::kNoSuchLedger);
  const auto found = Await(storage->RecoverIndexes({kLedger}, &pace));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(*found, 5);
  for (int round = 0; round < 2; ++round) {
    ExpectAll();
    // What it may have had more is not known, and neither is whether it was fenced.
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(5)), ErrorCode::kUnknownLedgerState);
    EXPECT_TRUE(MustLoad(kLedger)->fenced);
    EXPECT_TRUE(storage->StrayLedgers().empty());
    Reopen();
  }
}

TEST_F(IndexRebuildTest, ASearchThatWasStoppedKeepsWhatItFoundAndGoesOn) {
  LoseTheIndexFile();
  pace.status = MakeError(ErrorCode::kStopped, "enough");
  EXPECT_EQ(CodeOf(Await(storage->RecoverIndexes({kLedger}, &pace)).status()), ErrorCode::kStopped);
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kUnknownLedgerState);
  Reopen();
  pace.status = absl::OkStatus();
  EXPECT_EQ(*Await(storage->RecoverIndexes({kLedger}, &pace)), 5);
  ExpectAll();
}

TEST_F(IndexRebuildTest, WhatWasDeletedIsNoStray) {
  options.is_deleted = [](LedgerId ledger) { return ledger == kLedger; };
  LoseTheIndexFile();
  EXPECT_TRUE(storage->StrayLedgers().empty());
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kNoSuchLedger);
}

TEST_F(IndexRebuildTest, AStrayThatMetadataNoLongerHasIsForgotten) {
  LoseTheIndexFile();
  ASSERT_TRUE(Await(storage->DeleteLedger(kLedger)).ok());
  EXPECT_TRUE(storage->StrayLedgers().empty());
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kNoSuchLedger);
}

TEST_F(IndexRebuildTest, ALedgerOfAnInterruptedFlushIsWholeAfterTheReplay) {
  faults.Fail(FileOperation::kWrite, ".idx");
  EXPECT_FALSE(Flush().ok());
  faults.Clear();
  Kill();
  MustOpen();
  ASSERT_EQ(storage->StrayLedgers(), std::vector<LedgerId>{kLedger});
  ReplayEntries(0, 4);
  EXPECT_FALSE(MustLoad(kLedger)->uncertain);
  EXPECT_FALSE(MustLoad(kLedger)->fenced);
  ExpectAll();
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(5)), ErrorCode::kNoSuchEntry);
}

TEST_F(IndexRebuildTest, AReplayOfAPartDoesNotHideThatTheIndexWasLost) {
  LoseTheIndexFile();
  ReplayEntries(3, 4);
  EXPECT_TRUE(MustLoad(kLedger)->uncertain);
  EXPECT_TRUE(MustLoad(kLedger)->fenced);
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kUnknownLedgerState);
  EXPECT_EQ(*Await(storage->RecoverIndexes({kLedger}, &pace)), 3);
  ExpectAll();
}

// Java's format does not say how long an index file was; the claim in its header does.
TEST_F(IndexRebuildTest, ACutIndexFileIsNeverANo) {
  ASSERT_TRUE(Await(storage->Flush()).ok());
  MustPut(kLedger, EntryId(2000), "behind a page");
  ASSERT_TRUE(Await(storage->Close()).ok());
  Kill();
  const std::string whole = ReadWholeFile(kIndexPath);
  struct Case {
    size_t size;
    int64_t lost;
  };
  for (const Case& cut : {Case{whole.size() - 8192, 1}, Case{kIndexHeaderSize, 6}}) {
    SCOPED_TRACE(cut.size);
    CreateFile(kIndexPath, whole.substr(0, cut.size));
    MustOpen();
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(2000)), ErrorCode::kUnknownLedgerState);
    EXPECT_TRUE(MustLoad(kLedger)->fenced);
    EXPECT_EQ(CodeOfRead(kOther, EntryId(0)), ErrorCode::kNoSuchLedger);
    EXPECT_EQ(*Await(storage->RecoverIndexes({kLedger}, &pace)), cut.lost);
    ExpectAll();
    EXPECT_TRUE(Read(kLedger, EntryId(2000)).ok());
    Reopen();
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(5)), ErrorCode::kUnknownLedgerState);
    Kill();
  }
  // Whole, it is as before.
  CreateFile(kIndexPath, whole);
  MustOpen();
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(5)), ErrorCode::kNoSuchEntry);
  EXPECT_FALSE(MustLoad(kLedger)->fenced);
}

// Zeroes are "other bookies have these entries", unless the file says that they were not.
struct ZeroedLocationsTest : IndexRebuildTest {
  void SetUp() override {
    IndexRebuildTest::SetUp();
    for (int64_t i = 64; i < 1500; ++i) MustPut(kLedger, EntryId(i));
    ASSERT_TRUE(Await(storage->Close()).ok());
    Kill();
  }
  void Lose(uint64_t offset, size_t size) {
    OverwriteFile(kIndexPath, offset, std::string(size, '\0'));
    MustOpen();
    storage->SetLossListener([this](LedgerId ledger) { told.push_back(ledger); });
  }
  void ExpectRepair(int64_t lost) {
    EXPECT_EQ(*Await(storage->RecoverIndexes({kLedger}, &pace)), lost);
    for (int round = 0; round < 2; ++round) {
      for (const int64_t entry : {0, 4, 64, 300, 511, 512, 1023, 1024, 1499}) {
        EXPECT_TRUE(Read(kLedger, EntryId(entry)).ok()) << entry;
      }
      // Nobody knows whether that was all.
      EXPECT_EQ(CodeOfRead(kLedger, EntryId(5)), ErrorCode::kUnknownLedgerState);
      EXPECT_EQ(CodeOfRead(kLedger, EntryId(1500)), ErrorCode::kUnknownLedgerState);
      Reopen();
    }
  }
  std::vector<LedgerId> told;
};

TEST_F(ZeroedLocationsTest, ABlockWithinIsDamageAndComesBackFromTheLogs) {
  Lose(4096, 4096);  // entries 384 to 895
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(896)), ErrorCode::kOk);
  EXPECT_FALSE(MustLoad(kLedger)->fenced);
  for (const int64_t entry : {384, 511, 512, 895}) {
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(entry)), ErrorCode::kCorruptData) << entry;
  }
  EXPECT_EQ(told, std::vector<LedgerId>{kLedger});
  EXPECT_EQ(storage->Stats().lost_indexes, 1);
  EXPECT_TRUE(MustLoad(kLedger)->uncertain);
  EXPECT_FALSE(MustLoad(kLedger)->fenced) << "its header is good: it was not";
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(5)), ErrorCode::kUnknownLedgerState);
  EXPECT_EQ(CodeOf(Await(storage->ListEntries(kLedger)).status()), ErrorCode::kUnknownLedgerState);
  ExpectRepair(512);
}

// What was found good before the second loss would else be taken for a proof that it is there.
TEST_F(ZeroedLocationsTest, WhoProvesALedgerHearsOfALossThatIsMetMeanwhile) {
  Lose(1024, 512);  // entries 0 to 63
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kCorruptData);
  storage->WatchForLosses(kLedger);
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(1100)), ErrorCode::kOk);
  EXPECT_FALSE(storage->HasSeenLoss());
  OverwriteFile(kIndexPath, 4096, std::string(512, '\0'));  // entries 384 to 447
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(384)), ErrorCode::kCorruptData);
  EXPECT_TRUE(storage->HasSeenLoss());
  EXPECT_EQ(told, std::vector<LedgerId>{kLedger}) << "it was uncertain already";
  storage->WatchForLosses(kOther);
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(384)), ErrorCode::kCorruptData);
  EXPECT_FALSE(storage->HasSeenLoss());
}

TEST_F(ZeroedLocationsTest, TheEndIsUnknownFromTheStart) {
  Lose(1024 + 1024 * 8, 8192);
  EXPECT_TRUE(MustLoad(kLedger)->uncertain);
  EXPECT_EQ(CodeOf(Await(storage->ReadLac(kLedger)).status()), ErrorCode::kUnknownLedgerState);
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(1499)), ErrorCode::kUnknownLedgerState);
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(1023)), ErrorCode::kOk);
  ExpectRepair(1500 - 1024);
}

TEST_F(ZeroedLocationsTest, NothingIsLeft) {
  Lose(1024, 2 * 8192);
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kUnknownLedgerState);
  ExpectRepair(5 + 1500 - 64);
}

// Whoever looks at the file finds it, before somebody asks for the entry.
TEST_F(ZeroedLocationsTest, ACheckFindsIt) {
  Lose(1024 + 3 * 512, 512);
  EXPECT_FALSE(MustLoad(kLedger)->uncertain);
  ASSERT_TRUE(Await(storage->CheckIndex(kLedger, &pace)).ok());
  EXPECT_TRUE(MustLoad(kLedger)->uncertain);
  MustFlush();
  Reopen();
  EXPECT_TRUE(MustLoad(kLedger)->uncertain) << "its header says so";
}

// The log may have the only copy: its record is not garbage.
TEST_F(ZeroedLocationsTest, ACompactionKeepsTheLog) {
  Lose(1024 + 3 * 512, 512);
  const auto compacted = Await(storage->CompactEntryLog(EntryLogId(0), 0, SayGone, &pace));
  ASSERT_TRUE(compacted.ok()) << compacted.status();
  EXPECT_EQ(compacted->records, 5 + 1500 - 64 - 64);
  EXPECT_FALSE(compacted->removed);
  EXPECT_TRUE(MustLoad(kLedger)->uncertain);
  ExpectRepair(64);
}

}  // namespace
}  // namespace stele::bookie
