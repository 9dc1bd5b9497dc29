// When a bookie stops taking writes because its disks are full, and when it takes them again. Pure:
// figures in, decision out. Apache's rules, but a full directory comes back only below the
// low-water mark, so that the mode does not flap.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/seams/file_system.h"

namespace stele::bookie {

struct DiskRuleOptions {
  // Parts per million of a file system in use. diskUsageThreshold, diskUsageLwmThreshold.
  int64_t full_above_ppm = 950'000;
  int64_t recovered_below_ppm = 950'000;
  // readOnlyModeOnAnyDiskFullEnabled: one full directory makes the node read-only, not only all of
  // them.
  bool read_only_on_any_full = true;
  // minUsableSizeForHighPriorityWrites: while read-only, recovery adds are taken as long as a
  // directory has this much.
  uint64_t high_priority_reserve_bytes = 1ull << 30;
};

struct DirectorySpace {
  std::string directory;
  DiskSpace space;
};

struct DiskDecision {
  bool read_only = false;
  bool high_priority_allowed = true;
  std::vector<std::string> full;  // the directories above the threshold, for logs and operators
};

// Remembers which directories are full, for the hysteresis. One per node.
class DiskRules {
 public:
  explicit DiskRules(DiskRuleOptions options) : options_(options) {}

  // `ledgers`: ledger and index directories, on which everything rests. `journals`: a full one
  // makes the node read-only too, since a journal that cannot grow ends the process.
  DiskDecision Decide(const std::vector<DirectorySpace>& ledgers,
                      const std::vector<DirectorySpace>& journals);

 private:
  bool IsFull(const DirectorySpace& directory);

  DiskRuleOptions options_;
  std::vector<std::string> full_;
};

}  // namespace stele::bookie
