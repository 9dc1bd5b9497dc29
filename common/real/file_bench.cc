// What the file seam costs over plain system calls, in one run:
//   bazel run --config=release //common/real:file_bench
// STELE_BENCH_DIR names the directory (default /tmp); it should be on the disk that is meant.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/real/shard.h"

namespace stele::real {
namespace {

constexpr size_t kBlock = 4096;
constexpr size_t kFileSize = 16 << 20;
constexpr size_t kBlocks = kFileSize / kBlock;

// A file of zeroes, written and synced, as the journal makes its files.
class BenchFile {
 public:
  BenchFile() {
    const char* const directory = std::getenv("STELE_BENCH_DIR");
    path_ = StrCat(directory != nullptr ? directory : "/tmp", "/stele-file-bench.", getpid());
    const int fd = open(path_.c_str(), O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0600);
    STELE_CHECK(fd >= 0);
    const std::string zeroes(1 << 20, '\0');
    for (size_t done = 0; done < kFileSize; done += zeroes.size()) {
      STELE_CHECK(write(fd, zeroes.data(), zeroes.size()) == static_cast<ssize_t>(zeroes.size()));
    }
    STELE_CHECK(fsync(fd) == 0);
    close(fd);
  }
  ~BenchFile() { unlink(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

Buffer Block(size_t size) {
  MutableBuffer block(size, kDirectAlignmentBytes);
  std::memset(block.data(), 'x', size);
  return std::move(block).Freeze();
}

Task<std::unique_ptr<File>> OpenForBench(Env env, std::string path, OpenOptions options) {
  auto file = co_await env.files->Open(path, options);
  STELE_CHECK(file.ok());
  co_return *std::move(file);
}

constexpr OpenOptions kDirect{.access = OpenOptions::Access::kReadWrite,
                              .sync = OpenOptions::Sync::kEachWrite};

void BM_RawDsyncOverwrite(benchmark::State& state) {
  const BenchFile file;
  const int fd = open(file.path().c_str(), O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
  STELE_CHECK(fd >= 0);
  const size_t size = static_cast<size_t>(state.range(0));
  const Buffer block = Block(size);
  size_t i = 0;
  for (auto _ : state) {
    const off_t offset = static_cast<off_t>(i++ * size % kFileSize);
    STELE_CHECK(pwrite(fd, block.data(), size, offset) == static_cast<ssize_t>(size));
  }
  close(fd);
}

// Writes until the benchmark has measured enough.
Task<void> Overwrite(benchmark::State* state, File* file, Buffer block) {
  size_t i = 0;
  for (auto _ : *state) {
    const absl::Status status =
        co_await file->WriteAt(i++ * block.size() % kFileSize, Buffer(block));
    STELE_CHECK(status.ok());
  }
}

void SeamDsyncOverwrite(benchmark::State& state, FileBackend backend) {
  const BenchFile bench_file;
  Shard shard({.file_backend = backend});
  const std::unique_ptr<File> file =
      shard.RunUntil(OpenForBench(shard.env(), bench_file.path(), kDirect));
  shard.RunUntil(Overwrite(&state, file.get(), Block(static_cast<size_t>(state.range(0)))));
}

void BM_RawCachedRead(benchmark::State& state) {
  const BenchFile file;
  const int fd = open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
  STELE_CHECK(fd >= 0);
  size_t i = 0;
  for (auto _ : state) {
    MutableBuffer into(kBlock);
    const off_t offset = static_cast<off_t>(i++ * 7 % kBlocks * kBlock);
    STELE_CHECK(pread(fd, into.data(), kBlock, offset) == static_cast<ssize_t>(kBlock));
  }
  close(fd);
}

Task<void> ReadOne(File* file, size_t block) {
  const absl::StatusOr<Buffer> bytes = co_await file->ReadAt(block % kBlocks * kBlock, kBlock);
  STELE_CHECK(bytes.ok() && bytes->size() == kBlock);
}

// `at_once` reads are in flight; an iteration is one read.
Task<void> ReadCached(benchmark::State* state, Env env, File* file, int at_once) {
  size_t i = 0;
  while (state->KeepRunningBatch(at_once)) {
    TaskScope scope(env.executor);
    for (int k = 0; k < at_once; ++k) scope.Spawn(ReadOne(file, i++ * 7));
    co_await scope.Join();
  }
}

void SeamCachedRead(benchmark::State& state, FileBackend backend) {
  const BenchFile bench_file;
  Shard shard({.file_backend = backend});
  const std::unique_ptr<File> file =
      shard.RunUntil(OpenForBench(shard.env(), bench_file.path(), OpenOptions{}));
  shard.RunUntil(ReadCached(&state, shard.env(), file.get(), static_cast<int>(state.range(0))));
}

BENCHMARK(BM_RawDsyncOverwrite)->Arg(4096)->Arg(128 << 10)->UseRealTime();
BENCHMARK_CAPTURE(SeamDsyncOverwrite, uring, FileBackend::kUring)
    ->Arg(4096)
    ->Arg(128 << 10)
    ->UseRealTime();
BENCHMARK_CAPTURE(SeamDsyncOverwrite, threads, FileBackend::kThreads)
    ->Arg(4096)
    ->Arg(128 << 10)
    ->UseRealTime();
BENCHMARK(BM_RawCachedRead);
BENCHMARK_CAPTURE(SeamCachedRead, uring, FileBackend::kUring)->Arg(1)->Arg(64);
BENCHMARK_CAPTURE(SeamCachedRead, threads, FileBackend::kThreads)->Arg(1)->Arg(64);

}  // namespace
}  // namespace stele::real
