// One run of the swarm: a scenario on a simulated cluster, in three acts (safety, liveness,
// reckoning), and the verdict.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "simulation/swarm/scenario.h"

namespace stele::simulation {

struct RunOptions {
  // 0: to the end. Else the run stops there, without a verdict.
  uint64_t until_step = 0;
  // Told of each event as it happens.
  std::function<void(std::string_view line)> listener;
};

struct Finding {
  std::string checker;
  std::string text;
};

struct RunResult {
  std::vector<Finding> findings;  // empty: all is well
  uint64_t trace_hash = 0;
  uint64_t steps = 0;
  int64_t virtual_ms = 0;
  uint64_t calls = 0;     // of clients
  uint64_t calls_ok = 0;  //
  uint64_t checks = 0;    // by the checkers of state, beside the history's
  // That took effect, by name; "swarm...": as the scenario names them.
  std::map<std::string, uint64_t> faults;
  std::map<std::string, uint64_t> sometimes;  // by counter
  std::vector<std::string> last_lines;
  std::string history;  // as text
};

RunResult RunScenario(const Scenario& scenario, const RunOptions& options = {});

}  // namespace stele::simulation
