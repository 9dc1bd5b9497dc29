#include <benchmark/benchmark.h>

#include "common/seams/clock.h"
#include "simulation/scheduler.h"
#include "simulation/sim_process.h"

namespace stele::simulation {
namespace {

Task<void> SleepInALoop(SimProcess* process) {
  for (;;) {
    co_await SleepFor(process->executor(), process->clock(),
                      absl::Microseconds(process->random()->Below(1'000)));
  }
}

// Steps per second with `range` sleeping tasks: each sleep is two steps, one timer and two
// allocations.
void BM_Steps(benchmark::State& state) {
  Scheduler scheduler({.seed = 1, .step_limit = UINT64_MAX});
  for (int i = 0; i < 6; ++i) {
    SimProcess* process = scheduler.AddProcess(std::string(1, static_cast<char>('a' + i)));
    for (int task = 0; task < state.range(0); ++task) process->Spawn(SleepInALoop(process));
  }
  for (auto _ : state) {
    if (!scheduler.RunFor(absl::Milliseconds(1)).ok()) state.SkipWithError("stopped");
  }
  state.SetItemsProcessed(static_cast<int64_t>(scheduler.steps()));
}
BENCHMARK(BM_Steps)->Arg(10)->Arg(100)->Arg(1'000);

}  // namespace
}  // namespace stele::simulation
