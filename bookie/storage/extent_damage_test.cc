// ExtentStore: what it makes of damage. What it knows it says, what it does not know is lost and
// not absent, and what is whole stays so.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/extent_store_rig.h"

namespace stele::bookie {
namespace {

struct LossTest : ExtentStoreTest {
  // To the store, and to one that is opened after it.
  void ExpectThatItIsLost(int64_t entry) {
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(CodeOfFind(entry), ErrorCode::kCorruptData);
      EXPECT_FALSE(Await(store->Load(kLedger))->last_entry_is_certain);
      MustOpenStore();
    }
  }
};

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

// As a bookie with a fault may have written it: with a checksum that is right. Then the tail says
// what each block has, and without a tail the blocks before it do.
TEST_F(ExtentStoreTest, ABlockWithTheRowsOfAnotherIsDamaged) {
  for (const bool is_tail_damaged : {false, true}) {
    SCOPED_TRACE(is_tail_damaged);
    MustOpenStore();
    ASSERT_TRUE(Await(store->Clear()).ok());
    MustOpenStore();
    std::map<int64_t, int64_t> locations;
    for (int64_t entry = 0; entry < 4000; ++entry) {
      locations[entry] = EntryLocation(EntryLogId(1), 4096 + 100 * entry + entry * entry).packed();
    }
    MustWrite(locations);
    ASSERT_GT(FooterOf(PathOfRun(1)).blocks, 3u);
    CopyRows(PathOfRun(1), 0, 1);
    if (is_tail_damaged) DamageTail(PathOfRun(1));
    MustOpenStore();
    for (int round = 0; round < 2; ++round) {
      EXPECT_EQ(CodeOfFind(0), ErrorCode::kOk);
      EXPECT_EQ(CodeOfFind(3999), ErrorCode::kOk);
      EXPECT_EQ(CodeOfFind(1500), ErrorCode::kCorruptData);
      EXPECT_TRUE(Await(store->ReadPiece(kLedger, 0))->lost_some);
      WriteOthers(7);
      EXPECT_LE(store->run_count(), 2u);
    }
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
  // Merging waits for it, and in the end goes on without it, and passes that on.
  WriteOthers(6);
  EXPECT_EQ(store->run_count(), 8u);
  ASSERT_TRUE(Await(SleepTask(absl::Minutes(6))).ok());
  WriteOthers(1);
  EXPECT_EQ(store->run_count(), 1u);
  faults.Clear();
  MustOpenStore();
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOfFind(15), ErrorCode::kOk);
}

// The disk was out of reach for some minutes: the ledger is uncertain meanwhile, and nothing is
// removed that is the only copy.
TEST_F(ExtentStoreTest, ABlockThatCanBeReadLaterHasLostNothing) {
  MustOpenStore();
  MustWrite(Locations(0, 10));
  MustOpenStore();
  FailReads(PathOfRun(1), ExtentBlockOffset(0));
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kCorruptData);
  WriteOthers(7);
  EXPECT_EQ(store->run_count(), 8u);
  const size_t files = RunFiles().size();
  EXPECT_EQ(CodeOf(Await(store->Clear())), ErrorCode::kIoError);
  EXPECT_EQ(RunFiles().size(), files);
  // Many minutes later one more failure is no reason.
  ASSERT_TRUE(Await(SleepTask(absl::Hours(1))).ok());
  FailReads(PathOfRun(1), ExtentBlockOffset(0), 1);
  WriteOthers(1);
  EXPECT_EQ(store->run_count(), 1u);
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kOk);
  MustOpenStore();
  EXPECT_EQ(Stored(kLedger)->locations, Locations(0, 10));
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
        WriteUntilAllIsMerged();
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

