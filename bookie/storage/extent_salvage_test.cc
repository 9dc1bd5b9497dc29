// ExtentStore: which runs are opened, and what is made of one whose tail or footers are damaged.
#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/extent_store_rig.h"

namespace stele::bookie {
namespace {

// ---- Tail and footers

TEST_F(ExtentStoreTest, ADamagedTailIsMadeAnewFromTheBlocks) {
  MustOpenStore();
  Model many;
  for (int64_t i = 0; i < 400; ++i) many[LedgerId(i)] = {1, Locations(i, i + 50)};
  MustWrite(many);
  ASSERT_TRUE(Await(store->Remove(kLedger)).ok());
  many.erase(kLedger);
  for (const uint64_t n : {1, 2}) DamageTail(PathOfRun(n));
  MustOpenStore();
  for (const auto& [ledger, state] : many) EXPECT_EQ(Stored(ledger), state);
  EXPECT_FALSE(store->Contains(kLedger));
}

TEST_F(ExtentStoreTest, OneBadPlaceTakesNothingOfFootersAndTail) {
  MustOpenStore();
  Model many;
  for (int64_t i = 0; i < 400; ++i) many[LedgerId(i)] = {1, Locations(i, i + 50)};
  MustWrite(many);
  const std::string path = PathOfRun(1);
  const uint64_t size = ReadWholeFile(path).size();
  for (const uint64_t bad : {uint64_t{0}, ExtentBlockOffset(FooterOf(path).blocks), size - 1}) {
    SCOPED_TRACE(bad);
    FailReads(path, bad);
    MustOpenStore();
    faults.Clear();
    for (const auto& [ledger, state] : many) EXPECT_EQ(Stored(ledger), state);
  }
}

// Of 400 ledgers in several blocks, with an older run and a newer one that is damaged.
struct DamagedRunTest : ExtentStoreTest {
  void Write() {
    MustOpenStore();
    for (int64_t i = 0; i < kLedgers; ++i) older[LedgerId(i)] = {0, Locations(0, 3)};
    MustWrite(older);
    for (int64_t i = 0; i < kLedgers; ++i) {
      newer[LedgerId(i)] = {kIndexStateFenced, Locations(3, 40, static_cast<int>(i))};
    }
    // Of uneven sizes, so that they take several blocks.
    for (auto& [ledger, state] : newer) {
      for (auto& [entry, packed] : state.locations) packed += entry * entry;
    }
    MustWrite(newer);
    ASSERT_GT(FooterOf(PathOfRun(2)).blocks, 5u);
  }
  // Each ledger is what it was, or says that it has lost some: no fence is forgotten, no location
  // is an old one, and nothing is "not there". Gives the number of those that have lost some.
  int Verify() {
    int damaged = 0;
    for (int64_t i = 0; i < kLedgers; ++i) {
      SCOPED_TRACE(i);
      const LedgerId ledger(i);
      EXPECT_TRUE(store->Contains(ledger));
      const auto loaded = Await(store->Load(ledger));
      if (!loaded.ok()) {
        ADD_FAILURE() << loaded.status();
        continue;
      }
      damaged += loaded->last_entry_is_certain ? 0 : 1;
      const bool is_fenced =
          !loaded->header.has_value() || (loaded->header->state_bits & kIndexStateFenced) != 0;
      EXPECT_TRUE(is_fenced);
      for (const int64_t entry : {0, 20, 39}) {
        const auto found = Await(store->Find(ledger, EntryId(entry)));
        if (loaded->last_entry_is_certain || found.ok()) {
          EXPECT_TRUE(found.ok()) << found.status();
          const ModelLedger& there = entry < 3 ? older[ledger] : newer[ledger];
          EXPECT_EQ(found->packed(), there.locations.at(entry));
        } else {
          EXPECT_EQ(CodeOf(found.status()), ErrorCode::kCorruptData);
        }
      }
    }
    return damaged;
  }
  void Merge() {
    WriteUntilAllIsMerged();
    MustOpenStore();
  }

