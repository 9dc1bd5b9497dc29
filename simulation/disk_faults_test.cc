#include "simulation/disk_faults.h"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/seams/contract/co_assert.h"
#include "simulation/world.h"

namespace stele::simulation {
namespace {

constexpr OpenOptions kCreate{.access = OpenOptions::Access::kReadWrite,
                              .create = OpenOptions::Create::kIfMissing};

// One machine with one process; calls run to their end.
struct Rig {
  explicit Rig(uint64_t seed = 1)
      : world({.seed = seed}),
        machine(world.AddMachine("m")),
        process(world.AddProcess(machine, "p")) {}

  void Run(Task<void> task) {
    const absl::Status status = world.RunToEnd(process, std::move(task));
    EXPECT_TRUE(status.ok()) << status;
  }
  ErrorCode Write(std::string path, std::string content, bool sync = true) {
    ErrorCode code = ErrorCode::kForeign;
    Run(WriteTask(world.env(process), std::move(path), std::move(content), sync, &code));
    return code;
  }
  // The content, or the name of the error.
  std::string Read(std::string path) {
    std::string content;
    Run(ReadTask(world.env(process), std::move(path), &content));
    return content;
  }
  ErrorCode Open(std::string path) {
    ErrorCode code = ErrorCode::kForeign;
    Run(OpenTask(world.env(process), std::move(path), &code));
    return code;
  }
  void PowerCut() {
    world.PowerCut(machine);
    process->Restart();
  }
  void Restart() {
    process->Crash();
    process->Restart();
  }
  SimDisk& disk() { return machine->disk(); }

  static Task<void> WriteTask(Env env, std::string path, std::string content, bool sync,
                              ErrorCode* code) {
    auto file = co_await env.files->Open(path, kCreate);
    absl::Status status = file.status();
    if (status.ok()) status = co_await (*file)->WriteAt(0, Buffer::CopyOf(content));
    if (status.ok() && sync) status = co_await (*file)->Sync();
    if (status.ok() && sync) status = co_await env.files->SyncDirectory("/");
    *code = CodeOf(status);
  }
  static Task<void> ReadTask(Env env, std::string path, std::string* content) {
    const absl::StatusOr<Buffer> read = co_await ReadFile(env.files, path, 1 << 24);
    *content = read.ok() ? read->ToString() : std::string(NameOf(CodeOf(read.status())));
  }
  static Task<void> OpenTask(Env env, std::string path, ErrorCode* code) {
    *code = CodeOf((co_await env.files->Open(path, kCreate)).status());
  }

