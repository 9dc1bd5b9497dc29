// SeamWorld: what a contract suite needs to run on one implementation of the seams.
#pragma once

#include <memory>
#include <ostream>
#include <string>

#include "common/async/task.h"
#include "common/seams/env.h"

namespace stele {

class SeamWorld {
 public:
  virtual ~SeamWorld() = default;

  // The seams of one shard. A suite uses only those that it tests, and executor and clock.
  virtual Env env() = 0;

  // An existing, empty directory that belongs to this world alone. Only the file-system suite asks.
  virtual std::string scratch_directory() = 0;

  // Runs `task` on the shard until it ends. When it does not end (in simulation: nothing is left to
  // run; for real: after some seconds), adds a gtest failure and returns; the world is then
  // destroyed without further use.
  virtual void RunToEnd(Task<void> task) = 0;
};

// The parameter of the suites: one implementation. Each test makes a new world.
struct SeamWorldKind {
  const char* name;
  std::unique_ptr<SeamWorld> (*make)();
};

inline void PrintTo(const SeamWorldKind& kind, std::ostream* out) { *out << kind.name; }

// For INSTANTIATE_TEST_SUITE_P: names the tests by their world.
struct SeamWorldName {
  template <typename Info>
  std::string operator()(const Info& info) const {
    return info.param.name;
  }
};

}  // namespace stele
