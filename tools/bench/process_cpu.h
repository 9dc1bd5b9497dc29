// CPU time of processes, from /proc.
#pragma once

#include <cstdint>
#include <string_view>

#include "absl/status/statusor.h"

namespace stele::bench {

// User and system time of a process so far, from the text of its /proc/PID/stat, in clock ticks.
//   kCorruptData  the text is none
absl::StatusOr<int64_t> ParseCpuTicks(std::string_view stat);

// The same in milliseconds, in steps of a tick (10 ms). pid 0: this process.
//   kNoSuchFile  there is no such process
absl::StatusOr<int64_t> CpuMilliseconds(int64_t pid);

}  // namespace stele::bench
