#include <benchmark/benchmark.h>

#include "simulation/seam_workload.h"

namespace stele::simulation {
namespace {

// Steps per second of the whole simulator: the target is 300,000 with the product's code on top.
void BM_SeamWorkload(benchmark::State& state) {
  using Faults = SeamWorkloadOptions::Faults;
  SeamWorkload workload(1, {.faults = state.range(0) == 0 ? Faults::kNone : Faults::kMany,
                            .think_time = absl::ZeroDuration()});
  for (auto _ : state) {
    if (!workload.Run(absl::Milliseconds(100)).ok()) state.SkipWithError("stopped");
  }
  state.SetItemsProcessed(static_cast<int64_t>(workload.world().scheduler().steps()));
  state.counters["replies"] =
      benchmark::Counter(static_cast<double>(workload.replies()), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_SeamWorkload)->Arg(0)->Arg(1)->MinTime(2);

}  // namespace
}  // namespace stele::simulation
