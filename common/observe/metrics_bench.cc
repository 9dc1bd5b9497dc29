// What a measurement costs the shard: recording one latency, and writing them all for a scrape.
#include <benchmark/benchmark.h>

#include "common/base/strings.h"
#include "common/observe/metrics_text.h"
#include "common/observe/summary.h"

namespace stele::observe {
namespace {

MonotonicTime After(int64_t nanoseconds) { return MonotonicTime::FromNanoseconds(nanoseconds); }

void RecordLatency(benchmark::State& state) {
  Latency latency;
  int64_t now = 1'000'000'000;
  for (auto _ : state) {
    now += 3'000;
    latency.Record(true, After(now - 150'000 - now % 400'000), After(now));
  }
}
BENCHMARK(RecordLatency);

// Thirty latencies from 50 us to 50 ms, as of a bookie that was busy.
void WriteText(benchmark::State& state) {
  std::vector<Latency> latencies(30);
  for (Latency& latency : latencies) {
    for (int64_t i = 1; i < 1'000; ++i) latency.Record(true, After(0), After(i * 50'000));
  }
  for (auto _ : state) {
    MetricsText text(After(60'000'000));
    for (size_t i = 0; i < latencies.size(); ++i)
      text.OfLatency(StrCat("op_", i), {}, latencies[i]);
    benchmark::DoNotOptimize(text.ToString());
  }
}
BENCHMARK(WriteText)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace stele::observe
