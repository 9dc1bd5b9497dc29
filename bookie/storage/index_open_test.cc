// An index is converted to the other form when it is opened, at whichever step the process died
// before.
#include "bookie/storage/index_open.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/extent_format.h"
#include "bookie/storage/storage_rig.h"

namespace stele::bookie {
namespace {

constexpr LedgerId kLedger{7};

struct IndexOpenTest : testing::Test, StorageRig {
  IndexOpenTest() : StorageRig(1, 2) { options.memtable_max_bytes = 1 << 20; }

  void OpenAs(std::optional<IndexFormat> format) {
    options.index_format = format;
    Kill();
    MustOpen();
  }
  // Ledgers in several states; one of them is deleted.
  void Fill() {
    for (int64_t ledger = 0; ledger < 30; ++ledger) {
      for (int64_t entry = 0; entry < 20; ++entry) {
        // Two of three copies, as striping leaves them.
        if ((entry + ledger) % 3 != 0) MustPut(LedgerId(ledger), EntryId(entry));
      }
    }
    MustFlush();
    storage->SetFenced(LedgerId(3));
    storage->SetExplicitLac(LedgerId(4), EntryId(11), MakeLacPacket(LedgerId(4), EntryId(11)));
    storage->CreateLedger(LedgerId(100), std::nullopt);
    storage->SetFenced(LedgerId(100));
    MustPut(LedgerId(5), EntryId(5000));
    MustFlush();
    ASSERT_TRUE(Await(storage->DeleteLedger(LedgerId(6))).ok());
  }
  void Verify() {
    EXPECT_EQ(storage->Ledgers().size(), 30u);
    for (int64_t ledger = 0; ledger < 30; ++ledger) {
      SCOPED_TRACE(ledger);
      const auto loaded = Await(storage->Load(LedgerId(ledger)));
      if (ledger == 6) {
        EXPECT_EQ(CodeOf(loaded.status()), ErrorCode::kNoSuchLedger);
        continue;
      }
      ASSERT_TRUE(loaded.ok()) << loaded.status();
      EXPECT_EQ((*loaded)->master_key, KeyOf(LedgerId(ledger)));
      EXPECT_EQ((*loaded)->fenced, ledger == 3);
      EXPECT_FALSE((*loaded)->uncertain);
      EXPECT_EQ((*loaded)->explicit_lac.empty(), ledger != 4);
      for (int64_t entry = 0; entry < 22; ++entry) {
        const bool is_there = entry < 20 && (entry + ledger) % 3 != 0;
        EXPECT_EQ(CodeOfRead(LedgerId(ledger), EntryId(entry)),
                  is_there ? ErrorCode::kOk : ErrorCode::kNoSuchEntry);
      }
    }
    EXPECT_EQ(CodeOfRead(LedgerId(5), EntryId(5000)), ErrorCode::kOk);
    EXPECT_TRUE(MustLoad(LedgerId(100))->fenced);
    EXPECT_FALSE(MustLoad(LedgerId(100))->has_master_key);
  }
  bool HasIndexFiles() {
    bool has_some = false;
    for (const char* root : {"/d0", "/d1"}) {
      for (int64_t ledger = 0; ledger < 101; ++ledger) {
        has_some =
            has_some || Exists(StrCat(root, "/0/", IndexFilePath(LedgerId(ledger)).substr(2)));
      }
    }
    return has_some;
  }
  bool HasExtents() {
    for (const char* root : {"/d0/extents", "/d1/extents"}) {
      const auto names = Await(world.env(process).files->List(root));
      if (names.ok() && !names->empty()) return true;
    }
    return false;
  }
};

TEST_F(IndexOpenTest, ANewBookieHasFilesUnlessItIsToldOtherwise) {
  OpenAs(std::nullopt);
  MustPut(kLedger, EntryId(0));
  MustFlush();
  EXPECT_TRUE(HasIndexFiles());
  EXPECT_FALSE(HasExtents());
}

TEST_F(IndexOpenTest, EachFormIsConvertedToTheOther) {
  OpenAs(IndexFormat::kFiles);
  Fill();
  Verify();
  OpenAs(IndexFormat::kExtents);
  Verify();
  EXPECT_FALSE(HasIndexFiles());
  OpenAs(std::nullopt);  // as it is
  Verify();
  EXPECT_FALSE(HasIndexFiles());
  MustPut(LedgerId(5), EntryId(6000));
  MustFlush();
  OpenAs(IndexFormat::kFiles);
  Verify();
  EXPECT_EQ(CodeOfRead(LedgerId(5), EntryId(6000)), ErrorCode::kOk);
  EXPECT_FALSE(HasExtents());
  EXPECT_TRUE(HasIndexFiles());
}

// Locations that are lost stay lost, and are no "no such entry".
TEST_F(IndexOpenTest, WhatWasUncertainStaysUncertain) {
  OpenAs(IndexFormat::kFiles);
  for (int64_t entry = 0; entry < 200; ++entry) MustPut(kLedger, EntryId(entry));
  MustFlush();
  Kill();
  for (const char* root : {"/d0/0/7/7.idx", "/d1/0/7/7.idx"}) {
    if (Exists(root)) OverwriteFile(root, LocationOffset(0), std::string(kIndexSectorSize, '\0'));
  }
  for (const auto format : {IndexFormat::kExtents, IndexFormat::kFiles}) {
    OpenAs(format);
    EXPECT_TRUE(MustLoad(kLedger)->uncertain);
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(3)), ErrorCode::kUnknownLedgerState);
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(100)), ErrorCode::kOk);
  }
}

