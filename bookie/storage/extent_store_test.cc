// ExtentStore alone: any sequence of writes, removals, merges and crashes against a model; and what
// it makes of damage.
#include "bookie/storage/extent_store.h"

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/storage_rig.h"
#include "common/base/try.h"
#include "simulation/sim_random.h"

namespace stele::bookie {
namespace {

using simulation::SimRandom;

constexpr LedgerId kLedger{7};

struct ModelLedger {
  int32_t state_bits = 0;
  std::map<int64_t, int64_t> locations;  // packed
  friend bool operator==(const ModelLedger&, const ModelLedger&) = default;
};
using Model = std::map<LedgerId, ModelLedger>;

// The changes of a model, as one write.
class ModelUpdates final : public IndexUpdates {
 public:
  explicit ModelUpdates(const Model& changes) {
    for (const auto& [ledger, change] : changes) {
      Part& part = parts_.emplace_back();
      part.ledger = ledger;
      part.header = IndexHeader{.master_key = KeyOf(ledger), .state_bits = change.state_bits};
      for (const auto& [entry, packed] : change.locations) {
        part.entries.push_back(entry);
        part.locations.push_back(packed);
      }
    }
  }
  size_t count() const override { return parts_.size(); }
  LedgerId ledger(size_t i) const override { return parts_[i].ledger; }
  Task<absl::StatusOr<std::optional<IndexUpdate>>> Prepare(size_t i) override {
    const Part& part = parts_[i];
    co_return IndexUpdate{.ledger = part.ledger,
                          .header = part.header,
                          .entries = part.entries,
                          .locations = part.locations};
  }

 private:
  struct Part {
    LedgerId ledger;
    IndexHeader header;
    std::vector<int64_t> entries;
    std::vector<int64_t> locations;
  };
  std::vector<Part> parts_;
};

int64_t Location(int64_t entry, int32_t log = 1) {
  return EntryLocation(EntryLogId(log), 4096 + 100 * static_cast<uint64_t>(entry)).packed();
}

std::map<int64_t, int64_t> Locations(int64_t first, int64_t end, int32_t log = 1) {
  std::map<int64_t, int64_t> locations;
  for (; first < end; ++first) locations[first] = Location(first, log);
  return locations;
}

struct ExtentStoreTest : testing::Test, StorageRig {
  explicit ExtentStoreTest(uint64_t seed = 1, int directories = 1)
      : StorageRig(seed, directories), roots(options.ledger_directories) {}
  void TestBody() override {}

  absl::Status OpenStore() {
    const Env env = world.env(process);
    auto* locks = process->Own(std::make_unique<LedgerLocks>(env.executor));
    auto opened = Await(
        ExtentStore::Open(env, {.directories = roots, .cache_max_bytes = cache_max_bytes}, locks));
    if (!opened.ok()) return opened.status();
    store = process->Own(*std::move(opened));
    store->SetLossListener([this](LedgerId ledger) { lost.insert(ledger); });
    lost.clear();
    return absl::OkStatus();
  }
  void MustOpenStore() {
    const absl::Status opened = OpenStore();
    ASSERT_TRUE(opened.ok()) << opened;
  }
  Task<absl::Status> WriteTask(Model changes) {
    ModelUpdates updates(changes);
    co_return co_await store->Write(&updates, 1);
  }
  void MustWrite(Model changes) {
    const absl::Status written = Await(WriteTask(std::move(changes)));
    ASSERT_TRUE(written.ok()) << written;
  }
  // Locations of kLedger alone.
  void MustWrite(std::map<int64_t, int64_t> locations, int32_t state_bits = 0) {
    MustWrite(Model{{kLedger, {state_bits, std::move(locations)}}});
  }
  Task<absl::Status> AwaitMergesTask() {
    co_await store->AwaitMerges();
    co_return absl::OkStatus();
  }
  void AwaitMerges() { ASSERT_TRUE(Await(AwaitMergesTask()).ok()); }

