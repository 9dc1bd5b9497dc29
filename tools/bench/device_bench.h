// stele bench device: the floor under an append's latency on this machine: one 4 KiB write that is
// on the disk when it returns, and one round trip over loopback TCP. Plain system calls, none of
// the product's code.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/observe/histogram.h"

namespace stele::bench {

struct DeviceOptions {
  std::string directory;  // on the disk to measure; a file of 64 MiB is made and removed
  int writes = 2000;
  int round_trips = 10'000;
  int request_size_bytes = 1024;
  int reply_size_bytes = 28;
};

struct DeviceFigures {
  observe::Histogram write_nanoseconds;  // 4 KiB, O_DIRECT | O_DSYNC, over zeroed blocks
  observe::Histogram round_trip_nanoseconds;
  bool direct = true;  // false: the file system refuses O_DIRECT
};

// kIoError: the directory cannot be written, or a system call failed.
absl::StatusOr<DeviceFigures> MeasureDevice(const DeviceOptions& options);

}  // namespace stele::bench