  static constexpr int64_t kLedgers = 400;
  Model older;
  Model newer;
};

TEST_F(DamagedRunTest, WithTailAndABlockDamagedTheOtherBlocksTell) {
  for (const uint32_t block : {0u, 2u, 1000u}) {
    SCOPED_TRACE(block);
    older.clear();
    newer.clear();
    Write();
    const uint32_t damaged = std::min(block, FooterOf(PathOfRun(2)).blocks - 1);
    DamageBlock(PathOfRun(2), damaged);
    DamageTail(PathOfRun(2));
    MustOpenStore();
    const int lost_some = Verify();
    EXPECT_GT(lost_some, 0);
    EXPECT_LT(lost_some, kLedgers / 3);
    Merge();
    EXPECT_EQ(Verify(), lost_some);
    ASSERT_TRUE(Await(store->Clear()).ok());
  }
}

TEST_F(DamagedRunTest, WithSeveralBlocksDamagedNothingIsMistaken) {
  Write();
  for (const uint32_t block : {1u, 2u, 4u}) DamageBlock(PathOfRun(2), block);
  DamageTail(PathOfRun(2));
  MustOpenStore();
  const int lost_some = Verify();
  EXPECT_LT(lost_some, kLedgers);
  Merge();
  EXPECT_EQ(Verify(), lost_some);
}

// What lay behind the last block that is there nobody knows.
TEST_F(DamagedRunTest, WithBothFootersDamagedTheBlocksTell) {
  Write();
  DamageFooters(PathOfRun(2));
  MustOpenStore();
  EXPECT_LE(Verify(), 1);
  Merge();
  EXPECT_LE(Verify(), 1);
}

// A ledger that is written after the damage has nothing to do with it.
TEST_F(DamagedRunTest, ANewLedgerIsWholeAlsoWhereTheHoleHasNoEnd) {
  Write();
  DamageFooters(PathOfRun(2));
  MustOpenStore();
  const LedgerId ledger(kLedgers + 7);
  const ModelLedger state{0, Locations(0, 10)};
  MustWrite(Model{{ledger, state}});
  EXPECT_EQ(Stored(ledger), state);
  Merge();
  EXPECT_EQ(Stored(ledger), state);
}

// The file was cut when a disk was copied, or by a file system check.
TEST_F(DamagedRunTest, OfAFileThatIsCutBetweenTwoBlocksTheRestIsUncertain) {
  for (const bool has_footer : {true, false}) {
    SCOPED_TRACE(has_footer);
    older.clear();
    newer.clear();
    Write();
    TruncateFile(PathOfRun(2), ExtentBlockOffset(2));
    if (!has_footer) OverwriteFile(PathOfRun(2), 0, "damaged");
    MustOpenStore();
    const int lost_some = Verify();
    EXPECT_GT(lost_some, kLedgers / 3);
    EXPECT_LT(lost_some, kLedgers);
    Merge();
    EXPECT_EQ(Verify(), lost_some);
    ASSERT_TRUE(Await(store->Clear()).ok());
  }
}

TEST_F(DamagedRunTest, WhatACutFileShouldHaveIsNotReadBehindItsEnd) {
  Write();
  const std::string path = PathOfRun(2);
  const uint64_t size = ExtentBlockOffset(2);
  TruncateFile(path, size);
  uint64_t read_end = 0;
  faults.Set([&](const simulation::FileRequest& request) {
    if (request.operation == simulation::FileOperation::kRead && request.path == path) {
      read_end = std::max(read_end, request.offset + request.size);
    }
    return absl::OkStatus();
  });
  MustOpenStore();
  EXPECT_EQ(read_end, size);
  faults.Clear();
}

// A disk that is out of reach is no damage: the bookie is started again.
TEST_F(DamagedRunTest, WhatCannotBeReadIsNoHole) {
  Write();
  DamageTail(PathOfRun(2));
  FailReads(PathOfRun(2), ExtentBlockOffset(2));
  EXPECT_EQ(CodeOf(OpenStore()), ErrorCode::kIoError);
  faults.Clear();
  MustOpenStore();
  EXPECT_EQ(Verify(), 0);
}

// ---- Where no older run knows of a ledger

struct HoleTest : ExtentStoreTest {
  // A run of each `step`-th of the ledgers, in groups of uneven sizes, so that it takes several
  // blocks.
  void Write(int64_t first, int64_t step) {
    Model changes;
    for (int64_t i = 0; i < kLedgers; i += step) {
      ModelLedger& change = changes[LedgerId(i)];
      for (int64_t entry = first; entry < first + 30; ++entry) {
        change.locations[entry] = Location(entry * entry, static_cast<int>(i));
      }
    }
    MustWrite(changes);
  }
  void Damage(uint64_t run, uint32_t block) {
    ASSERT_GT(FooterOf(PathOfRun(run)).blocks, block + 1);
    DamageTail(PathOfRun(run));
    DamageBlock(PathOfRun(run), block);
  }
  // Of each `step`-th ledger each entry is there, or the ledger has lost some and does not know.
  // Gives how many have lost some.
  int Verify(int64_t entries, int64_t step) {
    int damaged = 0;
    for (int64_t i = 0; i < kLedgers; i += step) {
      const LedgerId ledger(i);
      const auto loaded = Await(store->Load(ledger));
      EXPECT_TRUE(loaded.ok()) << loaded.status();
      if (!loaded.ok()) continue;
      damaged += loaded->last_entry_is_certain ? 0 : 1;
      for (int64_t entry = 0; entry < entries; entry += 9) {
        SCOPED_TRACE(StrCat(i, ":", entry));
        const auto found = Await(store->Find(ledger, EntryId(entry)));
        if (found.ok() || loaded->last_entry_is_certain) {
          EXPECT_TRUE(found.ok()) << found.status();
          EXPECT_EQ(found->packed(), Location(entry * entry, static_cast<int>(i)));
        } else {
          EXPECT_EQ(CodeOf(found.status()), ErrorCode::kCorruptData);
        }
      }
    }
    return damaged;
  }
  // Before and after the runs are merged.
  void ExpectThatNothingIsAbsent(int64_t entries, int64_t step) {
    MustOpenStore();
    const int damaged = Verify(entries, step);
    EXPECT_GT(damaged, 5);
    EXPECT_LT(damaged, kLedgers / step / 2);
    WriteUntilAllIsMerged();
    MustOpenStore();
    EXPECT_EQ(Verify(entries, step), damaged);
  }

