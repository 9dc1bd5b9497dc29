#include "simulation/sim_file_system.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/async/task_scope.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/seams/clock.h"
#include "common/seams/contract/co_assert.h"
#include "common/seams/contract/file_system_contract.h"
#include "simulation/sim_seam_world.h"
#include "simulation/world.h"

namespace stele {
INSTANTIATE_TEST_SUITE_P(Simulated, FileSystemContract,
                         testing::ValuesIn(simulation::kSimSeamWorlds), SeamWorldName());
}  // namespace stele

namespace stele::simulation {
namespace {

constexpr OpenOptions kCreate{.access = OpenOptions::Access::kReadWrite,
                              .create = OpenOptions::Create::kIfMissing};
constexpr OpenOptions kCreateDirect{.access = OpenOptions::Access::kReadWrite,
                                    .create = OpenOptions::Create::kIfMissing,
                                    .sync = OpenOptions::Sync::kEachWrite};

// One machine, one process; `seeds` worlds in turn show which outcomes exist.
struct Rig {
  explicit Rig(uint64_t seed, SimDiskOptions disk = {})
      : world({.seed = seed}),
        machine(world.AddMachine("m", disk)),
        process(world.AddProcess(machine, "p")),
        env(world.env(process)) {}

  void Run(Task<void> task) {
    const absl::Status status = world.RunToEnd(process, std::move(task));
    EXPECT_TRUE(status.ok()) << status;
  }
  void PowerCut() {
    world.PowerCut(machine);
    process->Restart();
    env = world.env(process);
  }

