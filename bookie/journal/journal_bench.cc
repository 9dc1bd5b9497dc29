// What an append costs in CPU, on a disk that takes no time: the copy, the checksum, the batching.
//   bazel run --config=release //bookie/journal:journal_bench
// On a real disk: //tools/bench:journal_disk_bench.
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "bookie/journal/batch_buffer.h"
#include "bookie/journal/journal.h"
#include "common/async/completion.h"
#include "common/async/task_scope.h"
#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/base/errors.h"

namespace stele::bookie {
namespace {

class QueueExecutor : public Executor {
 public:
  void Post(Job job) override { jobs_.push_back(std::move(job)); }
  void PostFromAnyThread(Job job) override { Post(std::move(job)); }
  void PostAtTurnEnd(Job job) override { at_end_.push_back(std::move(job)); }
  bool IsCurrent() const override { return true; }
  // One turn; false when there is nothing to do.
  bool RunTurn() {
    if (jobs_.empty()) std::swap(jobs_, at_end_);
    if (jobs_.empty()) return false;
    for (size_t left = jobs_.size(); left > 0; --left) {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      std::move(job)();
    }
    return true;
  }

 private:
  std::deque<Job> jobs_;
  std::deque<Job> at_end_;
};

class NoTimer : public Timer {};

// Time stands still: no claim is ever written.
class StillClock : public Clock {
 public:
  MonotonicTime Now() const override { return {}; }
  absl::Time WallNow() const override { return absl::FromUnixSeconds(1'700'000'000); }
  std::unique_ptr<Timer> CallAt(MonotonicTime, Job) override { return std::make_unique<NoTimer>(); }
};

class OneRandom : public Random {
 public:
  uint64_t Below(uint64_t) override { return 0; }
  std::unique_ptr<Random> Fork(std::string_view) const override {
    return std::make_unique<OneRandom>();
  }
};

// Completes in the next turn, as a device would at best.
Task<absl::Status> Done(Executor* executor) {
  Completion<bool> done(executor);
  executor->Post([completer = done.GetCompleter()]() mutable { completer.Set(true); });
  co_await done;
  co_return absl::OkStatus();
}

class NullFile : public File {
 public:
  explicit NullFile(Executor* executor) : executor_(executor) {}
  Task<absl::StatusOr<Buffer>> ReadAt(uint64_t, size_t) override { co_return Buffer(); }
  Task<absl::Status> WriteAt(uint64_t, Buffer) override { return Done(executor_); }
  Task<absl::Status> Sync() override { return Done(executor_); }
  Task<absl::Status> Truncate(uint64_t) override { return Done(executor_); }
  Task<absl::StatusOr<uint64_t>> Size() override { co_return 0; }

 private:
  Executor* executor_;
};

class NullFileSystem : public FileSystem {
 public:
  explicit NullFileSystem(Executor* executor) : executor_(executor) {}
  Task<absl::StatusOr<std::unique_ptr<File>>> Open(std::string, OpenOptions) override {
    co_return std::make_unique<NullFile>(executor_);
  }
  Task<absl::StatusOr<FileInfo>> Stat(std::string) override { co_return FileInfo(); }
  Task<absl::StatusOr<std::vector<std::string>>> List(std::string) override {
    co_return std::vector<std::string>();
  }
  Task<absl::Status> MakeDirectories(std::string) override { return Done(executor_); }
  Task<absl::Status> Rename(std::string, std::string) override { return Done(executor_); }
  Task<absl::Status> Link(std::string, std::string) override { return Done(executor_); }
  Task<absl::Status> Remove(std::string) override { return Done(executor_); }
  Task<absl::Status> SyncDirectory(std::string) override { return Done(executor_); }
  Task<absl::StatusOr<DiskSpace>> Space(std::string) override { co_return DiskSpace(); }
  Task<absl::StatusOr<std::unique_ptr<DirectoryLock>>> LockDirectory(std::string) override {
    co_return MakeError(ErrorCode::kUnsupported, "");
  }

 private:
  Executor* executor_;
};

class CountingListener : public JournalListener {
 public:
  void OnDurable(uint64_t sequence) override { durable = sequence; }
  void OnRoom() override {}
  void OnFailed(absl::Status) override { STELE_CHECK(false); }
  uint64_t durable = 0;
};

Task<void> OpenInto(Env env, JournalListener* listener, std::unique_ptr<Journal>* to) {
  auto opened = co_await OpenJournal(env, {.directory = "/null"}, listener);
  STELE_CHECK(opened.ok());
  *to = *std::move(opened);
}

// Bodies that lie in read blocks, one behind the other, as the network leaves them.
class Bodies {
 public:
  explicit Bodies(size_t size) : size_(size) {
    constexpr size_t kBlockBytes = 64 << 20;
    MutableBuffer block(kBlockBytes);
    std::memset(block.data(), 'x', block.size());
    block_ = std::move(block).Freeze();
  }
  Buffer Next() {
    if (at_ + size_ > block_.size()) at_ = 0;
    Buffer body = block_.Slice(at_, size_);
    at_ += size_;
    return body;
  }

 private:
  size_t size_;
  size_t at_ = 0;
  Buffer block_;
};

// Arguments: bytes of a body, appends per turn.
void BM_Append(benchmark::State& state) {
  QueueExecutor executor;
  StillClock clock;
  OneRandom random;
  NullFileSystem files(&executor);
  const Env env{.executor = &executor, .clock = &clock, .random = &random, .files = &files};
  CountingListener listener;
  std::unique_ptr<Journal> journal;
  TaskScope scope(&executor);
  scope.Spawn(OpenInto(env, &listener, &journal));
  while (journal == nullptr) STELE_CHECK(executor.RunTurn());
  Bodies bodies(static_cast<size_t>(state.range(0)));
  const int64_t per_turn = state.range(1);
  uint64_t appended = 0;
  int64_t in_turn = 0;
  for (auto _ : state) {
    appended = journal->Append(bodies.Next());
    if (++in_turn < per_turn) continue;
    in_turn = 0;
    while (listener.durable < appended) STELE_CHECK(executor.RunTurn());
  }
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_Append)
    ->Args({1024, 1})
    ->Args({1024, 16})
    ->Args({1024, 128})
    ->Args({1024, 512})
    ->Args({200, 2048})
    ->Args({10240, 64});

// The parts: one batch of records, filled and sealed.
void BM_FillAndSealBatch(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  BatchBuffer batch((1 << 20) - 80);
  Bodies bodies(size);
  int64_t records = 0;
  for (auto _ : state) {
    batch.Clear();
    for (Buffer body = bodies.Next(); batch.Fits(body.view()); body = bodies.Next()) {
      batch.Add(body.view());
      ++records;
    }
    benchmark::DoNotOptimize(batch.Seal({}));
  }
  state.SetItemsProcessed(records);
}
BENCHMARK(BM_FillAndSealBatch)->Arg(200)->Arg(1024)->Arg(10240);

// The copy and the checksum, record by record, while the bytes are in the cache.
void BM_CopyAndChecksumEachRecord(benchmark::State& state) {
  const auto size = static_cast<size_t>(state.range(0));
  MutableBuffer block(1 << 20, 4096);
  Bodies bodies(size);
  int64_t records = 0;
  for (auto _ : state) {
    uint32_t crc = 0;
    for (size_t at = 0; at + size + 4 < block.size(); at += size + 4) {
      const Buffer body = bodies.Next();
      std::memcpy(block.data() + at + 4, body.data(), size);
      crc = ExtendCrc32c(crc, {block.data() + at, size + 4});
      ++records;
    }
    benchmark::DoNotOptimize(crc);
  }
  state.SetItemsProcessed(records);
}
BENCHMARK(BM_CopyAndChecksumEachRecord)->Arg(200)->Arg(1024)->Arg(10240);

}  // namespace
}  // namespace stele::bookie
