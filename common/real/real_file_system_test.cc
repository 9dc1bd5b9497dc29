#include "common/real/real_file_system.h"

#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include <sys/resource.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/real_seam_world.h"
#include "common/seams/contract/co_assert.h"
#include "common/seams/contract/file_system_contract.h"

namespace stele {

INSTANTIATE_TEST_SUITE_P(Real, FileSystemContract, testing::ValuesIn(real::kRealSeamWorlds),
                         SeamWorldName());

namespace real {
namespace {

constexpr OpenOptions kNewFile{.access = OpenOptions::Access::kReadWrite,
                               .create = OpenOptions::Create::kMustBeNew};

// What only the real file system can be asked.
class RealFileSystemTest : public testing::TestWithParam<SeamWorldKind> {
 protected:
  void Run(Task<void> (*body)(Env env, std::string directory)) {
    world_->RunToEnd(body(world_->env(), world_->scratch_directory()));
  }
  const std::unique_ptr<SeamWorld> world_ = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(Real, RealFileSystemTest, testing::ValuesIn(kRealSeamWorlds),
                         SeamWorldName());

// Files of this process cannot grow above a limit while it lives.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    getrlimit(RLIMIT_FSIZE, &saved_);
    rlimit limit = saved_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
    saved_handler_ = std::signal(SIGXFSZ, SIG_IGN);
  }
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &saved_);
    std::signal(SIGXFSZ, saved_handler_);
  }

 private:
  rlimit saved_;
  void (*saved_handler_)(int);
};

Task<void> ExpectPoisoned(Env env, File* file, std::string path) {
  STELE_CO_EXPECT_CODE(ErrorCode::kIoError, co_await file->WriteAt(0, Buffer::CopyOf("x")));
  STELE_CO_EXPECT_CODE(ErrorCode::kIoError, co_await file->Sync());
  STELE_CO_EXPECT_CODE(ErrorCode::kIoError, co_await file->Truncate(0));
  // What was written before can still be read, and the name be opened anew.
  STELE_CO_ASSIGN(const Buffer first, co_await file->ReadAt(0, 3));
  EXPECT_EQ(first.view(), "abc");
  STELE_CO_ASSIGN(const std::unique_ptr<File> again, co_await env.files->Open(path, OpenOptions{}));
  STELE_CO_ASSIGN(const Buffer same, co_await again->ReadAt(0, 3));
  EXPECT_EQ(same.view(), "abc");
}

