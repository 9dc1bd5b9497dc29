// IndexFileStore alone: any pattern of entries, in any sequence of updates, against a model.
#include "bookie/storage/index_file_store.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/index_enumeration.h"
#include "bookie/storage/storage_rig.h"
#include "common/async/notification.h"
#include "common/base/endian.h"
#include "common/base/try.h"
#include "simulation/sim_file_system.h"
#include "simulation/sim_random.h"

namespace stele::bookie {
namespace {

constexpr LedgerId kLedger{0x109};
constexpr char kPath[] = "/d0/1/9/109.idx";
constexpr size_t kSector = kIndexSectorSize;

// A Write of one update.
class OneUpdate final : public IndexUpdates {
 public:
  explicit OneUpdate(IndexUpdate update) : update_(std::move(update)) {}
  size_t count() const override { return 1; }
  LedgerId ledger(size_t) const override { return update_.ledger; }
  Task<absl::StatusOr<std::optional<IndexUpdate>>> Prepare(size_t) override { co_return update_; }

 private:
  IndexUpdate update_;
};

struct IndexFileStoreTest : testing::Test, StorageRig {
  void OpenStore(uint64_t cache_bytes) { OpenIn(world.env(process), cache_bytes); }
  void OpenIn(Env env, uint64_t cache_bytes) {
    auto found = Await(EnumerateIndexes(env.files, {"/d0"}));
    ASSERT_TRUE(found.ok()) << found.status();
    auto* locks = process->Own(std::make_unique<LedgerLocks>(env.executor));
    const IndexFileStoreOptions options{.directories = {"/d0"},
                                        .location_cache_max_bytes = cache_bytes};
    store = process->Own(
        std::make_unique<IndexFileStore>(env, options, locks, std::move(found->directory_of)));
    store->SetLossListener([this](LedgerId) {
      ++losses;
      return true;
    });
    losses = 0;
  }
  absl::Status Write(const std::map<int64_t, int64_t>& locations) {
    return Await(WriteTask(locations));
  }
  Task<absl::Status> WriteTask(std::map<int64_t, int64_t> locations) {
    std::vector<int64_t> ids;
    std::vector<int64_t> packed;
    for (const auto& [id, location] : locations) {
      ids.push_back(id);
      packed.push_back(location);
    }
    IndexUpdate update{.ledger = kLedger, .entries = ids, .locations = packed};
    if (!store->Contains(kLedger)) update.header = IndexHeader{.master_key = KeyOf(kLedger)};
    OneUpdate updates(std::move(update));
    STELE_CO_TRY_OK(co_await store->Write(&updates, 1));
    co_return co_await store->SyncNames();
  }
  // Header only.
  absl::Status WriteHeader(IndexHeader header) {
    OneUpdate updates({.ledger = kLedger, .header = std::move(header)});
    return Await(store->Write(&updates, 1));
  }
  Task<absl::Status> WriteAll(std::vector<std::map<int64_t, int64_t>> updates) {
    for (const auto& update : updates) STELE_CO_TRY_OK(co_await WriteTask(update));
    co_return absl::OkStatus();
  }
  static int64_t Location(int64_t entry) {
    return EntryLocation(EntryLogId(1), 4096 + 100 * static_cast<uint64_t>(entry)).packed();
  }
  // Of the entries first, first + step, ... below `end`.
  static std::map<int64_t, int64_t> Locations(int64_t first, int64_t end, int64_t step = 1) {
    std::map<int64_t, int64_t> locations;
    for (; first < end; first += step) locations[first] = Location(first);
    return locations;
  }
  IndexClaim ClaimOnDisk() { return (*ParseIndexHeader(ReadWholeFile(kPath), kLedger))->claim; }
  int32_t StateBitsOnDisk() {
    return (*ParseIndexHeader(ReadWholeFile(kPath), kLedger))->state_bits;
  }
  void LoseSectors(int64_t first, size_t count) {
    OverwriteFile(kPath, LocationOffset(first * kLocationsPerSector),
                  std::string(count * kSector, '\0'));
  }
  // Where the file has been found to have lost something; kOk: it has no location of the entry.
  ErrorCode CodeOfFind(int64_t entry) {
    const auto found = Await(store->Find(kLedger, EntryId(entry)));
    if (found.ok() && !found->IsAbsent()) EXPECT_EQ(found->packed(), Location(entry));
    return found.ok() && found->IsAbsent() ? ErrorCode::kNoSuchEntry : CodeOf(found.status());
  }
  bool FindsLosses() {
    const int before = losses;
    const absl::Status looked = Await(store->LookForLosses(kLedger, &pace));
    EXPECT_TRUE(looked.ok()) << looked;
    return losses > before;
  }

