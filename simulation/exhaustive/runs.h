// The runs of a script: one for each call through a seam and each way to strike it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "simulation/exhaustive/scripts.h"

namespace stele::simulation {

struct StruckRun {
  uint64_t call = 0;
  Strike strike = Strike::kFail;
};

struct ScriptRuns {
  std::vector<CallSeen> calls;  // of the undisturbed run
  std::vector<StruckRun> runs;
  std::vector<std::string> faults;  // of the undisturbed run
};

ScriptRuns RunsOf(const Script& script, uint64_t seed);

struct RunResult {
  std::vector<std::string> faults;
  // What was struck; empty when the call did not come, which equal seeds rule out.
  std::string struck;
};
RunResult PlayRun(const Script& script, uint64_t seed, StruckRun run);

}  // namespace stele::simulation