Task<void> FailedWrite(Env env, std::string directory) {
  const FileSizeLimit limit(100'000);
  STELE_CO_ASSIGN(const std::unique_ptr<File> file,
                  co_await env.files->Open(directory + "/f", kNewFile));
  STELE_CO_ASSERT_OK(co_await file->WriteAt(0, Buffer::CopyOf("abc")));
  const absl::Status failed = co_await file->WriteAt(200'000, Buffer::CopyOf("x"));
  EXPECT_EQ(CodeOf(failed), ErrorCode::kIoError) << failed;
  EXPECT_EQ(EffectOf(failed), Effect::kUnknown);
  EXPECT_NE(failed.message().find(ToAbsl(directory + "/f")), absl::string_view::npos) << failed;
  co_await ExpectPoisoned(env, file.get(), directory + "/f");
}
TEST_P(RealFileSystemTest, AFailedWritePoisonsTheFile) { Run(FailedWrite); }

Task<void> ShortWrite(Env env, std::string directory) {
  const FileSizeLimit limit(100'000);
  STELE_CO_ASSIGN(const std::unique_ptr<File> file,
                  co_await env.files->Open(directory + "/f", kNewFile));
  STELE_CO_ASSERT_OK(co_await file->WriteAt(0, Buffer::CopyOf("abc")));
  const absl::Status failed =
      co_await file->WriteAt(90'000, Buffer::CopyOf(std::string(20'000, 'x')));
  EXPECT_EQ(CodeOf(failed), ErrorCode::kDiskFull) << failed;
  EXPECT_EQ(EffectOf(failed), Effect::kUnknown);
  co_await ExpectPoisoned(env, file.get(), directory + "/f");
}
TEST_P(RealFileSystemTest, AShortWriteIsAnErrorAndIsNotContinued) { Run(ShortWrite); }

Task<void> WriteNothing(File* file) {
  const absl::Status ignored = co_await file->WriteAt(200'000, Buffer::CopyOf("x"));
}

Task<void> AbandonedFailure(Env env, std::string directory) {
  const FileSizeLimit limit(100'000);
  STELE_CO_ASSIGN(const std::unique_ptr<File> file,
                  co_await env.files->Open(directory + "/f", kNewFile));
  {
    TaskScope scope(env.executor);
    scope.Spawn(WriteNothing(file.get()));
  }
  // However long the abandoned write takes, at last it poisons the file.
  absl::Status status;
  while (status.ok()) {
    co_await SleepFor(env.executor, env.clock, absl::Microseconds(100));
    status = co_await file->Sync();
  }
  EXPECT_EQ(CodeOf(status), ErrorCode::kIoError);
}
TEST_P(RealFileSystemTest, AFailedWritePoisonsTheFileAlsoWhenNobodyWaits) { Run(AbandonedFailure); }

Task<void> OpenDirectory(Env env, std::string directory) {
  STELE_CO_EXPECT_CODE(ErrorCode::kIoError, co_await env.files->Open(directory, OpenOptions{}));
}
TEST_P(RealFileSystemTest, ADirectoryIsNoFile) { Run(OpenDirectory); }

Task<void> WildRanges(Env env, std::string directory) {
  STELE_CO_ASSIGN(const std::unique_ptr<File> file,
                  co_await env.files->Open(directory + "/f", kNewFile));
  STELE_CO_EXPECT_CODE(ErrorCode::kInvalidArgument, co_await file->ReadAt(UINT64_MAX, 1));
  STELE_CO_EXPECT_CODE(ErrorCode::kInvalidArgument, co_await file->ReadAt(0, SIZE_MAX));
  STELE_CO_EXPECT_CODE(ErrorCode::kInvalidArgument,
                       co_await file->WriteAt(UINT64_MAX, Buffer::CopyOf("x")));
  STELE_CO_EXPECT_OK(co_await file->WriteAt(0, Buffer::CopyOf("x")));
}
TEST_P(RealFileSystemTest, OffsetsThatNoFileHasAreRefused) { Run(WildRanges); }

Task<void> WriteMegabytes(File* file, int count) {
  for (int i = 0; i < count; ++i) {
    STELE_CO_EXPECT_OK(
        co_await file->WriteAt(uint64_t(i) << 20, Buffer::FromString(std::string(1 << 20, 'x'))));
    STELE_CO_EXPECT_OK(co_await file->ReadAt(uint64_t(i) << 19, 1 << 20));
    STELE_CO_EXPECT_OK(co_await file->Sync());
  }
}

Task<void> OpenForTest(Env env, std::string path, std::unique_ptr<File>* file) {
  STELE_CO_ASSIGN(*file, co_await env.files->Open(path, kNewFile));
}

TEST(RealFileSystemShutdownTest, AShardEndsWithOperationsInFlight) {
  for (const FileBackend backend : {FileBackend::kUring, FileBackend::kThreads}) {
    RealSeamWorld scratch(backend, testing::TempDir());
    for (int round = 0; round < 5; ++round) {
      Shard shard({.file_backend = backend});
      std::unique_ptr<File> file;
      shard.RunUntil(
          OpenForTest(shard.env(), StrCat(scratch.scratch_directory(), "/f", round), &file));
      TaskScope scope(shard.executor());
      std::atomic<bool> begun = false;
      shard.executor()->Post([&] {
        for (int i = 0; i < 8; ++i) scope.Spawn(WriteMegabytes(file.get(), 100));
        shard.executor()->PostAtTurnEnd([&] {
          begun = true;
          begun.notify_one();
        });
      });
      shard.Start();
      begun.wait(false);
      if (round % 2 == 0) shard.Stop();
      if (round % 2 == 1) shard.executor()->PostFromAnyThread([&] { shard.RequestStop(); });
      shard.Stop();
    }
  }
}

Task<void> AbandonOperations(Env env, std::string path) {
  std::unique_ptr<File> file;
  co_await OpenForTest(env, path, &file);
  STELE_CO_ASSERT(file != nullptr);
  TaskScope scope(env.executor);
  for (int i = 0; i < 8; ++i) scope.Spawn(WriteMegabytes(file.get(), 2));
  // One turn, so that the engine has them.
  co_await SleepFor(env.executor, env.clock, absl::ZeroDuration());
}

TEST(RealFileSystemShutdownTest, AShardThatNeverHadAThreadEndsWithOperationsInFlight) {
  for (const FileBackend backend : {FileBackend::kUring, FileBackend::kThreads}) {
    RealSeamWorld scratch(backend, testing::TempDir());
    for (int round = 0; round < 10; ++round) {
      Shard shard({.file_backend = backend});
      shard.RunUntil(
          AbandonOperations(shard.env(), StrCat(scratch.scratch_directory(), "/f", round)));
    }
  }
}

TEST(RealFileSystemShutdownTest, ASuspendedTaskMayOutliveItsShard) {
  for (const FileBackend backend : {FileBackend::kUring, FileBackend::kThreads}) {
    RealSeamWorld scratch(backend, testing::TempDir());
    auto shard = std::make_unique<Shard>(ShardOptions{.file_backend = backend});
    std::unique_ptr<File> file;
    shard->RunUntil(OpenForTest(shard->env(), scratch.scratch_directory() + "/f", &file));
    TaskScope scope(shard->executor());
    // More than there are threads, so that some have not begun.
    for (int i = 0; i < 20; ++i) scope.Spawn(WriteMegabytes(file.get(), 2));
    file.reset();
    shard.reset();
  }
}

Task<void> AbandonNames(Env env, std::string directory) {
  STELE_CO_EXPECT_OK(co_await env.files->MakeDirectories(directory + "/x"));
  for (int i = 0; i < 50; ++i) {
    TaskScope scope(env.executor);
    std::unique_ptr<File> file;
    scope.Spawn(OpenForTest(env, StrCat(directory, "/f", i), &file));
  }
}

TEST(RealFileSystemShutdownTest, AShardEndsWithNamesInFlight) {
  RealSeamWorld world(FileBackend::kProbe, testing::TempDir());
  world.RunToEnd(AbandonNames(world.env(), world.scratch_directory()));
}

}  // namespace
}  // namespace real
}  // namespace stele