  IndexStore* store = nullptr;
  TestPace pace;
  int losses = 0;
};

TEST_F(IndexFileStoreTest, AnyPatternOfEntriesIsFoundAgain) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(seed);
    simulation::SimRandom random(seed);
    const uint64_t cache_bytes = random.Below(3) * 4096 * (1 + random.Below(20));
    OpenStore(cache_bytes);
    if (store->Contains(kLedger)) ASSERT_TRUE(Await(store->Remove(kLedger)).ok());
    std::map<int64_t, int64_t> model;
    for (int update = 0; update < 8; ++update) {
      std::map<int64_t, int64_t> changes;
      // A run with or without gaps, somewhere, that may lie over earlier ones.
      auto id = static_cast<int64_t>(random.Below(1 << random.Below(17)));
      const auto step = static_cast<int64_t>(1 + random.Below(random.Below(2) == 0 ? 4 : 2000));
      for (uint64_t i = random.Below(300); i-- > 0; id += step) {
        changes[id] = EntryLocation(EntryLogId(static_cast<int32_t>(random.Below(100))),
                                    4096 + random.Below(1 << 30))
                          .packed();
      }
      ASSERT_TRUE(Write(changes).ok());
      for (const auto& [changed, location] : changes) model[changed] = location;
      if (random.Below(4) == 0) {
        PowerCut();
        OpenStore(cache_bytes);
      }
    }
    std::vector<EntryId> ids;
    for (const auto& [entry, location] : model) {
      ids.emplace_back(entry);
      for (const int64_t near : {entry - 1, entry, entry + 1}) {
        if (near < 0) continue;
        const auto found = Await(store->Find(kLedger, EntryId(near)));
        ASSERT_TRUE(found.ok()) << found.status();
        const auto expected = model.find(near);
        EXPECT_EQ(found->packed(), expected == model.end() ? 0 : expected->second) << near;
      }
    }
    EXPECT_EQ(*Await(store->List(kLedger)), ids);
    EXPECT_FALSE(FindsLosses());
    EXPECT_EQ(losses, 0);
    if (!model.empty()) {
      EXPECT_EQ(Await(store->Load(kLedger))->last_entry, ids.back());
    }
  }
}

// A bookie of Java's that looks for the last entry reads its page whole, or fails.
TEST_F(IndexFileStoreTest, AFileEndsWithAWholePageOfJavas) {
  OpenStore(0);
  const auto pages = [&] {
    const auto info = Await(world.env(process).files->Stat("/d0/1/9/109.idx"));
    EXPECT_EQ((info->size_bytes - kIndexHeaderSize) % 8192, 0u);
    return (info->size_bytes - kIndexHeaderSize) / 8192;
  };
  const int64_t location = EntryLocation(EntryLogId(1), 4096).packed();
  ASSERT_TRUE(Write({{0, location}}).ok());
  EXPECT_EQ(pages(), 1u);
  ASSERT_TRUE(Write({{5, location}, {1023, location}}).ok());
  EXPECT_EQ(pages(), 1u);
  ASSERT_TRUE(Write({{1024, location}, {5000, location}}).ok());
  EXPECT_EQ(pages(), 5u);
  ASSERT_TRUE(Write({{7, location}}).ok());
  EXPECT_EQ(pages(), 5u);
  EXPECT_EQ(Await(store->List(kLedger))->size(), 6u);
}

