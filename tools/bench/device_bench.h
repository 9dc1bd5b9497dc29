// stele bench device: the floor under an append's latency on this machine: one 4 KiB write that is
// on the disk when it returns, one round trip over loopback TCP, and both together for the copies
// of an append. Plain system calls, none of the product's code.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "common/observe/histogram.h"

namespace stele::bench {

// As E = Qw = 3 and Qa = 2.
inline constexpr int kCopies = 3;
inline constexpr int kCopiesAwaited = 2;

struct DeviceOptions {
  std::string directory;  // on the disk to measure; files of 64 MiB are made and removed
  int writes = 2000;
  int round_trips = 10'000;
  int request_size_bytes = 1024;
  int reply_size_bytes = 28;
};

struct DeviceFigures {
  observe::Histogram write_nanoseconds;  // 4 KiB, O_DIRECT | O_DSYNC, over zeroed blocks
  observe::Histogram round_trip_nanoseconds;
  // A request to kCopies threads, each of which writes such a block to a file of its own before it
  // answers, until kCopiesAwaited of them have.
  observe::Histogram copies_nanoseconds;
  bool direct = true;  // false: the file system refuses O_DIRECT
};

// kIoError: the directory cannot be written, or a system call failed.
absl::StatusOr<DeviceFigures> MeasureDevice(const DeviceOptions& options);

}  // namespace stele::bench