// One damaged file is no reason not to serve the others.
TEST_F(IndexOpenTest, AnIndexFileThatIsDamagedOrUnreadableDoesNotStopAConversion) {
  for (const char* what : {"header", "locations", "disk"}) {
    SCOPED_TRACE(what);
    OpenAs(IndexFormat::kFiles);
    for (const LedgerId ledger : {kLedger, LedgerId(8)}) {
      for (int64_t entry = 0; entry < 20; ++entry) MustPut(ledger, EntryId(entry));
    }
    MustFlush();
    Kill();
    const std::string path = Exists("/d0/0/7/7.idx") ? "/d0/0/7/7.idx" : "/d1/0/7/7.idx";
    const std::string_view part = what;
    if (part == "header") OverwriteFile(path, 0, "damaged!");
    if (part == "locations") OverwriteFile(path, LocationOffset(3), std::string(8, '\xff'));
    if (part == "disk") faults.Fail(simulation::FileOperation::kRead, path);
    OpenAs(IndexFormat::kExtents);
    faults.Clear();
    const LedgerState* state = MustLoad(kLedger);
    EXPECT_TRUE(state->uncertain);
    EXPECT_EQ(state->fenced, part != "locations");
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(30)), ErrorCode::kUnknownLedgerState);
    EXPECT_FALSE(MustLoad(LedgerId(8))->uncertain);
    EXPECT_EQ(CodeOfRead(LedgerId(8), EntryId(3)), ErrorCode::kOk);
    // The entry logs have what the file does not tell.
    TestPace pace;
    ASSERT_TRUE(Await(storage->RecoverIndexes({kLedger}, &pace)).ok());
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(3)), ErrorCode::kOk);
    EXPECT_FALSE(Exists(path));
    for (const LedgerId ledger : {kLedger, LedgerId(8)}) {
      ASSERT_TRUE(Await(storage->DeleteLedger(ledger)).ok());
    }
  }
}

// That is no damage of a file, and a conversion removes what it has converted.
TEST_F(IndexOpenTest, WhenManyIndexFilesAreUnreadableNothingIsConverted) {
  OpenAs(IndexFormat::kFiles);
  Fill();
  options.index_format = IndexFormat::kExtents;
  Kill();
  faults.Fail(simulation::FileOperation::kRead, ".idx");
  EXPECT_EQ(CodeOf(Open()), ErrorCode::kIoError);
  faults.Clear();
  EXPECT_TRUE(HasIndexFiles());
  OpenAs(IndexFormat::kFiles);
  Verify();
}

