// NodeHealth: what a look at a bookie needs of its measurements: how much it does, how long that
// takes, how its journal and its disks are. Read from the text of /metrics, Stele's or Apache's:
// they have the same names where they mean the same (docs/METRICS.md).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "common/observe/record.h"

namespace stele::http {

struct NodeHealth {
  struct Directory {
    std::string path;  // Apache's: with '_' for what its name cannot have
    int64_t used_permyriad = 0;
    friend bool operator==(const Directory&, const Directory&) = default;
  };

  // By the names that docs/HTTP.md explains; what is not measured is missing.
  absl::btree_map<std::string_view, int64_t> values;
  std::vector<Directory> directories;
};

inline constexpr size_t kHealthDirectoriesMax = 64;

// Never fails: what cannot be understood is not there. Takes what strangers wrote.
NodeHealth ReadNodeHealth(std::string_view metrics);

// Adds it to what is said of a bookie.
void SetHealth(const NodeHealth& health, observe::Record& into);

}  // namespace stele::http