  World world;
  SimMachine* machine;
  SimProcess* process;
  Env env;
};

Buffer AlignedBlock(size_t size, char fill) {
  MutableBuffer block(size, kDirectAlignmentBytes);
  std::memset(block.data(), fill, size);
  return std::move(block).Freeze();
}

Task<void> WriteAndMaybeSync(Env env, std::string path, std::string content, bool sync_file,
                             bool sync_directory) {
  STELE_CO_ASSIGN(const std::unique_ptr<File> file, co_await env.files->Open(path, kCreate));
  STELE_CO_ASSERT_OK(co_await file->WriteAt(0, Buffer::CopyOf(content)));
  if (sync_file) STELE_CO_ASSERT_OK(co_await file->Sync());
  if (sync_directory) STELE_CO_ASSERT_OK(co_await env.files->SyncDirectory("/"));
}

Task<void> ReadInto(Env env, std::string path, std::string* content) {
  const absl::StatusOr<Buffer> read = co_await ReadFile(env.files, path, 1 << 24);
  *content = read.ok() ? read->ToString() : std::string(NameOf(CodeOf(read.status())));
}

std::string ContentOf(Rig& rig, std::string path) {
  std::string content;
  rig.Run(ReadInto(rig.env, std::move(path), &content));
  return content;
}

TEST(PowerCutTest, WhatWasSyncedSurvives) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Rig rig(seed);
    rig.Run(WriteAndMaybeSync(rig.env, "/f", std::string(5'000, 'x'), true, true));
    rig.PowerCut();
    EXPECT_EQ(ContentOf(rig, "/f"), std::string(5'000, 'x'));
    rig.PowerCut();
    EXPECT_EQ(ContentOf(rig, "/f"), std::string(5'000, 'x'));
  }
}

TEST(PowerCutTest, ANameSurvivesForSureOnlyAfterSyncDirectory) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Rig rig(seed);
    rig.Run(WriteAndMaybeSync(rig.env, "/f", "abc", true, false));
    rig.PowerCut();
    outcomes.insert(ContentOf(rig, "/f"));
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"abc", "NoSuchFile"}));
}

Task<void> Overwrite(Env env) {
  STELE_CO_ASSIGN(const std::unique_ptr<File> file, co_await env.files->Open("/f", kCreate));
  STELE_CO_ASSERT_OK(co_await file->WriteAt(0, Buffer::CopyOf(std::string(4 * 512, 'n'))));
}

TEST(PowerCutTest, UnsyncedSectorsSurviveInAnySubset) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    Rig rig(seed);
    rig.Run(WriteAndMaybeSync(rig.env, "/f", std::string(4 * 512, 'o'), true, true));
    rig.Run(Overwrite(rig.env));
    rig.PowerCut();
    const std::string content = ContentOf(rig, "/f");
    ASSERT_EQ(content.size(), 4u * 512);
    std::string sectors;
    for (size_t i = 0; i < content.size(); i += 512) {
      const std::string sector = content.substr(i, 512);
      ASSERT_TRUE(sector == std::string(512, 'o') || sector == std::string(512, 'n'));
      sectors += sector[0];
    }
    outcomes.insert(sectors);
  }
  EXPECT_EQ(outcomes.size(), 16u);
}

TEST(PowerCutTest, UnsyncedSizeMayBeOldNewOrBetweenAndNeverShowsForeignBytes) {
  std::set<size_t> sizes;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    Rig rig(seed);
    rig.Run(WriteAndMaybeSync(rig.env, "/f", std::string(700, 'o'), true, true));
    rig.Run(WriteAndMaybeSync(rig.env, "/f", std::string(3'000, 'n'), false, false));
    rig.PowerCut();
    const std::string content = ContentOf(rig, "/f");
    sizes.insert(content.size());
    for (size_t i = 0; i < content.size(); ++i) {
      ASSERT_TRUE(content[i] == 'n' || content[i] == (i < 700 ? 'o' : '\0')) << i;
    }
  }
  EXPECT_TRUE(sizes.contains(700));
  EXPECT_TRUE(sizes.contains(3'000));
  EXPECT_GT(sizes.size(), 10u);
}

Task<void> RenameOver(Env env) { STELE_CO_ASSERT_OK(co_await env.files->Rename("/new", "/f")); }

TEST(PowerCutTest, AnUnsyncedRenameHappenedOrDidNot) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Rig rig(seed);
    rig.Run(WriteAndMaybeSync(rig.env, "/f", "old", true, true));
    rig.Run(WriteAndMaybeSync(rig.env, "/new", "new", true, true));
    rig.Run(RenameOver(rig.env));
    EXPECT_EQ(ContentOf(rig, "/f"), "new");
    rig.PowerCut();
    outcomes.insert(ContentOf(rig, "/f") + "," + ContentOf(rig, "/new"));
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"old,new", "new,NoSuchFile"}));
}

Task<void> ReplaceTwice(Env env) {
  STELE_CO_ASSERT_OK(co_await ReplaceFile(env.files, "/", "mark", Buffer::CopyOf("one")));
  STELE_CO_ASSERT_OK(co_await ReplaceFile(env.files, "/", "mark", Buffer::CopyOf("two")));
}

TEST(PowerCutTest, ReplaceFileLeavesOldOrNewWhereverItIsCut) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Rig rig(seed);
    rig.process->Spawn(ReplaceTwice(rig.env));
    ASSERT_TRUE(rig.world.scheduler()
                    .RunFor(absl::Microseconds(SimRandom(seed).Child("cut").Below(3'000)))
                    .ok());
    rig.PowerCut();
    outcomes.insert(ContentOf(rig, "/mark"));
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"NoSuchFile", "one", "two"}));
}

