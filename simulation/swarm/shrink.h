// Shrinking: makes a scenario that fails smaller, as long as it still fails in the same way. It
// works on the scenario, not on the choices inside of a run: what is left is a text that a person
// can read, and a test can replay.
#pragma once

#include <cstdint>
#include <functional>

#include "simulation/swarm/scenario.h"

namespace stele::simulation {

struct ShrinkOptions {
  // It ends when so many tries in a row brought nothing.
  int idle_tries_max = 200;
  // And when this says so; asked before each try.
  std::function<bool()> stop = [] { return false; };
};

struct ShrinkResult {
  Scenario smallest;
  int tries = 0;
};

// `fails` runs a scenario and says whether it shows the bug; it does for `scenario`.
ShrinkResult Shrink(Scenario scenario, const std::function<bool(const Scenario&)>& fails,
                    const ShrinkOptions& options);

}  // namespace stele::simulation
