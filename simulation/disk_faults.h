// DiskFaults: what a simulated disk does wrong when it is asked to: to the next operation of a
// kind, or to each one with a chance. A test that wants a rule of its own uses FileFaults
// (sim_disk.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "simulation/fault_counts.h"
#include "simulation/sim_random.h"

namespace stele::simulation {

struct FileRequest;

enum class DiskFault : uint8_t {
  // Errors. Nothing is damaged by them.
  kReadError,       // once
  kWriteError,      // nothing is written
  kTornWrite,       // a prefix is written, then there is no space
  kSyncFails,       // what it should have made durable is lost with the next power cut
  kSyncFailsShows,  // the same, and reads show the old content at once
  kNoSpace,         // to create, rename, link, grow or sync
  kNoDescriptors,   // to open
  // Damage: the disk says that all is well. To be spent within what the cluster survives.
  kBadSector,         // the read fails, and each later one, until the sector is written
  kMisdirectedRead,   // gives another page of the file for one of those that it reads
  kLostWrite,         // never gets to the disk; a cache may show it for a while
  kMisdirectedWrite,  // lands at another aligned place of the same file
  kWriteToOtherFile,  // lands in another file of the disk
};
inline constexpr int kDiskFaultCount = static_cast<int>(DiskFault::kWriteToOtherFile) + 1;

// "disk.read_error", for counting.
std::string_view NameOf(DiskFault fault);

class DiskFaults {
 public:
  DiskFaults(SimRandom random, FaultCounts* counts) : random_(random), counts_(counts) {}

  // Strikes the next `times` operations that it can strike, on paths that begin with `prefix`.
  void Arm(DiskFault fault, int times = 1, std::string prefix = "");
  // Strikes each operation that it can strike in so many of a million cases.
  void SetChance(DiskFault fault, uint64_t per_million);
  // Forgets what was asked for. Bad sectors stay bad.
  void Clear();

  // For the disk: the fault that strikes this operation. It is counted.
  std::optional<DiskFault> Draw(const FileRequest& request);

 private:
  struct Armed {
    DiskFault fault;
    int times;
    std::string prefix;
  };

  SimRandom random_;
  FaultCounts* counts_;
  std::vector<Armed> armed_;
  uint64_t chances_[kDiskFaultCount] = {};
  bool has_chances_ = false;
};

}  // namespace stele::simulation
