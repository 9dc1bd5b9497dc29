#include "simulation/exhaustive/runs.h"

#include <utility>

namespace stele::simulation {

ScriptRuns RunsOf(const Script& script, uint64_t seed) {
  Injector injector;
  injector.Record();
  ScriptRuns result;
  result.faults = Play(script, seed, &injector);
  result.calls = injector.seen();
  for (uint64_t call = 0; call < result.calls.size(); ++call) {
    for (const Strike strike : kAllStrikes) {
      if (Applies(strike, result.calls[call])) result.runs.push_back({call, strike});
    }
  }
  return result;
}

RunResult PlayRun(const Script& script, uint64_t seed, StruckRun run) {
  Injector injector;
  injector.Arm(run.call, run.strike);
  RunResult result;
  result.faults = Play(script, seed, &injector);
  if (injector.struck().has_value()) {
    result.struck = ToString(*injector.struck());
  } else {
    result.faults.push_back("the call did not come: the run is not deterministic");
  }
  return result;
}

}  // namespace stele::simulation
