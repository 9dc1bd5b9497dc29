// The journal on a real disk (common/real), beside what the disk itself does in the same run:
//   bazel run --config=release //tools/bench:journal_disk_bench
// STELE_BENCH_DIR names the directory (default /tmp); it should be on the disk that is meant.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include "bookie/journal/journal.h"
#include "common/async/notification.h"
#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/strings.h"
#include "common/observe/histogram.h"
#include "common/real/shard.h"

namespace stele::bookie {
namespace {

constexpr size_t kBlock = 4096;
constexpr size_t kRecordBytes = 1024;

std::string ScratchPath(std::string_view name) {
  const char* const directory = std::getenv("STELE_BENCH_DIR");
  return StrCat(directory != nullptr ? directory : "/tmp", "/stele-journal-bench.", getpid(), ".",
                name);
}

void Report(benchmark::State& state, const observe::Histogram& latencies) {
  state.counters["p50_us"] = static_cast<double>(latencies.Percentile(5000)) / 1000;
  state.counters["p99_us"] = static_cast<double>(latencies.Percentile(9900)) / 1000;
  state.counters["p999_us"] = static_cast<double>(latencies.Percentile(9990)) / 1000;
}

// One block at a time over a file that was written before, as nobody can do faster.
void BM_RawOverwrite(benchmark::State& state) {
  constexpr size_t kFileBytes = 64 << 20;
  const std::string path = ScratchPath("raw");
  const int fd = open(path.c_str(), O_CREAT | O_RDWR | O_TRUNC | O_DIRECT | O_DSYNC, 0600);
  STELE_CHECK(fd >= 0);
  MutableBuffer block(1 << 20, kBlock);
  std::memset(block.data(), 0, block.size());
  for (size_t at = 0; at < kFileBytes; at += block.size()) {
    STELE_CHECK(pwrite(fd, block.data(), block.size(), static_cast<off_t>(at)) ==
                static_cast<ssize_t>(block.size()));
  }
  real::Shard shard;
  const Clock* const clock = shard.env().clock;
  observe::Histogram latencies;
  size_t at = 0;
  for (auto _ : state) {
    const MonotonicTime start = clock->Now();
    STELE_CHECK(pwrite(fd, block.data(), kBlock, static_cast<off_t>(at)) ==
                static_cast<ssize_t>(kBlock));
    latencies.Record(absl::ToInt64Nanoseconds(clock->Now() - start));
    at = (at + kBlock) % kFileBytes;
  }
  Report(state, latencies);
  close(fd);
  unlink(path.c_str());
}
BENCHMARK(BM_RawOverwrite)->UseRealTime()->MinTime(2);

class Waiter : public JournalListener {
 public:
  explicit Waiter(Executor* executor) : changed(executor) {}
  void OnDurable(uint64_t sequence) override {
    durable = sequence;
    changed.NotifyAll();
  }
  void OnRoom() override {}
  void OnFailed(absl::Status why) override {
    benchmark::DoNotOptimize(why);
    STELE_CHECK(false);
  }
  uint64_t durable = 0;
  Notification changed;
};

Buffer Record() {
  std::string body;
  AppendBigEndian<int64_t>(body, 7);
  AppendBigEndian<int64_t>(body, 0);
  body.resize(kRecordBytes, 'x');
  return Buffer::FromString(std::move(body));
}

Task<void> RemoveAll(FileSystem* files, std::string directory) {
  const auto names = co_await files->List(directory);
  STELE_CHECK(names.ok());
  for (const std::string& name : *names) {
    STELE_CHECK((co_await files->Remove(StrCat(directory, "/", name))).ok());
  }
  STELE_CHECK((co_await files->Remove(directory)).ok());
}

// Keeps `outstanding` records on the way.
Task<void> Drive(benchmark::State* state, Env env, int64_t outstanding) {
  const std::string directory = ScratchPath("journal");
  STELE_CHECK((co_await env.files->MakeDirectories(directory)).ok());
  Waiter waiter(env.executor);
  const MonotonicTime opening = env.clock->Now();
  auto opened = co_await OpenJournal(env, {.directory = directory}, &waiter);
  STELE_CHECK(opened.ok());
  state->counters["open_ms"] = absl::ToDoubleMilliseconds(env.clock->Now() - opening);
  const std::unique_ptr<Journal> journal = *std::move(opened);
  const Buffer record = Record();
  observe::Histogram latencies;
  std::vector<MonotonicTime> starts(static_cast<size_t>(outstanding));
  uint64_t appended = 0;
  uint64_t seen = 0;
  for (auto _ : *state) {
    starts[appended % starts.size()] = env.clock->Now();
    appended = journal->Append(record);
    while (appended - waiter.durable >= starts.size()) co_await waiter.changed.Wait();
    if (waiter.durable == seen) continue;
    const MonotonicTime now = env.clock->Now();
    for (; seen < waiter.durable; ++seen) {
      latencies.Record(absl::ToInt64Nanoseconds(now - starts[seen % starts.size()]));
    }
    if (appended % (1 << 18) == 0) {
      STELE_CHECK((co_await journal->Trim(journal->DurableMark())).ok());
    }
  }
  Report(*state, latencies);
  STELE_CHECK((co_await journal->Close()).ok());
  co_await RemoveAll(env.files, directory);
}

// Arguments: records on the way, and whether writes go through threads instead of io_uring.
void BM_JournalAppend(benchmark::State& state) {
  const bool uses_threads = state.range(1) != 0;
  state.SetLabel(uses_threads ? "threads" : "io_uring");
  real::Shard shard(
      {.file_backend = uses_threads ? real::FileBackend::kThreads : real::FileBackend::kProbe});
  shard.RunUntil(Drive(&state, shard.env(), state.range(0)));
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(kRecordBytes));
}
BENCHMARK(BM_JournalAppend)
    ->ArgsProduct({{1, 16, 256, 4096}, {0, 1}})
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->MinTime(2);

}  // namespace
}  // namespace stele::bookie
