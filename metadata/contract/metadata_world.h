// MetadataWorld: what the contract suite needs to run on one driver of MetadataStore.
#pragma once

#include <memory>
#include <ostream>
#include <string>

#include "absl/status/statusor.h"
#include "common/async/executor.h"
#include "common/async/task.h"
#include "metadata/metadata_store.h"

namespace stele::metadata {

class MetadataWorld {
 public:
  virtual ~MetadataWorld() = default;

  // The shard of all stores of this world.
  virtual Executor* executor() = 0;

  // One more session with the same tree.
  virtual Task<absl::StatusOr<std::unique_ptr<MetadataStore>>> Open() = 0;

  // A path without nodes below it that belongs to this world alone; it may exist or not. Not "/".
  virtual std::string root() = 0;

  // Runs `task` on the shard until it ends. When it does not end (in simulation: nothing is left to
  // run; for real: after some seconds), adds a gtest failure and returns; the world is then
  // destroyed without further use.
  virtual void RunToEnd(Task<void> task) = 0;
};

// The parameter of the suite: one driver. Each test makes a new world.
struct MetadataWorldKind {
  const char* name;
  std::unique_ptr<MetadataWorld> (*make)();
};

inline void PrintTo(const MetadataWorldKind& kind, std::ostream* out) { *out << kind.name; }

// For INSTANTIATE_TEST_SUITE_P: names the tests by their world.
struct MetadataWorldName {
  template <typename Info>
  std::string operator()(const Info& info) const {
    return info.param.name;
  }
};

}  // namespace stele::metadata