// Its reads are done at once, but their results arrive only when the gate opens: as from a thread
// that the system stops behind its system call.
class GatedFile : public File {
 public:
  GatedFile(std::unique_ptr<File> file, Notification* gate, const bool* closed)
      : file_(std::move(file)), gate_(gate), closed_(closed) {}
  Task<absl::StatusOr<Buffer>> ReadAt(uint64_t offset, size_t size) override {
    absl::StatusOr<Buffer> read = co_await file_->ReadAt(offset, size);
    while (*closed_) co_await gate_->Wait();
    co_return read;
  }
  Task<absl::Status> WriteAt(uint64_t offset, Buffer from) override {
    return file_->WriteAt(offset, std::move(from));
  }
  Task<absl::Status> Sync() override { return file_->Sync(); }
  Task<absl::Status> Truncate(uint64_t size) override { return file_->Truncate(size); }
  Task<absl::StatusOr<uint64_t>> Size() override { return file_->Size(); }

 private:
  std::unique_ptr<File> file_;
  Notification* gate_;
  const bool* closed_;
};

class GatedFileSystem : public simulation::SimFileSystem {
 public:
  GatedFileSystem(simulation::SimDisk* disk, simulation::SimExecutor* executor)
      : SimFileSystem(disk, executor), gate(executor) {}
  Task<absl::StatusOr<std::unique_ptr<File>>> Open(std::string path, OpenOptions options) override {
    auto file = co_await SimFileSystem::Open(std::move(path), options);
    // Only files for reading: those of the updates go on.
    if (!file.ok() || options.access != OpenOptions::Access::kRead) co_return file;
    co_return std::make_unique<GatedFile>(*std::move(file), &gate, &closed);
  }
  Notification gate;
  bool closed = false;
};

struct GatedIndexFileStoreTest : IndexFileStoreTest {
  void OpenGatedStore(uint64_t cache_bytes) {
    env = world.env(process);
    env.files = &files;
    OpenIn(env, cache_bytes);
  }
  // Finds `entry`, whose page is read before `update` and arrives behind it.
  absl::StatusOr<EntryLocation> FindBeside(int64_t entry,
                                           const std::map<int64_t, int64_t>& update) {
    files.closed = true;
    std::optional<absl::StatusOr<EntryLocation>> found;
    process->Spawn(StorageRig::Keep(store->Find(kLedger, EntryId(entry)), &found));
    EXPECT_TRUE(world.scheduler().RunFor(absl::Seconds(1)).ok());
    EXPECT_FALSE(found.has_value());
    EXPECT_TRUE(Write(update).ok());
    files.closed = false;
    files.gate.NotifyAll();
    EXPECT_TRUE(world.scheduler().RunUntil([&] { return found.has_value(); }).ok());
    return *found;
  }
  void TearDown() override {
    process->Crash();  // before the file system goes
    process->Restart();
  }
  GatedFileSystem files{&machine->disk(), process->executor()};
  Env env;
};

TEST_F(GatedIndexFileStoreTest, APageReadBeforeAWriteIsNotKept) {
  // A cache of one page: what the write leaves in it has gone when the read arrives.
  OpenGatedStore(sizeof(LocationPage));
  ASSERT_TRUE(Write({{0, Location(0)}, {5000, Location(5000)}}).ok());
  ASSERT_TRUE(Await(store->Find(kLedger, EntryId(5000))).ok());
  const auto found = FindBeside(0, {{1, Location(1)}, {5001, Location(5001)}});
  EXPECT_EQ(found->packed(), Location(0));
  EXPECT_EQ(Await(store->Find(kLedger, EntryId(1)))->packed(), Location(1));
}