Task<void> DirectWrites(Env env, int* completed) {
  STELE_CO_ASSIGN(const std::unique_ptr<File> file, co_await env.files->Open("/f", kCreateDirect));
  STELE_CO_ASSERT_OK(co_await file->WriteAt(0, AlignedBlock(8 * 4'096, '0')));
  STELE_CO_ASSERT_OK(co_await env.files->SyncDirectory("/"));
  for (char fill = '1'; fill <= '5'; ++fill) {
    STELE_CO_ASSERT_OK(co_await file->WriteAt(0, AlignedBlock(8 * 4'096, fill)));
    *completed = fill - '0';
  }
}

TEST(PowerCutTest, EachWriteIsDurableWhenCompletedAndTearsBySectorWhenInFlight) {
  std::set<int> torn_kinds;  // how many sectors of a torn write were new
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Rig rig(seed);
    int completed = -1;
    rig.process->Spawn(DirectWrites(rig.env, &completed));
    ASSERT_TRUE(rig.world.scheduler()
                    .RunFor(absl::Microseconds(SimRandom(seed).Child("cut").Below(1'200)))
                    .ok());
    rig.PowerCut();
    if (completed < 0) continue;
    const std::string content = ContentOf(rig, "/f");
    ASSERT_EQ(content.size(), 8u * 4'096);
    int fresh = 0;
    for (size_t i = 0; i < content.size(); i += 512) {
      ASSERT_EQ(content.substr(i, 512), std::string(512, content[i]));
      ASSERT_TRUE(content[i] == '0' + completed || content[i] == '1' + completed);
      if (content[i] == '1' + completed) ++fresh;
    }
    torn_kinds.insert(fresh);
  }
  EXPECT_TRUE(torn_kinds.contains(0));
  EXPECT_TRUE(torn_kinds.contains(64));
  EXPECT_GT(torn_kinds.size(), 8u);
}

Task<void> WriteBlock(File* file, int block, std::vector<int>* completed) {
  STELE_CO_ASSERT_OK(
      co_await file->WriteAt(static_cast<uint64_t>(block) * 4'096, AlignedBlock(4'096, 'x')));
  completed->push_back(block);
}

Task<void> OpenDirect(Env env, std::unique_ptr<File>* file) {
  STELE_CO_ASSIGN(*file, co_await env.files->Open("/f", kCreateDirect));
}

TEST(StalledDiskTest, TheHealLetsGoWhatIsUnderWay) {
  Rig rig(1);
  std::unique_ptr<File> file;
  rig.Run(OpenDirect(rig.env, &file));
  rig.machine->disk().StallFor(absl::Minutes(1));
  std::vector<int> completed;
  rig.process->Spawn(WriteBlock(file.get(), 0, &completed));
  ASSERT_TRUE(rig.world.scheduler().RunFor(absl::Seconds(10)).ok());
  EXPECT_TRUE(completed.empty());
  rig.machine->disk().Heal();
  ASSERT_TRUE(rig.world.scheduler().RunFor(absl::Seconds(2)).ok());
  EXPECT_EQ(completed.size(), 1u);
}

TEST(UnevenDiskTest, WritesOvertakeEachOther) {
  Rig rig(1);
  std::unique_ptr<File> file;
  rig.Run(OpenDirect(rig.env, &file));
  rig.machine->disk().set_unevenness_max(absl::Milliseconds(100));
  std::vector<int> completed;
  for (int block = 0; block < 10; ++block) {
    rig.process->Spawn(WriteBlock(file.get(), block, &completed));
  }
  ASSERT_TRUE(rig.world.scheduler().RunFor(absl::Milliseconds(200)).ok());
  EXPECT_EQ(completed.size(), 10u);
  EXPECT_FALSE(std::is_sorted(completed.begin(), completed.end()));
}

Task<void> MoveBetweenDirectories(Env env) {
  STELE_CO_ASSERT_OK(co_await env.files->MakeDirectories("/a"));
  STELE_CO_ASSERT_OK(co_await env.files->MakeDirectories("/b"));
  STELE_CO_ASSERT_OK(co_await env.files->SyncDirectory("/"));
  STELE_CO_ASSERT_OK(co_await env.files->Open("/a/f", kCreate));
  STELE_CO_ASSERT_OK(co_await env.files->Open("/a/other", kCreate));
  STELE_CO_ASSERT_OK(co_await env.files->Rename("/a/f", "/b/f"));
  STELE_CO_ASSERT_OK(co_await env.files->SyncDirectory("/b"));
}

TEST(PowerCutTest, ARenameAcrossDirectoriesIsOneStepWithTheCreationBeforeIt) {
  std::set<std::string> outcomes;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Rig rig(seed);
    rig.Run(MoveBetweenDirectories(rig.env));
    rig.PowerCut();
    outcomes.insert(ContentOf(rig, "/a/f") + "," + ContentOf(rig, "/b/f") + "," +
                    ContentOf(rig, "/a/other"));
  }
  EXPECT_EQ(outcomes, (std::set<std::string>{"NoSuchFile,,", "NoSuchFile,,NoSuchFile"}));
}

TEST(ProcessCrashTest, CompletedWritesStayWithoutSync) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rig rig(seed);
    rig.Run(WriteAndMaybeSync(rig.env, "/f", "abc", false, false));
    rig.process->Crash();
    rig.process->Restart();
    EXPECT_EQ(ContentOf(rig, "/f"), "abc");
  }
}

Task<void> LockForEver(Env env) {
  STELE_CO_ASSIGN(const std::unique_ptr<DirectoryLock> lock,
                  co_await env.files->LockDirectory("/"));
  co_await SleepFor(env.executor, env.clock, absl::Hours(1));
}

Task<void> ExpectLock(Env env, ErrorCode code) {
  STELE_CO_EXPECT_CODE(code, co_await env.files->LockDirectory("/"));
}

TEST(ProcessCrashTest, ReleasesDirectoryLocks) {
  Rig rig(1);
  SimProcess* other = rig.world.AddProcess(rig.machine, "other");
  rig.process->Spawn(LockForEver(rig.env));
  ASSERT_TRUE(rig.world.scheduler().RunFor(absl::Seconds(1)).ok());
  ASSERT_TRUE(
      rig.world.RunToEnd(other, ExpectLock(rig.world.env(other), ErrorCode::kOverloaded)).ok());
  rig.process->Crash();
  ASSERT_TRUE(rig.world.RunToEnd(other, ExpectLock(rig.world.env(other), ErrorCode::kOk)).ok());
}

// ---- Faults and space

// Fails the next operation of one kind.
class FailOnce : public FileFaults {
 public:
  absl::Status BeforeOperation(const FileRequest& request) override {
    if (!armed || request.operation != operation) return absl::OkStatus();
    armed = false;
    return MakeError(ErrorCode::kIoError, StrCat("injected: ", request.path));
  }
  FileOperation operation = FileOperation::kSync;
  bool armed = false;
};

Task<void> SyncFails(Env env, FailOnce* faults) {
  STELE_CO_ASSIGN(const std::unique_ptr<File> file, co_await env.files->Open("/f", kCreate));
  STELE_CO_ASSERT_OK(co_await file->WriteAt(0, Buffer::CopyOf("new")));
  faults->armed = true;
  STELE_CO_EXPECT_CODE(ErrorCode::kIoError, co_await file->Sync());
  STELE_CO_EXPECT_CODE(ErrorCode::kIoError, co_await file->Sync());
  STELE_CO_EXPECT_CODE(ErrorCode::kIoError, co_await file->WriteAt(0, Buffer::CopyOf("x")));
  // Somebody believes a later sync through another descriptor, and what the page cache shows.
  STELE_CO_ASSIGN(const std::unique_ptr<File> again, co_await env.files->Open("/f", kCreate));
  STELE_CO_EXPECT_OK(co_await again->Sync());
  STELE_CO_ASSIGN(const Buffer shown, co_await again->ReadAt(0, 3));
  EXPECT_EQ(shown.view(), "new");
}

TEST(FileFaultTest, AFailedSyncPoisonsTheFileAndLosesItsData) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rig rig(seed);
    FailOnce faults;
    rig.machine->disk().set_faults(&faults);
    rig.Run(WriteAndMaybeSync(rig.env, "/f", "old", true, true));
    rig.Run(SyncFails(rig.env, &faults));
    rig.PowerCut();
    EXPECT_EQ(ContentOf(rig, "/f"), "old");
  }
}

Task<void> WriteFails(Env env, FailOnce* faults) {
  STELE_CO_ASSIGN(const std::unique_ptr<File> file, co_await env.files->Open("/f", kCreate));
  faults->armed = true;
  faults->operation = FileOperation::kWrite;
  STELE_CO_EXPECT_CODE(ErrorCode::kIoError, co_await file->WriteAt(0, Buffer::CopyOf("x")));
  STELE_CO_EXPECT_CODE(ErrorCode::kIoError, co_await file->WriteAt(0, Buffer::CopyOf("x")));
  STELE_CO_EXPECT_CODE(ErrorCode::kIoError, co_await file->Sync());
  faults->armed = true;
  faults->operation = FileOperation::kRead;
  STELE_CO_EXPECT_CODE(ErrorCode::kIoError, co_await file->ReadAt(0, 1));
  STELE_CO_EXPECT_OK(co_await file->ReadAt(0, 1));
  faults->armed = true;
  faults->operation = FileOperation::kRename;
  STELE_CO_EXPECT_CODE(ErrorCode::kIoError, co_await env.files->Rename("/f", "/g"));
  STELE_CO_EXPECT_OK(co_await env.files->Stat("/f"));
}

TEST(FileFaultTest, AnyOperationCanBeMadeToFail) {
  Rig rig(1);
  FailOnce faults;
  rig.machine->disk().set_faults(&faults);
  rig.Run(WriteFails(rig.env, &faults));
}

Task<void> FillDisk(Env env) {
  STELE_CO_ASSIGN(std::unique_ptr<File> file, co_await env.files->Open("/f", kCreate));
  STELE_CO_ASSERT_OK(co_await file->WriteAt(0, Buffer::CopyOf(std::string(60'000, 'x'))));
  STELE_CO_ASSIGN(const DiskSpace space, co_await env.files->Space("/"));
  EXPECT_EQ(space.total_bytes, 65'536u);
  EXPECT_EQ(space.free_bytes, 4'096u);
  STELE_CO_ASSIGN(std::unique_ptr<File> more, co_await env.files->Open("/g", kCreate));
  STELE_CO_EXPECT_CODE(ErrorCode::kDiskFull,
                       co_await more->WriteAt(0, Buffer::CopyOf(std::string(4'097, 'x'))));
  // Overwriting needs no space.
  STELE_CO_EXPECT_OK(co_await file->WriteAt(0, Buffer::CopyOf("yyy")));
  // An open file that was removed keeps its space.
  STELE_CO_ASSERT_OK(co_await env.files->Remove("/f"));
  STELE_CO_ASSIGN(const DiskSpace still, co_await env.files->Space("/"));
  EXPECT_EQ(still.free_bytes, 4'096u);
  file.reset();
  STELE_CO_ASSIGN(const DiskSpace freed, co_await env.files->Space("/"));
  EXPECT_EQ(freed.free_bytes, 65'536u);
}

TEST(FileFaultTest, AFullDiskRefusesToGrow) {
  Rig rig(1, {.size_bytes = 65'536});
  rig.Run(FillDisk(rig.env));
}

// ---- Memory

Task<void> Preallocate(Env env) {
  STELE_CO_ASSIGN(const std::unique_ptr<File> file, co_await env.files->Open("/f", kCreateDirect));
  const Buffer zeroes = AlignedBlock(1 << 20, 0);
  for (uint64_t i = 0; i < 256; ++i) {
    STELE_CO_ASSERT_OK(co_await file->WriteAt(i << 20, zeroes));
  }
  STELE_CO_ASSIGN(const uint64_t size, co_await file->Size());
  EXPECT_EQ(size, 256u << 20);
}

TEST(SectorImageTest, ZeroFilledFilesTakeNoMemory) {
  Rig rig(1);
  rig.Run(Preallocate(rig.env));
  SectorImage image;
  image.Write(0, std::string(1 << 20, '\0'));
  EXPECT_EQ(image.size(), 1u << 20);
  EXPECT_EQ(image.NextPage(0), UINT64_MAX);
}

TEST(SectorImageTest, CopiesShareUntilWritten) {
  SectorImage a;
  a.Write(100, "hello");
  SectorImage b = a;
  b.Write(100, "J");
  char bytes[5];
  a.Read(100, bytes, 5);
  EXPECT_EQ(std::string(bytes, 5), "hello");
  b.Read(100, bytes, 5);
  EXPECT_EQ(std::string(bytes, 5), "Jello");
}

}  // namespace
}  // namespace stele::simulation
