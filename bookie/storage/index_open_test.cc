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
  // The extents have kLedger with an entry and a fence more than the file that is given.
  std::string OutgrowAnIndexFile() {
    OpenAs(IndexFormat::kFiles);
    MustPut(kLedger, EntryId(0));
    MustFlush();
    std::string old = ReadWholeFile(Exists("/d0/0/7/7.idx") ? "/d0/0/7/7.idx" : "/d1/0/7/7.idx");
    OpenAs(IndexFormat::kExtents);
    MustPut(kLedger, EntryId(1));
    MustLoad(kLedger);
    storage->SetFenced(kLedger);
    MustFlush();
    Kill();
    return old;
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
TEST_F(IndexOpenTest, ADamagedIndexFileIsConvertedToALedgerOfWhichItIsNotKnownWhatItLacks) {
  for (const char* what : {"header", "location"}) {
    SCOPED_TRACE(what);
    OpenAs(IndexFormat::kFiles);
    for (const LedgerId ledger : {kLedger, LedgerId(8)}) {
      for (int64_t entry = 0; entry < 20; ++entry) MustPut(ledger, EntryId(entry));
    }
    MustFlush();
    Kill();
    const std::string path = Exists("/d0/0/7/7.idx") ? "/d0/0/7/7.idx" : "/d1/0/7/7.idx";
    const bool is_header = std::string_view(what) == "header";
    OverwriteFile(path, is_header ? 0 : LocationOffset(3), std::string(8, '\xff'));
    OpenAs(IndexFormat::kExtents);
    EXPECT_TRUE(MustLoad(kLedger)->uncertain);
    EXPECT_EQ(MustLoad(kLedger)->fenced, is_header);
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(30)), ErrorCode::kUnknownLedgerState);
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(4)), ErrorCode::kOk);
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

// A disk that does not answer is no damage, and what was converted is removed.
TEST_F(IndexOpenTest, AnIndexFileThatCannotBeReadStopsAConversion) {
  OpenAs(IndexFormat::kFiles);
  Fill();
  Kill();
  const auto files = [this] { return Exists("/d0/0/5/5.idx") || Exists("/d1/0/5/5.idx"); };
  for (const char* part : {"/0/5/5.idx", ".idx"}) {
    ASSERT_TRUE(files());
    options.index_format = IndexFormat::kExtents;
    faults.Fail(simulation::FileOperation::kRead, part);
    EXPECT_EQ(CodeOf(Open()), ErrorCode::kIoError) << part;
    faults.Clear();
    EXPECT_TRUE(files());
  }
  OpenAs(IndexFormat::kExtents);
  Verify();
  EXPECT_FALSE(HasIndexFiles());
}

// A file of a ledger that the extents have is older: of another directory, or from a backup.
TEST_F(IndexOpenTest, AnIndexFileThatTurnsUpLaterTakesNothingBack) {
  const std::string old = OutgrowAnIndexFile();
  CreateFile("/d1/0/7/7.idx", old);
  OpenAs(std::nullopt);
  EXPECT_TRUE(MustLoad(kLedger)->fenced);
  EXPECT_FALSE(MustLoad(kLedger)->uncertain);
  for (int64_t entry = 0; entry < 2; ++entry) {
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(entry)), ErrorCode::kOk);
  }
  EXPECT_FALSE(Exists("/d1/0/7/7.idx"));
}

// Nor does it hide that the extents have lost what came after it: an entry, and a fence.
TEST_F(IndexOpenTest, AnIndexFileThatTurnsUpLaterProvesNothing) {
  const std::string old = OutgrowAnIndexFile();
  const std::string run = StrCat("/extents/", ExtentRunName({.first = 2, .last = 2}));
  for (const char* root : {"/d0", "/d1"}) {
    if (Exists(root + run)) OverwriteFile(root + run, ExtentBlockOffset(0) + 100, "damaged");
  }
  CreateFile("/d1/0/7/7.idx", old);
  for (int round = 0; round < 2; ++round) {
    OpenAs(std::nullopt);
    EXPECT_TRUE(MustLoad(kLedger)->uncertain);
    EXPECT_TRUE(MustLoad(kLedger)->fenced);
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kOk);
    EXPECT_NE(CodeOfRead(kLedger, EntryId(1)), ErrorCode::kNoSuchEntry);
  }
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

// When all runs are gone the next start finds no extents, and nothing to convert.
TEST_F(IndexOpenTest, JavaIsLetInAlsoWhenTheProcessDiesWhenTheRunsAreGone) {
  OpenAs(IndexFormat::kExtents);
  MustPut(kLedger, EntryId(0));
  MustFlush();
  options.index_format = IndexFormat::kFiles;
  Kill();
  faults.Fail(simulation::FileOperation::kRemove, "not-for-java");
  EXPECT_FALSE(Await(OpenLedgerStorage(world.env(process), options)).ok());
  faults.Clear();
  for (int round = 0; round < 2; ++round) {
    OpenAs(IndexFormat::kFiles);
    EXPECT_FALSE(HasExtents());
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kOk);
  }
}

}  // namespace
}  // namespace stele::bookie
