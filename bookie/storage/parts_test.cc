// The small parts: caches, locks, choices, comparisons.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/directory_choice.h"
#include "bookie/storage/ledger_locks.h"
#include "bookie/storage/ledger_table.h"
#include "bookie/storage/location_cache.h"
#include "bookie/storage/open_files.h"
#include "bookie/storage/same_entry.h"
#include "bookie/storage/storage_rig.h"
#include "common/wire/entry_packet.h"
#include "simulation/sim_file_system.h"

namespace stele::bookie {
namespace {

constexpr LedgerId kLedger{7};

// ---- Same entry

Buffer Packet(int64_t lac, int64_t length, std::string_view payload, DigestType type) {
  const wire::Digester digester(type, "password");
  return wire::MakeEntryPacket({.ledger = kLedger,
                                .entry = EntryId(5),
                                .last_add_confirmed = EntryId(lac),
                                .length_bytes = length},
                               payload, digester);
}

TEST(SameEntryTest, PayloadAndLengthDecideWhateverTheDigest) {
  const EntryComparer comparer;
  for (const DigestType type :
       {DigestType::kCrc32c, DigestType::kCrc32, DigestType::kMac, DigestType::kDummy}) {
    SCOPED_TRACE(static_cast<int>(type));
    const std::string payload(100, 'p');
    const Buffer stored = Packet(1, 500, payload, type);
    const auto same = [&](const Buffer& offered) {
      return comparer.IsSame(stored.view(), offered.view());
    };
    EXPECT_TRUE(same(Packet(1, 500, payload, type)));
    EXPECT_TRUE(same(Packet(3, 500, payload, type)));
    EXPECT_FALSE(same(Packet(1, 501, payload, type)));
    EXPECT_FALSE(same(Packet(3, 501, payload, type)));
    EXPECT_FALSE(same(Packet(1, 500, payload + "p", type)));
    for (const size_t at : {size_t{25}, size_t{99}}) {
      std::string other = payload;
      other[at] = 'q';
      EXPECT_FALSE(same(Packet(1, 500, other, type))) << at;
      EXPECT_FALSE(same(Packet(3, 500, other, type))) << at;
    }
    std::string other = payload;
    other[0] = 'q';
    EXPECT_FALSE(same(Packet(1, 500, other, type)));
    if (type == DigestType::kCrc32c || type == DigestType::kCrc32) {
      EXPECT_FALSE(same(Packet(3, 500, other, type)));
    }
  }
}

TEST(SameEntryTest, ShortPacketsAreComparedWhole) {
  const EntryComparer comparer;
  EXPECT_TRUE(comparer.IsSame(std::string(24, 'x'), std::string(24, 'x')));
  EXPECT_FALSE(comparer.IsSame(std::string(24, 'x'), std::string(24, 'y')));
  EXPECT_TRUE(comparer.IsSame("", ""));
}

// ---- Caches

TEST(LocationCacheTest, TheLeastRecentlyUsedPageGoes) {
  LocationCache cache(3 * sizeof(LocationPage));
  for (int64_t page = 0; page < 3; ++page) {
    auto content = std::make_unique<LocationPage>();
    content->fill(page);
    cache.Put(kLedger, page, std::move(content));
  }
  ASSERT_NE(cache.Find(kLedger, 0), nullptr);
  cache.Put(LedgerId(8), 0, std::make_unique<LocationPage>());
  EXPECT_EQ(cache.Find(kLedger, 1), nullptr);
  EXPECT_EQ((*cache.Find(kLedger, 0))[511], 0);
  EXPECT_EQ((*cache.Find(kLedger, 2))[0], 2);
  auto newer = std::make_unique<LocationPage>();
  newer->fill(9);
  cache.Put(kLedger, 2, std::move(newer));
  EXPECT_EQ((*cache.Find(kLedger, 2))[0], 9);
  cache.EraseLedger(kLedger);
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_NE(cache.Find(LedgerId(8), 0), nullptr);
}

TEST(LocationCacheTest, WithoutAnyRoomItKeepsNothing) {
  LocationCache cache(sizeof(LocationPage) - 1);
  cache.Put(kLedger, 0, std::make_unique<LocationPage>());
  EXPECT_EQ(cache.Find(kLedger, 0), nullptr);
}

TEST(OpenFilesTest, FewStayOpenAndADropIsNotUndoneByAnOpenInFlight) {
  StorageRig rig;
  for (int i = 0; i < 4; ++i) rig.CreateFile(StrCat("/d0/", i), StrCat("content ", i));
  OpenFiles files(rig.world.env(rig.process).files, 2);
  for (int round = 0; round < 2; ++round) {
    for (int i = 0; i < 4; ++i) {
      const auto file = rig.Await(files.Get(i, StrCat("/d0/", i)));
      ASSERT_TRUE(file.ok());
      EXPECT_EQ(rig.Await((*file)->ReadAt(0, 100))->view(), StrCat("content ", i));
    }
    EXPECT_EQ(files.size(), 2u);
  }
  EXPECT_EQ(CodeOf(rig.Await(files.Get(9, "/d0/9")).status()), ErrorCode::kNoSuchFile);
  files.Drop(3);
  EXPECT_EQ(files.size(), 1u);
  std::optional<absl::StatusOr<std::shared_ptr<File>>> opened;
  rig.process->Spawn(StorageRig::Keep(files.Get(3, "/d0/3"), &opened));
  // The open is on its way when the file is dropped.
  const uint64_t begin = rig.world.scheduler().steps();
  ASSERT_TRUE(
      rig.world.scheduler().RunUntil([&] { return rig.world.scheduler().steps() > begin; }).ok());
  files.Drop(3);
  ASSERT_TRUE(rig.world.scheduler().RunUntil([&] { return opened.has_value(); }).ok());
  EXPECT_TRUE(opened->ok());
  EXPECT_EQ(files.size(), 1u);
}

TEST(LedgerTableTest, UsedRecordsGetASecondChanceAndPinnedOnesStay) {
  LedgerTable table(3);
  const auto any = [](const LedgerRecord&) { return true; };
  for (int64_t i = 0; i < 3; ++i) table.Insert(LedgerId(i));
  table.EvictIdle(3, any);  // takes their second chance away
  EXPECT_EQ(table.size(), 3u);
  ASSERT_NE(table.Find(LedgerId(0)), nullptr);
  table.EvictIdle(100, any);
  EXPECT_EQ(table.size(), 2u);
  EXPECT_NE(table.Find(LedgerId(0)), nullptr);
  EXPECT_EQ(table.Find(LedgerId(1)), nullptr);
  for (int64_t i = 10; i < 20; ++i) table.Insert(LedgerId(i));
  table.EvictIdle(1000,
                  [](const LedgerRecord& record) { return record.state.ledger > LedgerId(9); });
  EXPECT_EQ(table.size(), 2u);
  EXPECT_NE(table.Find(LedgerId(0)), nullptr);
  EXPECT_NE(table.Find(LedgerId(2)), nullptr);
  table.Erase(LedgerId(0));
  table.Erase(LedgerId(2));
  table.Erase(LedgerId(2));
  table.EvictIdle(10, any);
  EXPECT_EQ(table.size(), 0u);
}

// ---- Coroutines

Task<void> HoldAndCount(LedgerLocks* locks, Env env, LedgerId ledger, int* inside, int* most,
                        int* done) {
  {
    const LedgerLocks::Guard guard = co_await locks->Acquire(ledger);
    *most = std::max(*most, ++*inside);
    co_await SleepFor(env.executor, env.clock, absl::Milliseconds(1));
    --*inside;
  }
  ++*done;
}

TEST(LedgerLocksTest, OneAtATimePerLedger) {
  StorageRig rig;
  const Env env = rig.world.env(rig.process);
  LedgerLocks locks(env.executor);
  int inside = 0;
  int inside_other = 0;
  int most = 0;
  int done = 0;
  for (int i = 0; i < 5; ++i) {
    rig.process->Spawn(HoldAndCount(&locks, env, kLedger, &inside, &most, &done));
  }
  rig.process->Spawn(HoldAndCount(&locks, env, LedgerId(8), &inside_other, &most, &done));
  ASSERT_TRUE(rig.world.scheduler().RunUntil([&] { return done == 6; }).ok());
  EXPECT_EQ(most, 1);
}

// ---- Directories

// Answers for the space of its directories.
class SpaceFileSystem : public simulation::SimFileSystem {
 public:
  using SimFileSystem::SimFileSystem;
  Task<absl::StatusOr<DiskSpace>> Space(std::string path) override {
    const auto found = space.find(path);
    if (found == space.end()) co_return MakeError(ErrorCode::kIoError, path);
    co_return DiskSpace{.total_bytes = 1000, .free_bytes = found->second};
  }
  std::map<std::string, uint64_t> space;
};

struct DirectoryChoiceTest : testing::Test {
  absl::StatusOr<size_t> Choose(uint64_t free_min_bytes = 0, size_t first = 0,
                                std::vector<bool> excluded = {}) {
    return rig.Await(ChooseDirectory(&files, {.directories = {"a", "b", "c"},
                                              .usage_max_ppm = 900'000,
                                              .free_min_bytes = free_min_bytes,
                                              .first = first,
                                              .excluded = std::move(excluded)}));
  }
  StorageRig rig;
  SpaceFileSystem files{&rig.machine->disk(), rig.process->executor()};
};

TEST_F(DirectoryChoiceTest, F18TheNextOneThatIsNotFull) {
  files.space = {{"a", 500}, {"b", 100}, {"c", 101}};
  EXPECT_EQ(*Choose(0, 0), 0u);
  EXPECT_EQ(*Choose(0, 1), 2u);  // b has used nine tenths
  EXPECT_EQ(*Choose(0, 2), 2u);
  EXPECT_EQ(*Choose(200, 2), 0u);
  EXPECT_EQ(*Choose(0, 0, {true, false, false}), 2u);
}

TEST_F(DirectoryChoiceTest, F18WhenAllAreFullTheRoomiestThatHasTheSpace) {
  files.space = {{"a", 20}, {"b", 90}, {"c", 60}};
  EXPECT_EQ(*Choose(), 1u);
  EXPECT_EQ(*Choose(50, 0, {false, true, false}), 2u);
  EXPECT_EQ(CodeOf(Choose(91).status()), ErrorCode::kDiskFull);
  EXPECT_EQ(CodeOf(Choose(0, 0, {true, true, true}).status()), ErrorCode::kDiskFull);
}

TEST_F(DirectoryChoiceTest, ADirectoryThatCannotBeAskedIsPassedOver) {
  files.space = {{"c", 500}};
  EXPECT_EQ(*Choose(), 2u);
  EXPECT_EQ(CodeOf(Choose(600).status()), ErrorCode::kDiskFull);
  files.space.clear();
  EXPECT_EQ(CodeOf(Choose().status()), ErrorCode::kIoError);
}

}  // namespace
}  // namespace stele::bookie
