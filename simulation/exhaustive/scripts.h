// The scripts of the exhaustive set: short lives of a cluster, each through one part of the
// product.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "simulation/exhaustive/stage.h"

namespace stele::simulation {

struct Script {
  std::string name;
  std::string what;  // one line, for people
  StageOptions stage = {};
  // Only the calls of processes whose name begins so are struck; empty: of all.
  std::string scope = "";
  // Before anything is struck; gives what is played then.
  std::function<std::function<void()>(Stage&)> prepare;
};

const std::vector<Script>& AllScripts();

// One run. The faults that were found; `injector` tells what was struck.
std::vector<std::string> Play(const Script& script, uint64_t seed, Injector* injector);

}  // namespace stele::simulation