  static constexpr int64_t kLedgers = 400;
};

TEST_F(HoleTest, WhatNewerRunsGoOnWithWasInIt) {
  MustOpenStore();
  Write(0, 1);
  Write(30, 2);
  Damage(1, 2);
  ExpectThatNothingIsAbsent(60, 2);
}

TEST_F(HoleTest, TheRunBehindMayHaveOneToo) {
  MustOpenStore();
  Write(0, 1);
  Write(30, 1);
  Write(60, 1);
  for (const uint64_t run : {1, 2}) Damage(run, 2);
  ExpectThatNothingIsAbsent(90, 1);
}

// What no run knows any more the entry logs do, and the storage asks them.
TEST_F(HoleTest, ToTheStorageALedgerIsUnknownThatOnlyTheEntryLogsHave) {
  options.index_format = IndexFormat::kExtents;
  options.is_deleted = nullptr;
  MustOpen();
  for (int64_t i = 0; i < kLedgers; ++i) MustPut(LedgerId(i), EntryId(i % 7));
  MustFlush();
  Damage(1, 2);
  Reopen();
  std::vector<LedgerId> unknown;
  for (int64_t i = 0; i < kLedgers; ++i) {
    const ErrorCode code = CodeOfRead(LedgerId(i), EntryId(i % 7));
    if (code == ErrorCode::kOk) continue;
    EXPECT_EQ(code, ErrorCode::kUnknownLedgerState) << i;
    unknown.emplace_back(i);
  }
  EXPECT_GT(storage->StrayLedgers().size(), 10u);
  EXPECT_LT(unknown.size(), kLedgers / 2u);
  TestPace pace;
  ASSERT_TRUE(Await(storage->RecoverIndexes(unknown, &pace)).ok());
  for (int64_t i = 0; i < kLedgers; ++i) {
    EXPECT_EQ(CodeOfRead(LedgerId(i), EntryId(i % 7)), ErrorCode::kOk) << i;
  }
}

// Of a ledger that was fenced and has no entries nothing is left.
TEST_F(HoleTest, ThatLedgersMayHaveBeenInItIsToldUntilItIsNoted) {
  MustOpenStore();
  Write(0, 2);
  Damage(1, 2);
  for (const bool is_noted : {false, true}) {
    notes_lost_ledgers = is_noted;
    for (int round = 0; round < 2; ++round) {
      MustOpenStore();
      EXPECT_EQ(ledgers_lost, is_noted ? 1 : 0);
      EXPECT_TRUE(Exists(PathOfRun(1)));
    }
    WriteOthers(is_noted ? 1 : 9);
    EXPECT_EQ(Exists(PathOfRun(1)), !is_noted);
  }
  MustOpenStore();
  EXPECT_EQ(ledgers_lost, 0) << "it was merged away";
}

// What cannot be noted now must not be forgotten.
TEST_F(HoleTest, AStoreThatCannotTellOfItDoesNotOpen) {
  MustOpenStore();
  Write(0, 2);
  Damage(1, 2);
  note_result = MakeError(ErrorCode::kIoError, "injected");
  EXPECT_EQ(CodeOf(OpenStore()), ErrorCode::kIoError);
  note_result = absl::OkStatus();
  MustOpenStore();
  EXPECT_EQ(ledgers_lost, 1);
}

TEST_F(HoleTest, NoLedgerIsLostWhereAllThatMayHaveBeenInItAreKnown) {
  MustOpenStore();
  Write(0, 1);
  Write(30, 1);
  Damage(2, 2);
  MustOpenStore();
  EXPECT_EQ(ledgers_lost, 0);
  Damage(1, 2);  // and now the older run has no word of some
  MustOpenStore();
  EXPECT_EQ(ledgers_lost, 1);
}

// ---- Runs

TEST_F(ExtentStoreTest, ARunThatIsMissingOrAnothersIsNoticed) {
  MustOpenStore();
  for (int64_t i = 0; i < 3; ++i) MustWrite(Locations(i, i + 1));
  const std::string second = ReadWholeFile(PathOfRun(2));
  RemoveFile(PathOfRun(2));
  EXPECT_EQ(CodeOf(OpenStore()), ErrorCode::kCorruptData);
  CreateFile(PathOfRun(2), "");
  EXPECT_EQ(CodeOf(OpenStore()), ErrorCode::kCorruptData);
  CreateFile(PathOfRun(2), ReadWholeFile(PathOfRun(3)));
  EXPECT_EQ(CodeOf(OpenStore()), ErrorCode::kCorruptData);
  CreateFile(PathOfRun(2), second);
  MustOpenStore();
  const std::string first = ReadWholeFile(PathOfRun(1));
  RemoveFile(PathOfRun(1));
  EXPECT_EQ(CodeOf(OpenStore()), ErrorCode::kCorruptData);
  CreateFile(PathOfRun(1), first);
  MustOpenStore();
  // No other run knows of the newest one.
  const std::string newest = ReadWholeFile(PathOfRun(3));
  RemoveFile(PathOfRun(3));
  EXPECT_EQ(CodeOf(OpenStore()), ErrorCode::kCorruptData);
  for (const uint64_t n : {1, 2}) RemoveFile(PathOfRun(n));
  EXPECT_EQ(CodeOf(OpenStore()), ErrorCode::kCorruptData);
}

// Its inputs are the only good copy of what it holds.
TEST_F(ExtentStoreTest, TheInputsOfAMergeStayUntilItsRunHasBeenReadBack) {
  MustOpenStore();
  for (int64_t i = 0; i < 7; ++i) MustWrite(Locations(10 * i, 10 * i + 10));
  faults.Set([](const simulation::FileRequest& request) {
    const bool strikes = request.operation == simulation::FileOperation::kRead &&
                         request.path.ends_with(ExtentRunName({.first = 1, .last = 8}));
    return strikes ? MakeError(ErrorCode::kIoError, "injected") : absl::OkStatus();
  });
  MustWrite(Locations(70, 80));
  AwaitMerges();
  EXPECT_EQ(store->run_count(), 8u);
  EXPECT_EQ(RunFiles().size(), 8u);
  EXPECT_EQ(Stored(kLedger)->locations, Locations(0, 80));
  faults.Clear();
  MustWrite(Locations(80, 90));
  AwaitMerges();
  EXPECT_EQ(store->run_count(), 1u);
  EXPECT_EQ(Stored(kLedger)->locations, Locations(0, 90));
}

// The process died before it had removed them.
TEST_F(ExtentStoreTest, ADamagedRunWhoseInputsAreThereGoesItself) {
  MustOpenStore();
  for (int64_t i = 0; i < 7; ++i) MustWrite(Locations(10 * i, 10 * i + 10));
  faults.Fail(simulation::FileOperation::kRemove, "extents");
  MustWrite(Locations(70, 80));
  AwaitMerges();
  faults.Clear();
  ASSERT_EQ(RunFiles().size(), 9u);
  const std::string merged =
      StrCat(roots[0], "/", kExtentDirectory, "/", ExtentRunName({.first = 1, .last = 8}));
  DamageFooters(merged);
  MustOpenStore();
  EXPECT_EQ(store->run_count(), 8u);
  EXPECT_FALSE(Exists(merged));
  EXPECT_EQ(Stored(kLedger)->locations, Locations(0, 80));
  EXPECT_TRUE(lost.empty());
}

// Its inputs were used on, and some of them merged with others.
TEST_F(ExtentStoreTest, AMergedRunThatHadFailedIsPassedOver) {
  MustOpenStore();
  Model many;  // in a run that is too large to be merged with eight small ones
  for (int64_t i = 100; i < 4100; ++i) many[LedgerId(i)] = {0, Locations(0, 10)};
  MustWrite(many);
  for (int64_t i = 0; i < 3; ++i) MustWrite(Locations(10 * i, 10 * i + 10));
  const std::string failed =
      StrCat(roots[0], "/", kExtentDirectory, "/", ExtentRunName({.first = 1, .last = 4}));
  CreateFile(failed, ReadWholeFile(PathOfRun(2)));
  for (int64_t i = 3; i < 8; ++i) MustWrite(Locations(10 * i, 10 * i + 10));
  AwaitMerges();
  ASSERT_EQ(store->run_count(), 2u);
  MustOpenStore();
  EXPECT_EQ(Stored(kLedger)->locations, Locations(0, 80));
  EXPECT_EQ(Stored(LedgerId(4000)), many[LedgerId(4000)]);
  EXPECT_FALSE(Exists(failed));
}

}  // namespace
}  // namespace stele::bookie
