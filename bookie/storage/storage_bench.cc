// What putting and reading cost in CPU, without a disk.
//   bazel run --config=release //bookie/storage:storage_bench
// On a real disk: //tools/bench:storage_disk_bench.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <benchmark/benchmark.h>

#include "bookie/storage/memtable.h"
#include "bookie/storage/storage_rig.h"
#include "common/base/check.h"
#include "common/base/endian.h"

namespace stele::bookie {
namespace {

constexpr size_t kPayloadBytes = 1024 - 32;
constexpr uint64_t kGenerationBytes = 64 << 20;

// Entries as a connection delivers them: views into blocks of 256 KiB.
class Arrivals {
 public:
  explicit Arrivals(int64_t ledgers) : ledgers_(ledgers) {}
  Buffer Next(LedgerId* ledger, EntryId* entry) {
    if (block_left_ < 1024) {
      block_ = MutableBuffer(256 << 10);
      block_left_ = block_.size();
    }
    *ledger = LedgerId(count_ % ledgers_);
    *entry = EntryId(count_ / ledgers_);
    ++count_;
    const size_t offset = block_.size() - block_left_;
    StoreBigEndian(block_.data() + offset, ledger->value());
    StoreBigEndian(block_.data() + offset + 8, entry->value());
    StoreBigEndian(block_.data() + offset + 16, entry->value() - 1);
    block_left_ -= 1024;
    return block_.Share(offset, 1024);
  }

 private:
  int64_t ledgers_;
  int64_t count_ = 0;
  MutableBuffer block_;
  size_t block_left_ = 0;
};

// Put of 1 KiB, the making of the packet included (see the next one for its share).
void BM_Put(benchmark::State& state) {
  StorageRig rig;
  rig.options.memtable_max_bytes = kGenerationBytes;
  STELE_CHECK(rig.Open().ok());
  const int64_t ledgers = state.range(0);
  for (int64_t i = 0; i < ledgers; ++i) rig.storage->CreateLedger(LedgerId(i), wire::MasterKey{});
  Arrivals arrivals(ledgers);
  bool full = false;
  rig.storage->SetFlushListener([&] { full = true; });
  for (auto _ : state) {
    LedgerId ledger;
    EntryId entry;
    Buffer body = arrivals.Next(&ledger, &entry);
    STELE_CHECK(rig.storage->Put(ledger, entry, std::move(body)) == PutResult::kStored);
    if (full) {
      state.PauseTiming();
      STELE_CHECK(rig.Flush().ok());
      full = false;
      state.ResumeTiming();
    }
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_Put)->Arg(1)->Arg(100)->Arg(10'000);

void BM_ArrivalAlone(benchmark::State& state) {
  Arrivals arrivals(1);
  for (auto _ : state) {
    LedgerId ledger;
    EntryId entry;
    benchmark::DoNotOptimize(arrivals.Next(&ledger, &entry));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_ArrivalAlone);

// The two ways to keep an entry until the flush: a copy in a chunk, or a view that pins the block.
void BM_KeepCopies(benchmark::State& state) {
  Arrivals arrivals(1);
  MemtableChunks spare;
  auto memtable = std::make_unique<Memtable>(&spare);
  Memtable::Ledger* entries = memtable->FindOrMake(LedgerId(0));
  for (auto _ : state) {
    LedgerId ledger;
    EntryId entry;
    const Buffer body = arrivals.Next(&ledger, &entry);
    memtable->Add(entries, entry, body.view());
    if (memtable->bytes() >= kGenerationBytes) {
      memtable = nullptr;  // gives its chunks back
      memtable = std::make_unique<Memtable>(&spare);
      entries = memtable->FindOrMake(LedgerId(0));
    }
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_KeepCopies);

void BM_KeepViews(benchmark::State& state) {
  Arrivals arrivals(1);
  std::vector<Buffer> kept;
  for (auto _ : state) {
    LedgerId ledger;
    EntryId entry;
    kept.push_back(arrivals.Next(&ledger, &entry));
    if (kept.size() >= kGenerationBytes / 1024) kept = {};
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_KeepViews);

Task<absl::Status> ReadMany(LedgerStorage* storage, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const auto body = co_await storage->Read(LedgerId(0), EntryId(i));
    if (!body.ok()) co_return body.status();
    benchmark::DoNotOptimize(body->size());
  }
  co_return absl::OkStatus();
}

void BM_ReadFromMemtable(benchmark::State& state) {
  constexpr int64_t kEntries = 1000;
  StorageRig rig;
  STELE_CHECK(rig.Open().ok());
  rig.storage->CreateLedger(LedgerId(0), wire::MasterKey{});
  for (int64_t i = 0; i < kEntries; ++i) {
    rig.MustPut(LedgerId(0), EntryId(i), std::string(kPayloadBytes, 'x'));
  }
  while (state.KeepRunningBatch(kEntries)) {
    STELE_CHECK(rig.Await(ReadMany(rig.storage, kEntries)).ok());
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(BM_ReadFromMemtable);

}  // namespace
}  // namespace stele::bookie
