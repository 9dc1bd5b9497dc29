// Ledger storage on a real disk (common/real): flushes of one generation, and reads of what is in
// the system's page cache.
//   bazel run --config=release //tools/bench:storage_disk_bench
// STELE_BENCH_DIR names the directory (default /tmp); it should be on the disk that is meant.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>
#include <unistd.h>

#include "bookie/storage/ledger_storage.h"
#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/strings.h"
#include "common/real/shard.h"

namespace stele::bookie {
namespace {

constexpr size_t kEntryBytes = 1024;
constexpr int64_t kEntriesPerGeneration = 64 << 10;  // 64 MiB

// A storage in a directory of its own, which goes with it.
class BenchStorage {
 public:
  explicit BenchStorage(IndexFormat format = IndexFormat::kFiles) {
    const char* const parent = std::getenv("STELE_BENCH_DIR");
    directory_ = StrCat(parent != nullptr ? parent : "/tmp", "/stele-storage-bench.", getpid());
    std::filesystem::create_directories(directory_);
    auto opened = shard_.RunUntil(OpenLedgerStorage(
        shard_.env(), {.ledger_directories = {directory_}, .index_format = format}));
    STELE_CHECK(opened.ok());
    storage_ = *std::move(opened);
  }
  ~BenchStorage() {
    storage_ = nullptr;
    std::filesystem::remove_all(directory_);
  }

  // One generation, spread evenly; the ledgers are numbered from `first_ledger`.
  void Fill(int64_t first_ledger, int64_t ledgers, int64_t first_entry) {
    for (int64_t i = 0; i < kEntriesPerGeneration; ++i) {
      const LedgerId ledger(first_ledger + i % ledgers);
      if (storage_->FindLoaded(ledger) == nullptr) {
        storage_->CreateLedger(ledger, wire::MasterKey{});
      }
      const EntryId entry(first_entry + i / ledgers);
      std::string body;
      AppendBigEndian(body, ledger.value());
      AppendBigEndian(body, entry.value());
      AppendBigEndian(body, entry.value() - 1);
      body.resize(kEntryBytes, 'x');
      STELE_CHECK(storage_->Put(ledger, entry, Buffer::FromString(std::move(body))) ==
                  PutResult::kStored);
    }
  }
  void Flush() { STELE_CHECK(shard_.RunUntil(storage_->Flush()).ok()); }

  real::Shard& shard() { return shard_; }
  LedgerStorage* storage() { return storage_.get(); }

 private:
  real::Shard shard_;
  std::string directory_;
  std::unique_ptr<LedgerStorage> storage_;
};

// range(0): ledgers in the generation. range(1): 1 = they are new. range(2): 1 = extents.
void BM_Flush(benchmark::State& state) {
  BenchStorage bench(state.range(2) == 1 ? IndexFormat::kExtents : IndexFormat::kFiles);
  const int64_t ledgers = state.range(0);
  const bool are_new = state.range(1) == 1;
  int64_t round = 0;
  if (!are_new) {
    bench.Fill(0, ledgers, 0);
    bench.Flush();
  }
  for (auto _ : state) {
    state.PauseTiming();
    ++round;
    bench.Fill(are_new ? round * ledgers : 0, ledgers,
               are_new ? 0 : round * (kEntriesPerGeneration / ledgers + 1));
    state.ResumeTiming();
    bench.Flush();
  }
  state.SetBytesProcessed(state.iterations() * kEntriesPerGeneration *
                          static_cast<int64_t>(kEntryBytes));
  state.counters["ledgers/s"] = benchmark::Counter(
      static_cast<double>(state.iterations() * ledgers), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_Flush)
    ->ArgsProduct({{1, 100, 1000, 10'000, 100'000}, {0, 1}, {0, 1}})
    ->Unit(benchmark::kMillisecond)
    ->UseRealTime()
    ->MeasureProcessCPUTime()
    ->Iterations(4);

Task<void> ReadOneLedger(LedgerStorage* storage, LedgerId ledger, int64_t count, int64_t stride) {
  int64_t entry = 0;
  for (int64_t i = 0; i < count; ++i) {
    entry = (entry + stride) % (kEntriesPerGeneration - 1);
    const auto body = co_await storage->Read(ledger, EntryId(entry));
    STELE_CHECK(body.ok());
  }
}

// range(0): distance between one entry and the next that is read.
void BM_ReadFromPageCache(benchmark::State& state) {
  constexpr int64_t kBatch = 1000;
  BenchStorage bench;
  bench.Fill(0, 1, 0);
  bench.Flush();
  while (state.KeepRunningBatch(kBatch)) {
    bench.shard().RunUntil(ReadOneLedger(bench.storage(), LedgerId(0), kBatch, state.range(0)));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_ReadFromPageCache)->Arg(1)->Arg(7919)->UseRealTime()->MeasureProcessCPUTime();

}  // namespace
}  // namespace stele::bookie