TEST_F(GatedIndexFileStoreTest, AClaimMadeBehindThePageThatWasReadIsNoLoss) {
  OpenGatedStore(0);
  ASSERT_TRUE(Write(Locations(0, 1)).ok());
  const auto found = FindBeside(0, Locations(64, 65));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->packed(), Location(0));
  EXPECT_EQ(losses, 0);
  EXPECT_TRUE(ClaimOnDisk().Has(1));
}

// A bookie that answered "no such entry" here would vote an acknowledged entry away.
TEST_F(IndexFileStoreTest, ASectorThatBecameZeroesIsLostAndNotAbsent) {
  OpenStore(0);
  ASSERT_TRUE(Write(Locations(0, 1000)).ok());
  EXPECT_EQ(ClaimOnDisk(), (IndexClaim{.size_bytes = 1024 + 8192, .sectors = {{0, 15}}}));
  EXPECT_FALSE(FindsLosses());
  LoseSectors(2, 1);
  EXPECT_EQ(CodeOfFind(127), ErrorCode::kOk);
  EXPECT_EQ(losses, 1);
  EXPECT_EQ(CodeOfFind(128), ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOfFind(191), ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOfFind(192), ErrorCode::kOk);
  EXPECT_EQ(CodeOf(Await(store->List(kLedger)).status()), ErrorCode::kCorruptData);
  EXPECT_TRUE(FindsLosses());
  EXPECT_FALSE(Await(store->Load(kLedger))->has_lost_its_end);
  LoseSectors(15, 1);
  const absl::StatusOr<LoadedIndex> loaded = Await(store->Load(kLedger));
  EXPECT_TRUE(loaded->has_lost_its_end);
  EXPECT_EQ(loaded->last_entry, EntryId(959));
  LoseSectors(0, 16);
  EXPECT_TRUE(Await(store->Load(kLedger))->has_lost_its_end);
}

