// ExtentStore: what it makes of damage. What it knows it says, what it does not know is lost and
// not absent, and what is whole stays so.
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/extent_store_rig.h"

namespace stele::bookie {
namespace {

// ---- Blocks

TEST_F(ExtentStoreTest, WhatLayInADamagedBlockIsLostAndNotAbsent) {
  MustOpenStore();
  MustWrite(Locations(0, 10));
  MustWrite(Locations(10, 20));
  MustOpenStore();
  DamageBlock(PathOfRun(1), 0);
  EXPECT_EQ(CodeOfFind(15), ErrorCode::kOk);
  EXPECT_TRUE(lost.empty());
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kCorruptData);
  EXPECT_EQ(lost, std::set{kLedger});
  EXPECT_EQ(CodeOf(Await(store->List(kLedger)).status()), ErrorCode::kCorruptData);
  MustOpenStore();
  const auto loaded = Await(store->Load(kLedger));
  EXPECT_TRUE(loaded->has_lost_its_end);
  EXPECT_FALSE(loaded->last_entry_is_certain);
}

TEST_F(ExtentStoreTest, TheScrubberFindsADamagedBlockThatIsInTheCache) {
  cache_max_bytes = 1 << 20;
  MustOpenStore();
  MustWrite(Locations(0, 10));
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kOk);
  TestPace pace;
  ASSERT_TRUE(Await(store->LookForLosses(kLedger, &pace)).ok());
  EXPECT_TRUE(lost.empty());
  DamageBlock(PathOfRun(1), 0);
  ASSERT_TRUE(Await(store->LookForLosses(kLedger, &pace)).ok());
  EXPECT_EQ(lost, std::set{kLedger});
}

// The older header knows nothing of the fence.
TEST_F(ExtentStoreTest, ALostHeaderIsNotReplacedByAnOlderOne) {
  for (const bool is_merged : {false, true}) {
    SCOPED_TRACE(is_merged);
    MustOpenStore();
    ASSERT_TRUE(Await(store->Clear()).ok());
    MustOpenStore();
    MustWrite(Locations(0, 10), 0);
    MustWrite({}, kIndexStateFenced);
    DamageBlock(PathOfRun(2), 0);
    MustOpenStore();
    if (is_merged) {
      for (int i = 0; i < 6; ++i) MustWrite(Model{{LedgerId(8), {0, Locations(i, i + 1)}}});
      AwaitMerges();
      ASSERT_EQ(store->run_count(), 1u);
      EXPECT_EQ(lost, std::set{kLedger});
      MustOpenStore();
    }
    const auto loaded = Await(store->Load(kLedger));
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_FALSE(loaded->last_entry_is_certain);
    if (loaded->header.has_value()) {
      EXPECT_TRUE(is_merged);
      EXPECT_EQ(loaded->header->state_bits, kIndexStateFenced | kIndexStateUncertain);
    }
  }
}

TEST_F(ExtentStoreTest, MergingPassesOnWhoHasLostSome) {
  MustOpenStore();
  Model many;
  for (int64_t i = 0; i < 400; ++i) many[LedgerId(i)] = {0, Locations(0, 40, static_cast<int>(i))};
  for (auto& [ledger, state] : many) state.locations[100] = Location(100, 77);
  MustWrite(many);
  MustOpenStore();
  DamageBlock(PathOfRun(1), 1);
  for (int i = 0; i < 7; ++i) MustWrite(Model{{LedgerId(500), {0, Locations(0, 4000, i)}}});
  AwaitMerges();
  ASSERT_EQ(store->run_count(), 1u);
  const std::set<LedgerId> told = lost;
  EXPECT_GT(told.size(), 20u);
  EXPECT_LT(told.size(), 200u);
  MustOpenStore();
  for (int64_t i = 0; i < 400; ++i) {
    const LedgerId ledger(i);
    ASSERT_TRUE(store->Contains(ledger));
    const auto loaded = Await(store->Load(ledger));
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    EXPECT_EQ(loaded->last_entry_is_certain, !told.contains(ledger)) << i;
    // What is not found is lost, whoever asks.
    const auto found = Await(store->Find(ledger, EntryId(20)));
    if (!found.ok()) {
      EXPECT_TRUE(told.contains(ledger)) << i;
      EXPECT_EQ(CodeOf(found.status()), ErrorCode::kCorruptData);
    } else {
      EXPECT_EQ(found->packed(), Location(20, static_cast<int>(i)));
    }
  }
}

