// ExtentStore alone: any sequence of writes, removals, merges and crashes against a model.
#include "bookie/storage/extent_store.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/extent_store_rig.h"
#include "bookie/storage/java_guard.h"
#include "bookie/storage/patient_read.h"
#include "simulation/sim_random.h"

namespace stele::bookie {
namespace {

using simulation::SimRandom;

// ---- Against a model

class Life : ExtentStoreTest {
 public:
  explicit Life(uint64_t seed) : ExtentStoreTest(seed, 2), random_(seed) {
    cache_max_bytes = random_.Below(3) * 64 * 1024;
  }

  void Live() {
    MustOpenStore();
    for (int step = 0; step < 60 && !HasFailure(); ++step) {
      switch (random_.Below(6)) {
        case 0: Remove(); break;
        case 1: Crash(); break;
        default: Write(); break;
      }
      if (step % 8 == 7) Verify();
    }
    AwaitMerges();
    Verify();
    Reopen();
    Verify();
  }

 private:
  Model RandomChanges() {
    Model changes;
    for (uint64_t i = 1 + random_.Below(6); i-- > 0;) {
      const LedgerId ledger(static_cast<int64_t>(random_.Below(12)));
      ModelLedger& change = changes[ledger];
      change.state_bits = static_cast<int32_t>(random_.Below(2));
      auto entry = static_cast<int64_t>(random_.Below(3000));
      const auto log = static_cast<int32_t>(random_.Below(50));
      const auto step = static_cast<int64_t>(1 + random_.Below(3));
      for (uint64_t n = random_.Below(random_.Below(2) == 0 ? 5 : 300); n-- > 0; entry += step) {
        change.locations[entry] = Location(entry, log);
      }
    }
    return changes;
  }
  static void Apply(const Model& changes, Model* model) {
    for (const auto& [ledger, change] : changes) {
      ModelLedger& there = (*model)[ledger];
      there.state_bits = change.state_bits;
      for (const auto& [entry, packed] : change.locations) there.locations[entry] = packed;
    }
  }

  // To its end, or to a step in the middle of it at which the process dies.
  void Do(Task<absl::Status> task, const Model& after) {
    std::optional<absl::Status> result;
    process->Spawn(Keep(std::move(task), &result));
    const bool may_crash = random_.Below(3) == 0;
    const uint64_t last = world.scheduler().steps() + random_.Below(120);
    const auto is_at_end = [&] {
      return result.has_value() || (may_crash && world.scheduler().steps() >= last);
    };
    faults_on_ = random_.Below(3) == 0;
    faults.Set([this](const simulation::FileRequest& request) {
      return Fails(request) ? MakeError(ErrorCode::kIoError, "injected") : absl::OkStatus();
    });
    ASSERT_TRUE(world.scheduler().RunUntil(is_at_end).ok());
    faults_on_ = false;
    if (result.has_value() && result->ok()) {
      model_ = after;
      perhaps_.clear();
    } else {
      perhaps_.push_back(after);
    }
    if (!result.has_value()) Reopen();
  }
  // A place fails to be read less often in a row than it is tried: nothing is lost here.
  bool Fails(const simulation::FileRequest& request) {
    const bool is_read = request.operation == simulation::FileOperation::kRead;
    int& in_a_row = failed_reads_[{request.path, request.offset}];
    const bool fails =
        faults_on_ && random_.Below(12) == 0 && (!is_read || in_a_row + 1 < kReadTriesMax);
    if (is_read) in_a_row = fails ? in_a_row + 1 : 0;
    return fails;
  }
  void Write() {
    const Model changes = RandomChanges();
    Model after = model_;
    Apply(changes, &after);
    Do(WriteTask(changes), after);
  }
  void Remove() {
    if (model_.empty()) return;
    auto chosen = model_.begin();
    std::advance(chosen, static_cast<std::ptrdiff_t>(random_.Below(model_.size())));
    const LedgerId ledger = chosen->first;
    Model after = model_;
    after.erase(ledger);
    Do(store->Remove(ledger), after);
  }
  void Crash() {
    if (random_.Below(2) == 0) AwaitMerges();
    Reopen();
  }
  // What failed may be there after all: all of it, or nothing.
  void Reopen() {
    if (random_.Below(2) == 0) {
      PowerCut();
    } else {
      Kill();
    }
    MustOpenStore();
    const Model stored = ReadAll();
    if (stored != model_) {
      const bool is_one = std::find(perhaps_.begin(), perhaps_.end(), stored) != perhaps_.end();
      EXPECT_TRUE(is_one) << "after a crash the index is what it never was";
      model_ = stored;
    }
    perhaps_.clear();
  }
  Model ReadAll() {
    Model all;
    for (const LedgerId ledger : store->Ledgers()) all[ledger] = *Stored(ledger);
    return all;
  }
  void Verify() {
    EXPECT_EQ(ReadAll(), model_);
    EXPECT_TRUE(lost.empty());
  }