  void ExpectFound(LedgerId ledger, EntryId entry, const ModelLedger& stored) {
    const auto cached = store->FindCached(ledger, entry);
    const auto found = Await(store->Find(ledger, entry));
    ASSERT_TRUE(found.ok() && !found->IsAbsent()) << found.status();
    EXPECT_EQ(found->packed(), stored.locations.at(entry.value()));
    if (cached.has_value()) EXPECT_EQ(**cached, *found);
  }
  std::optional<ModelLedger> Stored(LedgerId ledger) {
    if (!store->Contains(ledger)) return std::nullopt;
    ModelLedger stored;
    const auto loaded = Await(store->Load(ledger));
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    if (!loaded.ok() || !loaded->header.has_value()) return stored;
    EXPECT_EQ(loaded->header->master_key, KeyOf(ledger));
    EXPECT_TRUE(loaded->last_entry_is_certain);
    stored.state_bits = loaded->header->state_bits;
    for (std::optional<int64_t> next = 0; next.has_value();) {
      const auto piece = Await(store->ReadPiece(ledger, *next));
      EXPECT_TRUE(piece.ok() && !piece->lost_some) << piece.status();
      if (!piece.ok()) return stored;
      for (size_t i = 0; i < piece->entries.size(); ++i) {
        stored.locations[piece->entries[i]] = piece->locations[i];
      }
      next = piece->next;
    }
    const auto entries = Await(store->List(ledger));
    EXPECT_TRUE(entries.ok()) << entries.status();
    EXPECT_EQ(entries->size(), stored.locations.size());
    EXPECT_EQ(loaded->last_entry, entries->empty() ? kNoEntry : entries->back());
    for (size_t i = 0; i < entries->size(); i += 1 + entries->size() / 10)
      ExpectFound(ledger, (*entries)[i], stored);
    return stored;
  }
  ErrorCode CodeOfFind(int64_t entry) {
    const auto found = Await(store->Find(kLedger, EntryId(entry)));
    return found.ok() && found->IsAbsent() ? ErrorCode::kNoSuchEntry : CodeOf(found.status());
  }
  std::vector<std::string> RunFiles() {
    std::vector<std::string> paths;
    for (const std::string& root : roots) {
      const std::string directory = StrCat(root, "/", kExtentDirectory);
      const auto names = Await(world.env(process).files->List(directory));
      if (!names.ok()) continue;
      for (const std::string& name : *names) {
        if (name.ends_with(kExtentRunSuffix)) paths.push_back(StrCat(directory, "/", name));
      }
    }
    return paths;
  }
  // The run of the n-th write, if no other has been merged with it.
  std::string PathOfRun(uint64_t n) {
    return StrCat(roots[0], "/", kExtentDirectory, "/", ExtentRunName({.first = n, .last = n}));
  }
  void DamageBlock(const std::string& path, uint32_t block) {
    OverwriteFile(path, block * kExtentBlockBytes + 100, "damaged");
  }

  std::vector<std::string> roots;
  uint64_t cache_max_bytes = 0;
  ExtentStore* store = nullptr;
  std::set<LedgerId> lost;
};

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
    faults.Set([this](const simulation::FileRequest&) {
      if (!faults_on_ || random_.Below(12) != 0) return absl::OkStatus();
      return MakeError(ErrorCode::kIoError, "injected");
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

// ---- Damage

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

TEST_F(ExtentStoreTest, ADamagedTailIsMadeAnewFromTheBlocks) {
  MustOpenStore();
  Model many;
  for (int64_t i = 0; i < 400; ++i) many[LedgerId(i)] = {1, Locations(i, i + 50)};
  MustWrite(many);
  ASSERT_TRUE(Await(store->Remove(kLedger)).ok());
  many.erase(kLedger);
  for (const uint64_t n : {1, 2}) {
    const std::string path = PathOfRun(n);
    const auto footer =
        ParseExtentEnd(ReadWholeFile(path).substr(ReadWholeFile(path).size() - kExtentEndBytes));
    OverwriteFile(path, footer->blocks * kExtentBlockBytes, "\xff");
  }
  MustOpenStore();
  for (const auto& [ledger, state] : many) EXPECT_EQ(Stored(ledger), state);
  EXPECT_FALSE(store->Contains(kLedger));
}

TEST_F(ExtentStoreTest, ARunThatIsMissingOrCannotBeReadIsNoticed) {
  MustOpenStore();
  for (int64_t i = 0; i < 3; ++i) MustWrite(Locations(i, i + 1));
  const std::string second = ReadWholeFile(PathOfRun(2));
  RemoveFile(PathOfRun(2));
  EXPECT_EQ(CodeOf(OpenStore()), ErrorCode::kCorruptData);
  CreateFile(PathOfRun(2), second.substr(0, second.size() - 1));
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

TEST_F(ExtentStoreTest, ALedgerIsRemovedFromADiskThatIsNearlyFull) {
  MustOpenStore();
  MustWrite(Locations(0, 10));
  machine->disk().set_size_bytes(machine->disk().used_bytes() + (100 << 10));
  EXPECT_EQ(CodeOf(Await(WriteTask(Model{{kLedger, {0, Locations(10, 20)}}}))),
            ErrorCode::kDiskFull);
  EXPECT_TRUE(Await(store->Remove(kLedger)).ok());
  EXPECT_FALSE(store->Contains(kLedger));
}

TEST_F(ExtentStoreTest, ClearingLeavesNothing) {
  MustOpenStore();
  for (int64_t i = 0; i < 20; ++i) MustWrite(Locations(i, i + 1));
  ASSERT_TRUE(Await(store->Clear()).ok());
  EXPECT_TRUE(Await(world.env(process).files->List("/d0/extents"))->empty());
  MustOpenStore();
  EXPECT_EQ(store->ledger_count(), 0u);
}

}  // namespace
}  // namespace stele::bookie