// Somebody found out that nothing is missing that this bookie must have.
TEST_F(ExtentStoreTest, ACertainHeaderSaysThatNothingIsMissing) {
  MustOpenStore();
  MustWrite(Locations(0, 10));
  MustWrite(Locations(10, 20));
  MustOpenStore();
  DamageBlock(PathOfRun(1), 0);
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kCorruptData);
  MustWrite(Locations(2, 8, 3), kIndexStateUncertain);
  EXPECT_EQ(CodeOfFind(1), ErrorCode::kCorruptData);
  MustWrite({}, 0);
  std::map<int64_t, int64_t> left = Locations(10, 20);
  left.merge(Locations(2, 8, 3));
  lost.clear();
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(CodeOfFind(1), ErrorCode::kNoSuchEntry);
    EXPECT_EQ(Stored(kLedger)->locations, left);
    EXPECT_TRUE(lost.empty());
    PowerCut();
    MustOpenStore();
  }
}

TEST_F(ExtentStoreTest, ABlockThatCannotBeReadIsDamaged) {
  MustOpenStore();
  MustWrite(Locations(0, 10));
  MustWrite(Locations(10, 20));
  MustOpenStore();
  FailReads(PathOfRun(1), ExtentBlockOffset(0));
  EXPECT_EQ(CodeOfFind(15), ErrorCode::kOk);
  EXPECT_TRUE(lost.empty());
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kCorruptData);
  EXPECT_EQ(lost, std::set{kLedger});
  const auto loaded = Await(store->Load(kLedger));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_TRUE(loaded->has_lost_its_end);
  // Merging goes on without it, and passes it on.
  WriteOthers(6);
  EXPECT_EQ(store->run_count(), 1u);
  faults.Clear();
  MustOpenStore();
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOfFind(15), ErrorCode::kOk);
}

// Each read is tried again, for as long as a disk may fail that is well otherwise.
TEST_F(ExtentStoreTest, ABlockThatCannotBeReadForAMomentHasLostNothing) {
  MustOpenStore();
  MustWrite(Locations(0, 10));
  MustOpenStore();
  for (int times = 1; times <= 3; ++times) {
    FailReads(PathOfRun(1), ExtentBlockOffset(0), times);
    EXPECT_EQ(CodeOfFind(5), ErrorCode::kOk) << times;
    EXPECT_EQ(faults.failures(), times * (times + 1) / 2);
  }
  FailReads(PathOfRun(1), ExtentBlockOffset(0), 3);
  WriteOthers(7);
  EXPECT_EQ(store->run_count(), 1u);
  EXPECT_TRUE(lost.empty());
  EXPECT_EQ(Stored(kLedger)->locations, Locations(0, 10));
}

// Nobody has looked whether that matters which is found damaged only when the ledger is written
// whole: the header that says that all is well is older.
TEST_F(ExtentStoreTest, DamageThatIsMetWhileALedgerIsWrittenWholeIsNotBuried) {
  MustOpenStore();
  MustWrite(Locations(0, 10));
  MustWrite(Locations(10, 20));
  MustOpenStore();
  DamageBlock(PathOfRun(1), 0);
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kCorruptData);
  MustWrite(Locations(0, 10, 3), kIndexStateUncertain);  // the copies of other bookies
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kOk);
  lost.clear();
  DamageBlock(PathOfRun(2), 0);
  MustWrite({}, 0);
  EXPECT_EQ(lost, std::set{kLedger});
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(CodeOfFind(15), ErrorCode::kCorruptData);
    EXPECT_EQ(CodeOfFind(5), ErrorCode::kOk);
    const auto loaded = Await(store->Load(kLedger));
    ASSERT_TRUE(loaded.ok() && loaded->header.has_value()) << loaded.status();
    EXPECT_NE(loaded->header->state_bits & kIndexStateUncertain, 0);
    MustOpenStore();
  }
  // Somebody has looked again.
  TestPace pace;
  ASSERT_TRUE(Await(store->LookForLosses(kLedger, &pace)).ok());
  MustWrite({}, 0);
  EXPECT_EQ(CodeOfFind(15), ErrorCode::kNoSuchEntry);
}

