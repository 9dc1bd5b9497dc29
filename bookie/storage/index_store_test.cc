// IndexStore alone: any pattern of entries, in any sequence of updates, against a model.
#include "bookie/storage/index_store.h"

#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/storage_rig.h"
#include "common/async/notification.h"
#include "common/base/endian.h"
#include "simulation/sim_file_system.h"
#include "simulation/sim_random.h"

namespace stele::bookie {
namespace {

constexpr LedgerId kLedger{0x109};

struct IndexStoreTest : testing::Test, StorageRig {
  void OpenStore(uint64_t cache_bytes) {
    auto opened = Await(IndexStore::Open(
        world.env(process), {.directories = {"/d0"}, .location_cache_max_bytes = cache_bytes}));
    ASSERT_TRUE(opened.ok()) << opened.status();
    store = process->Own(*std::move(opened));
  }
  absl::Status Write(const std::map<int64_t, int64_t>& locations) {
    std::vector<int64_t> ids;
    std::vector<int64_t> packed;
    for (const auto& [id, location] : locations) {
      ids.push_back(id);
      packed.push_back(location);
    }
    IndexUpdate update{.ledger = kLedger, .entries = ids, .locations = packed};
    if (!store->Contains(kLedger)) update.header = IndexHeader{.master_key = KeyOf(kLedger)};
    const absl::Status written = Await(store->Write(std::move(update)));
    if (!written.ok()) return written;
    return Await(store->SyncNames());
  }
  IndexStore* store = nullptr;
};

TEST_F(IndexStoreTest, AnyPatternOfEntriesIsFoundAgain) {
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
    if (!model.empty()) {
      EXPECT_EQ(Await(store->Load(kLedger))->last_entry, ids.back());
    }
  }
}

// A bookie of Java's that looks for the last entry reads its page whole, or fails.
TEST_F(IndexStoreTest, AFileEndsWithAWholePageOfJavas) {
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

TEST_F(IndexStoreTest, APageReadBeforeAWriteIsNotKept) {
  GatedFileSystem files(&machine->disk(), process->executor());
  Env env = world.env(process);
  env.files = &files;
  const int64_t location = EntryLocation(EntryLogId(1), 4096).packed();
  // A cache of one page: what the write leaves in it has gone when the read arrives.
  auto opened = Await(IndexStore::Open(
      env, {.directories = {"/d0"}, .location_cache_max_bytes = sizeof(LocationPage)}));
  ASSERT_TRUE(opened.ok());
  store = process->Own(*std::move(opened));
  ASSERT_TRUE(Write({{0, location}, {5000, location}}).ok());
  ASSERT_TRUE(Await(store->Find(kLedger, EntryId(5000))).ok());
  files.closed = true;
  std::optional<absl::StatusOr<EntryLocation>> found;
  process->Spawn(StorageRig::Keep(store->Find(kLedger, EntryId(0)), &found));
  ASSERT_TRUE(world.scheduler().RunFor(absl::Seconds(1)).ok());
  EXPECT_FALSE(found.has_value());
  ASSERT_TRUE(Write({{1, location}, {5001, location}}).ok());
  files.closed = false;
  files.gate.NotifyAll();
  ASSERT_TRUE(world.scheduler().RunUntil([&] { return found.has_value(); }).ok());
  EXPECT_EQ((*found)->packed(), location);
  EXPECT_EQ(Await(store->Find(kLedger, EntryId(1)))->packed(), location);
  process->Crash();  // before the file system goes
  process->Restart();
}

// A peer may have told Java's bookie an explicit LAC of any size that fits into the header.
TEST_F(IndexStoreTest, AClaimNeverGoesOverAnExplicitLac) {
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

TEST_F(IndexStoreTest, AFileThatIsGoneIsAnErrorNotAnAbsence) {
  OpenStore(0);
  ASSERT_TRUE(Write({{0, EntryLocation(EntryLogId(1), 4096).packed()}}).ok());
  EXPECT_EQ(CodeOf(Await(store->Find(LedgerId(5), EntryId(0))).status()), ErrorCode::kNoSuchLedger);
  OpenStore(0);
  RemoveFile("/d0/1/9/109.idx");
  EXPECT_EQ(CodeOf(Await(store->Find(kLedger, EntryId(0))).status()), ErrorCode::kIoError);
  EXPECT_EQ(CodeOf(Await(store->Load(kLedger)).status()), ErrorCode::kIoError);
  EXPECT_EQ(CodeOf(Write({{1, 1}})), ErrorCode::kIoError);
}

TEST_F(IndexStoreTest, F41AFileOfAKilledProcessGetsItsNameSynced) {
  for (uint64_t i = 0; i < 20; ++i) {
    OpenStore(0);
    if (store->Contains(kLedger)) ASSERT_TRUE(Await(store->Remove(kLedger)).ok());
    const int64_t location = EntryLocation(EntryLogId(1), 4096).packed();
    const std::vector<int64_t> ids = {0};
    const std::vector<int64_t> packed = {location};
    ASSERT_TRUE(
        Await(
            store->Write(
                {.ledger = kLedger, .header = IndexHeader{}, .entries = ids, .locations = packed}))
            .ok());
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