  World world;
  SimMachine* machine;
  SimProcess* process;
};

const std::string kOld(8'192, 'o');
const std::string kNew(8'192, 'n');

TEST(DiskFaultsTest, AnArmedFaultStrikesTheNextOperationOfItsKindOnItsPath) {
  Rig rig;
  ASSERT_EQ(rig.Write("/a", "a"), ErrorCode::kOk);
  ASSERT_EQ(rig.Write("/b", "b"), ErrorCode::kOk);
  rig.disk().faults().Arm(DiskFault::kReadError, 2, "/b");
  EXPECT_EQ(rig.Read("/a"), "a");
  EXPECT_EQ(rig.Read("/b"), "IoError");
  EXPECT_EQ(rig.Read("/b"), "IoError");
  EXPECT_EQ(rig.Read("/b"), "b");
  EXPECT_EQ(rig.world.scheduler().faults().of("disk.read_error"), 2u);
}

TEST(DiskFaultsTest, ChancesStrikeSome) {
  Rig rig;
  ASSERT_EQ(rig.Write("/a", "a"), ErrorCode::kOk);
  rig.disk().faults().SetChance(DiskFault::kReadError, 500'000);
  int failed = 0;
  for (int i = 0; i < 100; ++i) failed += rig.Read("/a") == "IoError";
  EXPECT_GT(failed, 20);
  EXPECT_LT(failed, 80);
  rig.disk().Heal();
  EXPECT_EQ(rig.Read("/a"), "a");
}

TEST(DiskFaultsTest, ABadSectorStaysBadUntilItIsWritten) {
  Rig rig;
  ASSERT_EQ(rig.Write("/f", kOld), ErrorCode::kOk);
  rig.disk().faults().Arm(DiskFault::kBadSector);
  EXPECT_EQ(rig.Read("/f"), "IoError");
  EXPECT_EQ(rig.Read("/f"), "IoError");
  rig.PowerCut();
  EXPECT_EQ(rig.Read("/f"), "IoError");
  ASSERT_EQ(rig.Write("/f", kNew), ErrorCode::kOk);
  EXPECT_EQ(rig.Read("/f"), kNew);
}

TEST(DiskFaultsTest, AfterAFailedSyncReadsShowTheNewOrTheOldAndThePowerCutTheOld) {
  for (const bool shows_old : {false, true}) {
    Rig rig;
    ASSERT_EQ(rig.Write("/f", kOld), ErrorCode::kOk);
    rig.disk().faults().Arm(shows_old ? DiskFault::kSyncFailsShows : DiskFault::kSyncFails);
    EXPECT_EQ(rig.Write("/f", kNew), ErrorCode::kIoError);
    EXPECT_EQ(rig.Read("/f"), shows_old ? kOld : kNew);
    // A later sync succeeds and covers nothing of it.
    ASSERT_EQ(rig.Write("/f", "", true), ErrorCode::kOk);
    rig.PowerCut();
    EXPECT_EQ(rig.Read("/f"), kOld);
  }
}

TEST(DiskFaultsTest, DroppingTheCachesShowsWhatASyncHasLost) {
  Rig rig;
  ASSERT_EQ(rig.Write("/f", kOld), ErrorCode::kOk);
  rig.disk().faults().Arm(DiskFault::kSyncFails);
  EXPECT_EQ(rig.Write("/f", kNew), ErrorCode::kIoError);
  rig.Restart();
  EXPECT_EQ(rig.Read("/f"), kNew) << "the cache survives the process";
  rig.disk().DropCaches();
  EXPECT_EQ(rig.Read("/f"), kOld);
  ASSERT_EQ(rig.Write("/f", kNew, false), ErrorCode::kOk);
  rig.disk().DropCaches();
  EXPECT_EQ(rig.Read("/f"), kNew) << "what is not synced yet is not dropped";
}

TEST(DiskFaultsTest, ALostWriteIsAcknowledgedAndSyncedAndNotThere) {
  Rig rig;
  ASSERT_EQ(rig.Write("/f", kOld), ErrorCode::kOk);
  rig.disk().faults().Arm(DiskFault::kLostWrite);
  EXPECT_EQ(rig.Write("/f", kNew), ErrorCode::kOk);
  EXPECT_EQ(rig.Read("/f"), kNew);
  rig.PowerCut();
  EXPECT_EQ(rig.Read("/f"), kOld);
}

TEST(DiskFaultsTest, AMisdirectedWriteLandsElsewhere) {
  int elsewhere = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rig rig(seed);
    ASSERT_EQ(rig.Write("/f", std::string(10 * 4'096, 'o')), ErrorCode::kOk);
    rig.disk().faults().Arm(DiskFault::kMisdirectedWrite);
    EXPECT_EQ(rig.Write("/f", std::string(4'096, 'n')), ErrorCode::kOk);
    const std::string content = rig.Read("/f");
    EXPECT_EQ(content.size(), 10u * 4'096);
    EXPECT_EQ(std::count(content.begin(), content.end(), 'n'), 4'096);
    elsewhere += content[0] == 'o';
  }
  EXPECT_GT(elsewhere, 10);
}

TEST(DiskFaultsTest, AWriteToAnotherFileLeavesTheOneThatWasMeant) {
  Rig rig;
  ASSERT_EQ(rig.Write("/f", kOld), ErrorCode::kOk);
  ASSERT_EQ(rig.Write("/g", kOld), ErrorCode::kOk);
  rig.disk().faults().Arm(DiskFault::kWriteToOtherFile, 1, "/f");
  EXPECT_EQ(rig.Write("/f", kNew), ErrorCode::kOk);
  EXPECT_EQ(rig.Read("/f"), kOld);
  const std::string other = rig.Read("/g");
  EXPECT_EQ(other.size(), kOld.size());
  EXPECT_NE(other.find('n'), std::string::npos);
}

TEST(DiskFaultsTest, AMisdirectedReadGivesOnePageOfAnotherPlace) {
  std::string content;
  for (char page = 'a'; page < 'k'; ++page) content += std::string(4'096, page);
  int elsewhere = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rig rig(seed);
    ASSERT_EQ(rig.Write("/f", content), ErrorCode::kOk);
    rig.disk().faults().Arm(DiskFault::kMisdirectedRead);
    const std::string read = rig.Read("/f");
    ASSERT_EQ(read.size(), content.size());
    int wrong = 0;
    for (size_t i = 0; i < read.size(); i += 4'096) wrong += read[i] != content[i];
    EXPECT_LE(wrong, 1);
    elsewhere += wrong;
    EXPECT_EQ(rig.Read("/f"), content);
  }
  EXPECT_GT(elsewhere, 10);
}

TEST(DiskFaultsTest, NoSpaceAndNoDescriptorsAreErrorsOfTheirOperations) {
  Rig rig;
  rig.disk().faults().Arm(DiskFault::kNoSpace);
  EXPECT_EQ(rig.Open("/new"), ErrorCode::kDiskFull);
  rig.disk().faults().Arm(DiskFault::kNoDescriptors);
  EXPECT_EQ(rig.Open("/new"), ErrorCode::kOverloaded);
  rig.disk().set_files_max(1);
  ASSERT_EQ(rig.Open("/new"), ErrorCode::kOk);
  EXPECT_EQ(rig.Open("/newer"), ErrorCode::kDiskFull);
  rig.disk().set_read_only(true);
  EXPECT_EQ(rig.Open("/new"), ErrorCode::kIoError);
  rig.disk().set_forbidden("/new");
  EXPECT_EQ(rig.Read("/new"), "IoError");
  rig.disk().Heal();
  EXPECT_EQ(rig.Open("/newer"), ErrorCode::kOk);
}

TEST(DiskFaultsTest, ATornWriteLeavesAPrefix) {
  Rig rig;
  ASSERT_EQ(rig.Write("/f", kOld), ErrorCode::kOk);
  rig.disk().faults().Arm(DiskFault::kTornWrite);
  EXPECT_EQ(rig.Write("/f", kNew), ErrorCode::kDiskFull);
  const std::string content = rig.Read("/f");
  const size_t landed = content.find('o');
  EXPECT_GT(landed, 0u);
  EXPECT_EQ(content, kNew.substr(0, landed) + kOld.substr(landed));
}

TEST(DiskFaultsTest, RotFlipsBitsOfOneSector) {
  Rig rig;
  EXPECT_FALSE(rig.disk().Rot("/").has_value());
  ASSERT_EQ(rig.Write("/data", kOld), ErrorCode::kOk);
  ASSERT_EQ(rig.Write("/other", kOld), ErrorCode::kOk);
  const std::optional<DamagedPlace> place = rig.disk().Rot("/data");
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->path, "/data");
  const std::string content = rig.Read("/data");
  ASSERT_EQ(content.size(), kOld.size());
  for (size_t i = 0; i < content.size(); ++i) {
    if (content[i] != 'o') EXPECT_EQ(i / 512 * 512, place->offset);
  }
  EXPECT_NE(content, kOld);
  EXPECT_EQ(rig.Read("/other"), kOld);
}

TEST(DiskFaultsTest, ADiskGoesBackToASnapshot) {
  Rig rig;
  ASSERT_EQ(rig.Write("/f", kOld), ErrorCode::kOk);
  const auto snapshot = rig.disk().TakeSnapshot();
  ASSERT_EQ(rig.Write("/f", kNew), ErrorCode::kOk);
  ASSERT_EQ(rig.Write("/g", kNew), ErrorCode::kOk);
  EXPECT_TRUE(rig.disk().RestoreFile(snapshot, "/f"));
  EXPECT_FALSE(rig.disk().RestoreFile(snapshot, "/g"));
  EXPECT_EQ(rig.Read("/f"), kOld);
  EXPECT_EQ(rig.Read("/g"), kNew);
  rig.Restart();
  rig.disk().RestoreSnapshot(snapshot);
  EXPECT_EQ(rig.Read("/f"), kOld);
  EXPECT_EQ(rig.Read("/g"), "NoSuchFile");
  EXPECT_EQ(rig.disk().used_bytes(), kOld.size());
}

Task<void> MakeFileIn(Env env, std::string directory, std::string content) {
  STELE_CO_ASSERT_OK(co_await env.files->MakeDirectories(directory));
  ErrorCode code = ErrorCode::kForeign;
  co_await Rig::WriteTask(env, directory + "/f", std::move(content), true, &code);
  EXPECT_EQ(code, ErrorCode::kOk);
}

TEST(DiskFaultsTest, DirectoriesAreWipedAndSwapped) {
  Rig rig;
  SimMachine* other = rig.world.AddMachine("other");
  SimProcess* neighbour = rig.world.AddProcess(other, "neighbour");
  rig.Run(MakeFileIn(rig.world.env(rig.process), "/d", kOld));
  ASSERT_TRUE(rig.world.RunToEnd(neighbour, MakeFileIn(rig.world.env(neighbour), "/d", kNew)).ok());
  rig.Restart();
  EXPECT_TRUE(SimDisk::SwapDirectories(&rig.disk(), &other->disk(), "/d"));
  EXPECT_EQ(rig.Read("/d/f"), kNew);
  rig.Restart();
  EXPECT_TRUE(rig.disk().Wipe("/d"));
  EXPECT_FALSE(rig.disk().Wipe("/nothing"));
  EXPECT_EQ(rig.Read("/d/f"), "NoSuchFile");
  EXPECT_EQ(rig.disk().used_bytes(), 0u);
}

TEST(DiskFaultsTest, AHungDiskCompletesNothingUntilItIsLetGo) {
  Rig rig;
  ASSERT_EQ(rig.Write("/f", "f"), ErrorCode::kOk);
  rig.disk().Hang();
  std::string content;
  rig.process->Spawn(Rig::ReadTask(rig.world.env(rig.process), "/f", &content));
  ASSERT_TRUE(rig.world.scheduler().RunFor(absl::Minutes(5)).ok());
  EXPECT_EQ(content, "");
  rig.disk().Unhang();
  ASSERT_TRUE(rig.world.scheduler().RunFor(absl::Seconds(5)).ok());
  EXPECT_EQ(content, "f");
  rig.disk().StallFor(absl::Seconds(60));
  const MonotonicTime before = rig.world.scheduler().Now();
  EXPECT_EQ(rig.Read("/f"), "f");
  EXPECT_GE(rig.world.scheduler().Now() - before, absl::Seconds(60));
}

TEST(DiskFaultsTest, OrderedModeKeepsAPrefixOfNamesAndNoHoles) {
  std::set<size_t> sizes;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    Rig rig(seed);
    rig.disk().set_power_cut_mode(PowerCutMode::kOrdered);
    ASSERT_EQ(rig.Write("/a", kNew, false), ErrorCode::kOk);
    ASSERT_EQ(rig.Write("/b", kNew, false), ErrorCode::kOk);
    rig.PowerCut();
    const std::string a = rig.Read("/a");
    if (a == "NoSuchFile") {
      EXPECT_EQ(rig.Read("/b"), "NoSuchFile") << "made later";
    } else {
      EXPECT_EQ(a, std::string(a.size(), 'n')) << "no zeroes below the end";
      sizes.insert(a.size());
    }
  }
  EXPECT_GT(sizes.size(), 5u);
}

}  // namespace
}  // namespace stele::simulation
