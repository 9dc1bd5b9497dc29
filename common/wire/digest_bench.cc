// What digests cost: EntryHead is a client's work per entry, VerifyEntry a reader's.
//   bazel run --config=release //common/wire:digest_bench
#include <string>

#include <benchmark/benchmark.h>
#include <zlib.h>

#include "common/wire/entry_packet.h"

namespace stele::wire {
namespace {

constexpr EntryHeader kHeader = {.ledger = LedgerId(1),
                                 .entry = EntryId(2),
                                 .last_add_confirmed = EntryId(1),
                                 .length_bytes = 3};

void MakeHead(benchmark::State& state, DigestType type) {
  const std::string payload(static_cast<size_t>(state.range(0)), 'x');
  const Digester digester(type, "password");
  for (auto _ : state) {
    EntryHead head(kHeader, payload, digester);
    benchmark::DoNotOptimize(head);
  }
}
BENCHMARK_CAPTURE(MakeHead, crc32, DigestType::kCrc32)->Arg(64)->Arg(1024)->Arg(16384);
BENCHMARK_CAPTURE(MakeHead, crc32c, DigestType::kCrc32c)->Arg(64)->Arg(1024)->Arg(16384);
BENCHMARK_CAPTURE(MakeHead, mac, DigestType::kMac)->Arg(64)->Arg(1024)->Arg(16384);
BENCHMARK_CAPTURE(MakeHead, dummy, DigestType::kDummy)->Arg(1024);

void Verify(benchmark::State& state, DigestType type) {
  const Digester digester(type, "password");
  const Buffer packet = MakeEntryPacket(kHeader, std::string(1024, 'x'), digester);
  for (auto _ : state) {
    auto entry = VerifyEntry(packet, digester, kHeader.ledger, kHeader.entry);
    benchmark::DoNotOptimize(entry);
  }
}
BENCHMARK_CAPTURE(Verify, crc32, DigestType::kCrc32);
BENCHMARK_CAPTURE(Verify, crc32c, DigestType::kCrc32c);
BENCHMARK_CAPTURE(Verify, mac, DigestType::kMac);

// The other library that could do CRC32.
void ZlibCrc32(benchmark::State& state) {
  const std::string payload(static_cast<size_t>(state.range(0)), 'x');
  for (auto _ : state) {
    auto crc = crc32(0, reinterpret_cast<const Bytef*>(payload.data()), payload.size());
    benchmark::DoNotOptimize(crc);
  }
}
BENCHMARK(ZlibCrc32)->Arg(64)->Arg(1024)->Arg(16384);

}  // namespace
}  // namespace stele::wire
