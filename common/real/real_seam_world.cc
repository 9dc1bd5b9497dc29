#include "common/real/real_seam_world.h"

#include <cstdlib>
#include <filesystem>
#include <utility>

#include <gtest/gtest.h>

#include "common/base/check.h"
#include "common/base/strings.h"

namespace stele::real {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(20);

std::string TestTemporaryDirectory() {
  const char* const directory = std::getenv("TEST_TMPDIR");
  return directory != nullptr ? directory : testing::TempDir();
}

Task<void> SetAtEnd(Task<void> task, bool* ended) {
  co_await std::move(task);
  *ended = true;
}

}  // namespace

RealSeamWorld::RealSeamWorld(FileBackend backend, const std::string& scratch_parent)
    : shard_({.file_backend = backend}) {
  std::string name = StrCat(scratch_parent, "/scratch.XXXXXX");
  STELE_CHECK(mkdtemp(name.data()) != nullptr);
  scratch_ = name;
}

RealSeamWorld::~RealSeamWorld() {
  std::error_code ignored;
  std::filesystem::remove_all(scratch_, ignored);
}

void RealSeamWorld::RunToEnd(Task<void> task) {
  bool ended = false;
  bool timed_out = false;
  TaskScope scope(shard_.executor());
  const auto timer =
      env().clock->CallAt(env().clock->Now() + kTimeout, [&timed_out] { timed_out = true; });
  shard_.executor()->Post([&scope, root = SetAtEnd(std::move(task), &ended)]() mutable {
    scope.Spawn(std::move(root));
  });
  shard_.loop()->RunUntil([&] { return ended || timed_out; });
  if (!ended) ADD_FAILURE() << "the task did not end within " << kTimeout;
}

std::unique_ptr<SeamWorld> MakeUringWorld() {
  return std::make_unique<RealSeamWorld>(FileBackend::kUring, TestTemporaryDirectory());
}

std::unique_ptr<SeamWorld> MakeThreadsWorld() {
  return std::make_unique<RealSeamWorld>(FileBackend::kThreads, TestTemporaryDirectory());
}

std::unique_ptr<SeamWorld> MakeTmpfsWorld() {
  return std::make_unique<RealSeamWorld>(FileBackend::kProbe, "/dev/shm");
}

}  // namespace stele::real