// As when the state of the ledger is on its way from the disk: a header that is certain because it
// knows of nothing proves nothing.
TEST_F(ExtentStoreTest, AHeaderThatDoesNotKnowOfALossIsNoProof) {
  MustOpenStore();
  MustWrite(Locations(0, 10));
  MustWrite(Locations(10, 20));
  MustOpenStore();
  DamageBlock(PathOfRun(1), 0);
  is_heard = false;
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kCorruptData);
  lost.clear();
  MustWrite({}, kIndexStateFenced);
  EXPECT_EQ(lost, std::set{kLedger});
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(CodeOfFind(5), ErrorCode::kCorruptData);
    const auto loaded = Await(store->Load(kLedger));
    ASSERT_TRUE(loaded.ok() && loaded->header.has_value()) << loaded.status();
    EXPECT_EQ(loaded->header->state_bits, kIndexStateFenced | kIndexStateUncertain);
    MustOpenStore();
  }
  // It was loaded with its loss, so now it says that nothing is missing.
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kCorruptData);
  ASSERT_TRUE(Await(store->Load(kLedger)).ok());
  MustWrite({}, kIndexStateFenced);
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kNoSuchEntry);
}

TEST_F(ExtentStoreTest, ALossThatANewerRunMakesVoidIsNone) {
  MustOpenStore();
  MustWrite(Locations(0, 10));
  DamageBlock(PathOfRun(1), 0);
  MustOpenStore();
  for (int i = 0; i < 6; ++i) MustWrite(Model{{LedgerId(500), {0, Locations(0, 4000, i)}}});
  // The merge begins with the next write; meanwhile the ledger is written whole.
  MustWrite(Model{{LedgerId(500), {0, Locations(0, 10)}}});
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kCorruptData);
  MustWrite(Locations(0, 10, 3), 0);
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kOk);
  ASSERT_EQ(store->run_count(), 9u);  // it still goes on
  lost.clear();
  AwaitMerges();
  EXPECT_TRUE(lost.empty());
  EXPECT_EQ(Stored(kLedger)->locations, Locations(0, 10, 3));
}

// What older runs have of it must not come back with the row that says that it is void.
TEST_F(ExtentStoreTest, ARemovalWhoseBlockIsDamagedStaysOne) {
  for (const bool is_tail_damaged : {false, true}) {
    SCOPED_TRACE(is_tail_damaged);
    MustOpenStore();
    ASSERT_TRUE(Await(store->Clear()).ok());
    MustOpenStore();
    MustWrite(Model{{kLedger, {0, Locations(0, 10)}}, {LedgerId(8), {0, Locations(0, 10)}}});
    ASSERT_TRUE(Await(store->Remove(kLedger)).ok());
    if (is_tail_damaged) DamageTail(PathOfRun(2));
    DamageBlock(PathOfRun(2), 0);
    for (const bool is_merged : {false, true}) {
      SCOPED_TRACE(is_merged);
      MustOpenStore();
      if (is_merged) {
        WriteOthers(6);
        ASSERT_EQ(store->run_count(), 1u);
        MustOpenStore();
      }
      EXPECT_EQ(store->Contains(kLedger), is_tail_damaged);
      if (!is_tail_damaged) continue;
      // Which ledger was removed is not known any more.
      for (const LedgerId ledger : {kLedger, LedgerId(8)}) {
        const auto loaded = Await(store->Load(ledger));
        ASSERT_TRUE(loaded.ok()) << loaded.status();
        EXPECT_FALSE(loaded->last_entry_is_certain);
        const auto found = Await(store->Find(ledger, EntryId(20)));
        EXPECT_EQ(CodeOf(found.status()), ErrorCode::kCorruptData);
      }
    }
  }
}

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
    WriteOthers(6);
    EXPECT_LE(store->run_count(), 2u);
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