// What other bookies have, what comes later, and what a page of Java's is filled up with.
TEST_F(IndexFileStoreTest, ASectorThatNeverHadALocationIsAbsent) {
  OpenStore(0);
  ASSERT_TRUE(Write(Locations(0, 300, 150)).ok());
  ASSERT_TRUE(Write(Locations(6400, 6500, 4)).ok());
  EXPECT_EQ(ClaimOnDisk().sectors, (std::vector<SectorRun>{{0, 0}, {2, 2}, {100, 101}}));
  for (const int64_t entry : {1, 64, 127, 199, 300, 6399, 6401, 6600, 100'000}) {
    EXPECT_EQ(CodeOfFind(entry), ErrorCode::kNoSuchEntry) << entry;
  }
  EXPECT_FALSE(FindsLosses());
  EXPECT_EQ(losses, 0);
}

TEST_F(IndexFileStoreTest, AnUpdateDoesNotHideWhatWasLost) {
  for (const bool same_sector : {true, false}) {
    SCOPED_TRACE(same_sector);
    OpenStore(1 << 20);
    if (store->Contains(kLedger)) ASSERT_TRUE(Await(store->Remove(kLedger)).ok());
    ASSERT_TRUE(Write(Locations(0, 200)).ok());
    OpenStore(1 << 20);  // with an empty cache
    LoseSectors(1, 1);
    ASSERT_TRUE(Write({{same_sector ? 70 : 300, Location(same_sector ? 70 : 300)}}).ok());
    EXPECT_EQ(losses, 1);
    EXPECT_EQ(StateBitsOnDisk(), kIndexStateUncertain);
    if (!same_sector) EXPECT_EQ(CodeOfFind(71), ErrorCode::kCorruptData);
  }
}

TEST_F(IndexFileStoreTest, AnUpdateOfACutFileDoesNotHideThatItWasCut) {
  OpenStore(0);
  ASSERT_TRUE(Write(Locations(0, 2000)).ok());
  TruncateFile(kPath, 1024 + 8192);
  ASSERT_TRUE(Write(Locations(2500, 2501)).ok());
  EXPECT_EQ(losses, 1);
  EXPECT_EQ(StateBitsOnDisk(), kIndexStateUncertain);
}

// Java writes zeroes over the claim with each header, and keeps it when it writes pages.
TEST_F(IndexFileStoreTest, WhatJavaWroteMeanwhileIsNoLoss) {
  OpenStore(0);
  ASSERT_TRUE(Write(Locations(0, 200)).ok());
  const std::string ours = ReadWholeFile(kPath);
  std::string page(8192, '\0');
  StoreBigEndian(page.data(), Location(1024));
  CreateFile(kPath, ours + page);
  OpenStore(0);
  EXPECT_EQ(CodeOfFind(1024), ErrorCode::kOk);
  EXPECT_EQ(CodeOfFind(1030), ErrorCode::kNoSuchEntry);
  EXPECT_FALSE(Await(store->Load(kLedger))->has_lost_its_end);
  CreateFile(kPath, MakeIndexHeader({.master_key = KeyOf(kLedger), .state_bits = 1}) +
                        (ours + page).substr(kIndexHeaderSize));
  OpenStore(0);
  EXPECT_EQ(CodeOfFind(1024), ErrorCode::kOk);
  ASSERT_TRUE(Write(Locations(1025, 1026)).ok());
  EXPECT_FALSE(FindsLosses());
  EXPECT_EQ(losses, 0);
  // Claimed is what Stele has written since.
  ASSERT_TRUE(Write(Locations(200, 300)).ok());
  EXPECT_EQ(ClaimOnDisk(),
            (IndexClaim{.size_bytes = 1024 + 2 * 8192, .sectors = {{3, 4}, {16, 16}}}));
}

TEST_F(IndexFileStoreTest, AClaimIsWrittenBehindTheSyncOfWhatItClaims) {
  OpenStore(0);
  ASSERT_TRUE(Write(Locations(0, 1)).ok());
  faults.Fail(simulation::FileOperation::kSync, ".idx");
  EXPECT_FALSE(Write(Locations(1000, 2000)).ok());
  faults.Clear();
  EXPECT_EQ(ClaimOnDisk(), (IndexClaim{.size_bytes = 1024 + 8192, .sectors = {{0, 0}}}));
}

TEST_F(IndexFileStoreTest, ANewHeaderKeepsTheClaim) {
  OpenStore(0);
  ASSERT_TRUE(Write(Locations(0, 200)).ok());
  const IndexClaim claim = ClaimOnDisk();
  ASSERT_TRUE(WriteHeader({.state_bits = 1}).ok());
  EXPECT_EQ(StateBitsOnDisk(), 1);
  EXPECT_EQ(ClaimOnDisk(), claim);
}

// Somebody found out that nothing is missing that this bookie must have.
TEST_F(IndexFileStoreTest, WhatIsProvenWholeIsClaimedNoLonger) {
  OpenStore(0);
  ASSERT_TRUE(Write(Locations(0, 200)).ok());
  OpenStore(0);
  LoseSectors(1, 1);
  LoseSectors(3, 1);
  ASSERT_TRUE(WriteHeader({.state_bits = kIndexStateUncertain}).ok());
  EXPECT_TRUE(FindsLosses());
  ASSERT_TRUE(WriteHeader({.state_bits = 0}).ok());
  EXPECT_EQ(ClaimOnDisk(), (IndexClaim{.size_bytes = 1024 + 8192, .sectors = {{0, 0}, {2, 2}}}));
  EXPECT_FALSE(FindsLosses());
  EXPECT_FALSE(Await(store->Load(kLedger))->has_lost_its_end);
  EXPECT_EQ(CodeOfFind(70), ErrorCode::kNoSuchEntry);
}

// Power cuts anywhere in a life of updates, some of which fail before.
TEST_F(IndexFileStoreTest, AClaimNeverSaysMoreThanWasDurable) {
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    simulation::SimRandom random(seed);
    OpenStore(random.Below(2) * (1 << 20));
    if (store->Contains(kLedger)) ASSERT_TRUE(Await(store->Remove(kLedger)).ok());
    ASSERT_TRUE(Write(Locations(0, 1)).ok());
    std::vector<std::map<int64_t, int64_t>> updates;
    for (int i = 0; i < 2; ++i) {
      const auto first = static_cast<int64_t>(random.Below(3000));
      updates.push_back(Locations(first, first + 1 + static_cast<int64_t>(random.Below(400)),
                                  1 + static_cast<int64_t>(random.Below(90))));
    }
    if (random.Below(4) == 0) faults.Fail(simulation::FileOperation::kSync, ".idx");
    std::optional<absl::Status> ended;
    process->Spawn(StorageRig::Keep(WriteAll(updates), &ended));
    const uint64_t last_step = world.scheduler().steps() + random.Below(60);
    ASSERT_TRUE(world.scheduler()
                    .RunUntil([&] { return world.scheduler().steps() >= last_step || ended; })
                    .ok());
    PowerCut();
    faults.Clear();
    OpenStore(0);
    const absl::StatusOr<LoadedIndex> loaded = Await(store->Load(kLedger));
    ASSERT_TRUE(loaded.ok() && loaded->header.has_value());
    EXPECT_FALSE(loaded->is_cut || loaded->has_lost_its_end);
    EXPECT_FALSE(FindsLosses());
  }
}