// A file of a ledger that the extents have is older: of another directory, or from a backup.
TEST_F(IndexOpenTest, AnIndexFileThatTurnsUpLaterTakesNothingBack) {
  OpenAs(IndexFormat::kFiles);
  MustPut(kLedger, EntryId(0));
  MustFlush();
  const std::string path = Exists("/d0/0/7/7.idx") ? "/d0/0/7/7.idx" : "/d1/0/7/7.idx";
  const std::string old = ReadWholeFile(path);
  OpenAs(IndexFormat::kExtents);
  MustPut(kLedger, EntryId(1));
  MustLoad(kLedger);
  storage->SetFenced(kLedger);
  MustFlush();
  Kill();
  CreateFile("/d1/0/7/7.idx", old);
  OpenAs(std::nullopt);
  EXPECT_TRUE(MustLoad(kLedger)->fenced);
  EXPECT_FALSE(MustLoad(kLedger)->uncertain);
  for (int64_t entry = 0; entry < 2; ++entry) {
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(entry)), ErrorCode::kOk);
  }
  EXPECT_FALSE(Exists("/d1/0/7/7.idx"));
}

TEST_F(IndexOpenTest, AnIndexFileThatTurnsUpLaterIsNoProofThatNothingIsLost) {
  OpenAs(IndexFormat::kFiles);
  MustPut(kLedger, EntryId(0));
  MustFlush();
  const std::string path = Exists("/d0/0/7/7.idx") ? "/d0/0/7/7.idx" : "/d1/0/7/7.idx";
  const std::string old = ReadWholeFile(path);
  OpenAs(IndexFormat::kExtents);
  for (int64_t entry = 1; entry < 3; ++entry) {
    MustPut(kLedger, EntryId(entry));
    storage->SetExplicitLac(kLedger, EntryId(0), MakeLacPacket(kLedger, EntryId(0)));
    MustFlush();
  }
  Kill();
  const std::string run = StrCat("extents/", ExtentRunName({.first = 2, .last = 2}));
  const std::string run_path = StrCat(Exists(StrCat("/d0/", run)) ? "/d0/" : "/d1/", run);
  OverwriteFile(run_path, ExtentBlockOffset(0) + 100, "damaged");
  CreateFile("/d1/0/7/7.idx", old);
  OpenAs(std::nullopt);
  EXPECT_TRUE(MustLoad(kLedger)->uncertain);
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(1)), ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(2)), ErrorCode::kOk);
}

// The process dies at each step of a conversion, in both directions.
TEST_F(IndexOpenTest, AConversionThatWasBrokenOffGoesOn) {
  OpenAs(IndexFormat::kFiles);
  Fill();
  int broken_off = 0;
  IndexFormat wanted = IndexFormat::kExtents;
  for (uint64_t steps = 10; steps < 4000; steps += 97) {
    SCOPED_TRACE(steps);
    options.index_format = wanted;
    Kill();
    std::optional<absl::StatusOr<std::unique_ptr<LedgerStorage>>> opened;
    process->Spawn(Keep(OpenLedgerStorage(world.env(process), options), &opened));
    const uint64_t last = world.scheduler().steps() + steps;
    ASSERT_TRUE(
        world.scheduler()
            .RunUntil([&] { return opened.has_value() || world.scheduler().steps() >= last; })
            .ok());
    broken_off += opened.has_value() ? 0 : 1;
    opened.reset();
    if (steps % 2 == 0) PowerCut();
    // On, back, or as it is found.
    switch (steps / 97 % 3) {
      case 0: OpenAs(wanted); break;
      case 1: OpenAs(std::nullopt); break;
      default:
        OpenAs(wanted == IndexFormat::kFiles ? IndexFormat::kExtents : IndexFormat::kFiles);
        break;
    }
    Verify();
    OpenAs(wanted);
    Verify();
    wanted = wanted == IndexFormat::kFiles ? IndexFormat::kExtents : IndexFormat::kFiles;
  }
  EXPECT_GT(broken_off, 5);
}

}  // namespace
}  // namespace stele::bookie