  SimRandom random_;
  Model model_;
  std::vector<Model> perhaps_;
  bool faults_on_ = false;
  std::map<std::pair<std::string, uint64_t>, int> failed_reads_;
};

TEST(ExtentStoreLifeTest, AnySequenceOfWritesRemovalsAndCrashesLeavesWhatWasWritten) {
  for (uint64_t seed = 1; seed <= 12 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(seed);
    Life(seed).Live();
  }
}

// ---- Merging

TEST(ExtentStoreMergeTest, RunsAreMergedWhenThereAreEnoughOfAKind) {
  EXPECT_EQ(RunsToMerge({}), 0u);
  EXPECT_EQ(RunsToMerge({10, 10, 10, 10, 10, 10, 10}), 0u);
  EXPECT_EQ(RunsToMerge({10, 10, 10, 10, 10, 10, 10, 10}), 8u);
  EXPECT_EQ(RunsToMerge({10, 10, 10, 10, 10, 10, 10, 10, 161}), 8u);
  EXPECT_EQ(RunsToMerge({10, 10, 10, 10, 10, 10, 10, 10, 160}), 9u);
  // One that is far larger than those before it stays, and so do those behind it.
  EXPECT_EQ(RunsToMerge({10, 21, 10, 10, 10, 10, 10, 10, 10}), 0u);
}

TEST_F(ExtentStoreTest, ManyWritesLeaveFewRunsAndFiles) {
  MustOpenStore();
  for (int64_t i = 0; i < 200; ++i) MustWrite(Locations(10 * i, 10 * i + 10));
  AwaitMerges();
  EXPECT_LT(store->run_count(), 2 * kMergedRunsMin);
  EXPECT_EQ(RunFiles().size(), store->run_count());
  EXPECT_EQ(Stored(kLedger)->locations, Locations(0, 2000));
}

TEST_F(ExtentStoreTest, ALaterLocationGoesBeforeAnEarlierOne) {
  MustOpenStore();
  MustWrite(Locations(0, 100, 1));
  MustWrite(Locations(50, 60, 2));
  EXPECT_EQ(Stored(kLedger)->locations[55], Location(55, 2));
  for (int i = 0; i < 8; ++i) MustWrite(Model{{LedgerId(8), {0, Locations(i, i + 1)}}});
  AwaitMerges();
  ASSERT_EQ(store->run_count(), 3u);
  EXPECT_EQ(Stored(kLedger)->locations[55], Location(55, 2));
  EXPECT_EQ(Stored(kLedger)->locations[60], Location(60, 1));
}

// Its entry logs are gone: what an older run has of it must never be seen again.
TEST_F(ExtentStoreTest, ARemovedLedgerThatComesBackHasNothingOfItsFormerLife) {
  MustOpenStore();
  MustWrite(Locations(0, 100));
  ASSERT_TRUE(Await(store->Remove(kLedger)).ok());
  EXPECT_FALSE(store->Contains(kLedger));
  MustWrite(Locations(50, 60));
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(Stored(kLedger)->locations, Locations(50, 60)) << round;
    PowerCut();
    MustOpenStore();
    EXPECT_EQ(Stored(kLedger)->locations, Locations(50, 60)) << round;
    for (int i = 0; i < 8; ++i) MustWrite(Model{{LedgerId(8), {0, Locations(i, i + 1)}}});
    AwaitMerges();
  }
}

TEST_F(ExtentStoreTest, ALedgerThatIsRemovedWhileItsRunsAreMergedStaysAway) {
  MustOpenStore();
  for (int64_t i = 0; i < 7; ++i) MustWrite(Locations(100 * i, 100 * i + 100));
  MustWrite(Locations(700, 800));  // begins the merge
  ASSERT_TRUE(Await(store->Remove(kLedger)).ok());
  AwaitMerges();
  EXPECT_LT(store->run_count(), 4u);
  PowerCut();
  MustOpenStore();
  EXPECT_FALSE(store->Contains(kLedger));
}

TEST_F(ExtentStoreTest, WhatIsLeftBehindByAFailureIsCoveredByTheNextWrite) {
  MustOpenStore();
  MustWrite(Locations(0, 10));
  faults.Fail(simulation::FileOperation::kSyncDirectory, "extents");
  EXPECT_FALSE(Await(WriteTask(Model{{LedgerId(8), {0, Locations(0, 10)}}})).ok());
  faults.Clear();
  EXPECT_FALSE(store->Contains(LedgerId(8)));
  MustWrite(Locations(10, 20));
  Kill();  // the name that was not synced is still there
  MustOpenStore();
  EXPECT_FALSE(store->Contains(LedgerId(8)));
  EXPECT_EQ(Stored(kLedger)->locations, Locations(0, 20));
  EXPECT_EQ(RunFiles().size(), store->run_count());
}

TEST_F(ExtentStoreTest, ALedgerIsRemovedFromADiskThatIsNearlyFull) {
  MustOpenStore();
  MustWrite(Locations(0, 10));
  machine->disk().set_size_bytes(machine->disk().used_bytes() + (100 << 10));
  EXPECT_EQ(CodeOf(Await(WriteTask(Model{{kLedger, {0, Locations(10, 20)}}}))),
            ErrorCode::kDiskFull);
  EXPECT_TRUE(Await(store->Remove(kLedger)).ok());
  EXPECT_FALSE(store->Contains(kLedger));
}

// It would stop for ever otherwise: fewer runs are merged at a time, and that gives space back.
TEST_F(ExtentStoreTest, MergingGoesOnWhereThereIsNoRoomForAllThatIsDue) {
  MustOpenStore();
  Model all;
  const auto write = [&](int32_t log) {
    std::map<int64_t, int64_t> locations;
    constexpr int64_t kEntries = 12'000;
    for (int64_t i = 0; i < kEntries; ++i) {  // of uneven sizes
      const auto offset = static_cast<uint64_t>(4096 + 100 * i + i * i);
      locations[kEntries * log + i] = EntryLocation(EntryLogId(log), offset).packed();
    }
    MustWrite(locations);
    all[kLedger].locations.merge(locations);
  };
  for (int32_t log = 0; log < 7; ++log) write(log);
  const uint64_t size = ReadWholeFile(PathOfRun(1)).size();
  simulation::SimDisk& disk = machine->disk();
  constexpr uint64_t kAlwaysFree = 1 << 20;
  ASSERT_GT(8 * size, kAlwaysFree / 4);
  disk.set_size_bytes(disk.used_bytes() + size + kAlwaysFree + 5 * size);
  write(7);
  AwaitMerges();
  EXPECT_EQ(store->run_count(), 5u);
  EXPECT_EQ(store->Stats().failed_merges, 1);
  // Where not even two have room they stay as they are.
  disk.set_size_bytes(disk.used_bytes() + 3 * size + kAlwaysFree + size / 2);
  for (int32_t log = 8; log < 11; ++log) write(log);
  AwaitMerges();
  EXPECT_EQ(store->run_count(), 8u);
  EXPECT_EQ(store->Stats().failed_merges, 1 + 3);
  EXPECT_EQ(Stored(kLedger), all[kLedger]);
}

TEST_F(ExtentStoreTest, ClearingLeavesNothing) {
  MustOpenStore();
  for (int64_t i = 0; i < 20; ++i) MustWrite(Locations(i, i + 1));
  ASSERT_TRUE(Await(store->Clear()).ok());
  EXPECT_EQ(CodeOf(Await(world.env(process).files->List("/d0/extents")).status()),
            ErrorCode::kNoSuchFile);
  MustOpenStore();
  EXPECT_EQ(store->ledger_count(), 0u);
}

// Also a run that is none of the index: a write that failed has left it behind.
TEST_F(ExtentStoreTest, ClearingRemovesWhatAFailureHasLeftBehind) {
  MustOpenStore();
  MustWrite(Locations(0, 10));
  faults.Fail(simulation::FileOperation::kSyncDirectory, "extents");
  EXPECT_FALSE(Await(WriteTask(Model{{LedgerId(8), {0, Locations(0, 10)}}})).ok());
  faults.Clear();
  EXPECT_EQ(store->run_count(), 1u);
  EXPECT_EQ(RunFiles().size(), 2u);
  ASSERT_TRUE(Await(store->Clear()).ok());
  EXPECT_TRUE(RunFiles().empty());
  MustOpenStore();
  EXPECT_EQ(store->ledger_count(), 0u);
}

// Java's bookie takes what ends in ".idx" two levels below for an index file, and ends when the
// rest of the name is no number.
TEST_F(ExtentStoreTest, JavaIsKeptAwayAsLongAsThereAreRuns) {
  const auto guard = [&] {
    return StrCat(roots[0], "/", kExtentDirectory, "/", kJavaGuardDirectory, "/", kJavaGuardName);
  };
  EXPECT_TRUE(guard().ends_with("first.idx"));
  MustOpenStore();
  EXPECT_FALSE(Exists(guard()));
  MustWrite(Locations(0, 10));
  PowerCut();
  EXPECT_TRUE(Exists(guard()));
  MustOpenStore();
  EXPECT_EQ(Stored(kLedger)->locations, Locations(0, 10));
  ASSERT_TRUE(Await(store->Clear()).ok());
  PowerCut();
  EXPECT_FALSE(Exists(guard()));
}

// ---- Reading

TEST_F(ExtentStoreTest, TheCacheHoldsWhatItsBlocksTake) {
  ExtentCache cache(100'000);
  ExtentRunBuilder builder({.first = 1, .last = 1});
  for (int64_t i = 0; i < 8000; ++i) {
    builder.EndLedger(LedgerId(i), {.flags = kRowHasHeader, .header = IndexHeader()});
  }
  const std::string blocks = builder.TakeReady();
  const RunNumbers run{.first = 1, .last = 1};
  uint32_t number = 0;
  for (; (number + 1) * kExtentBlockBytes <= blocks.size(); ++number) {
    const auto block = ExtentBlock::Parse(
        Buffer::CopyOf(blocks.substr(number * kExtentBlockBytes, kExtentBlockBytes)), run, number);
    ASSERT_TRUE(block.ok()) << block.status();
    // Its rows take more than its bytes.
    EXPECT_GT(block->memory_bytes(), 2 * kExtentBlockBytes);
    cache.Put(run, number, std::make_shared<const ExtentBlock>(*block));
    EXPECT_LE(cache.bytes(), 100'000u);
  }
  ASSERT_GT(number, 4u);
  EXPECT_NE(cache.Find(run, number - 1), nullptr);
}

// What an older run has behind a row that makes it void is of a former life.
TEST_F(ExtentStoreTest, ARunOfEntriesDoesNotGoOnIntoAFormerLife) {
  cache_max_bytes = 1 << 20;
  MustOpenStore();
  MustWrite(Locations(0, 100, 1));
  EXPECT_EQ(CodeOfFind(50), ErrorCode::kOk);
  EXPECT_GT(store->RunEnd(kLedger, EntryId(50), 10, 1 << 20), 0u);
  ASSERT_TRUE(Await(store->Remove(kLedger)).ok());
  MustWrite(Locations(0, 10, 2));
  EXPECT_EQ(CodeOfFind(50), ErrorCode::kNoSuchEntry);
  EXPECT_EQ(store->RunEnd(kLedger, EntryId(50), 10, 1 << 20), 0u);
}

}  // namespace
}  // namespace stele::bookie