// Whoever writes a ledger holds its lock, perhaps for long; a loss that a merge has passed over is
// seen by nobody else from then on.
TEST_F(LossTest, AMergeThatWaitsForALedgerDoesNotBuryALoss) {
  MustOpenStore();
  for (const int64_t first : {0, 10}) {
    Model changes;
    for (int64_t i = 7; i < 10; ++i) changes[LedgerId(i)] = {0, Locations(first, first + 10)};
    MustWrite(changes);
  }
  DamageBlock(PathOfRun(1), 0);
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kCorruptData);  // this one is known
  DamageBlock(PathOfRun(2), 0);
  WriteOthers(5);
  std::optional<LedgerLocks::Guard> held(Await(locks->Acquire(LedgerId(9))));
  // It is to be written whole, and waits for the other.
  std::optional<absl::Status> written;
  process->Spawn(Keep(WriteTask(Model{{kLedger, {}}, {LedgerId(9), {}}}), &written));
  MustWrite(Model{{LedgerId(500), {0, Locations(0, 4000, 5)}}});
  ASSERT_TRUE(world.scheduler().RunUntil([&] { return store->run_count() == 1; }).ok());
  EXPECT_EQ(CodeOf(Await(store->Find(LedgerId(8), EntryId(15))).status()), ErrorCode::kCorruptData);
  held.reset();
  ASSERT_TRUE(world.scheduler().RunUntil([&] { return written.has_value(); }).ok());
  ASSERT_TRUE(written->ok()) << *written;
  AwaitMerges();
  ExpectThatItIsLost(15);
}

// A header that was certain before a merge met a loss proves nothing about it, although the ledger
// had lost something before, and that was known.
TEST_F(LossTest, AProofFromBeforeAMergeDoesNotCoverItsLoss) {
  MustOpenStore();
  for (const int64_t first : {0, 10}) {
    Model changes;
    for (const LedgerId ledger : {LedgerId(6), kLedger}) {
      changes[ledger] = {0, Locations(first, first + 10)};
    }
    MustWrite(changes);
  }
  DamageBlock(PathOfRun(1), 0);
  EXPECT_EQ(CodeOfFind(5), ErrorCode::kCorruptData);  // this one is known
  DamageBlock(PathOfRun(2), 0);
  // The merge waits here, before it has told of the second one.
  std::optional<LedgerLocks::Guard> held(Await(locks->Acquire(LedgerId(6))));
  WriteOthers(5);
  MustWrite(Model{{LedgerId(500), {0, Locations(0, 4000, 5)}}});
  ASSERT_TRUE(world.scheduler().RunUntil([&] { return store->run_count() == 1; }).ok());
  MustWrite({}, 0);
  held.reset();
  AwaitMerges();
  ExpectThatItIsLost(15);
}

// ---- What the storage makes of it

TEST_F(ExtentStoreTest, TheStorageCountsEachLedgerThatHasLostSome) {
  options.index_format = IndexFormat::kExtents;
  MustOpen();
  for (int64_t entry = 0; entry < 8; ++entry) {
    for (const LedgerId ledger : {kLedger, LedgerId(8)}) {
      MustPut(ledger, EntryId(entry));
      storage->SetExplicitLac(ledger, EntryId(entry), MakeLacPacket(ledger, EntryId(entry)));
    }
    if (entry == 7) DamageBlock(PathOfRun(1), 0);
    MustFlush();  // the last one begins a merge
  }
  const auto lost_both = [this] { return storage->Stats().lost_indexes == 2; };
  ASSERT_TRUE(world.scheduler().RunUntil(lost_both).ok());
  // Now a flag says it, and the header does not yet.
  Reopen();
  for (const int64_t ledger : {7, 7, 8}) {
    EXPECT_TRUE(MustLoad(LedgerId(ledger))->uncertain);
    EXPECT_EQ(storage->Stats().lost_indexes, ledger - 6);
    EXPECT_EQ(CodeOfRead(LedgerId(ledger), EntryId(5)), ErrorCode::kOk);
    EXPECT_EQ(CodeOfRead(LedgerId(ledger), EntryId(0)), ErrorCode::kCorruptData);
  }
}

}  // namespace
}  // namespace stele::bookie