// A peer may have told Java's bookie an explicit LAC of any size that fits into the header.
TEST_F(IndexFileStoreTest, AClaimNeverGoesOverAnExplicitLac) {
  std::string lac(1000, 'l');
  StoreBigEndian(lac.data(), kLedger.value());
  CreateFile("/d0/1/9/109.idx", MakeIndexHeader({.state_bits = 1, .explicit_lac = lac}));
  OpenStore(0);
  ASSERT_TRUE(Write({{0, EntryLocation(EntryLogId(1), 4096).packed()}}).ok());
  const absl::StatusOr<LoadedIndex> loaded = Await(store->Load(kLedger));
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->header->explicit_lac, lac);
  EXPECT_FALSE(loaded->is_cut);
}

TEST_F(IndexFileStoreTest, AFileThatIsGoneIsAnErrorNotAnAbsence) {
  OpenStore(0);
  ASSERT_TRUE(Write({{0, EntryLocation(EntryLogId(1), 4096).packed()}}).ok());
  EXPECT_EQ(CodeOf(Await(store->Find(LedgerId(5), EntryId(0))).status()), ErrorCode::kNoSuchLedger);
  OpenStore(0);
  RemoveFile("/d0/1/9/109.idx");
  EXPECT_EQ(CodeOf(Await(store->Find(kLedger, EntryId(0))).status()), ErrorCode::kIoError);
  EXPECT_EQ(CodeOf(Await(store->Load(kLedger)).status()), ErrorCode::kIoError);
  EXPECT_EQ(CodeOf(Write({{1, 1}})), ErrorCode::kIoError);
}

TEST_F(IndexFileStoreTest, F41AFileOfAKilledProcessGetsItsNameSynced) {
  for (uint64_t i = 0; i < 20; ++i) {
    OpenStore(0);
    if (store->Contains(kLedger)) ASSERT_TRUE(Await(store->Remove(kLedger)).ok());
    const int64_t location = EntryLocation(EntryLogId(1), 4096).packed();
    const std::vector<int64_t> ids = {0};
    const std::vector<int64_t> packed = {location};
    OneUpdate updates(
        {.ledger = kLedger, .header = IndexHeader{}, .entries = ids, .locations = packed});
    ASSERT_TRUE(Await(store->Write(&updates, 1)).ok());
    Kill();  // before SyncNames
    OpenStore(0);
    ASSERT_TRUE(store->Contains(kLedger));
    ASSERT_TRUE(Write({{0, location}}).ok());
    PowerCut();
    OpenStore(0);
    ASSERT_TRUE(store->Contains(kLedger)) << i;
    EXPECT_EQ(Await(store->Find(kLedger, EntryId(0)))->packed(), location);
  }
}

}  // namespace
}  // namespace stele::bookie
