// stele bench device|write|read: figures of this machine and of a cluster.
#pragma once

#include "tools/bench/device_bench.h"
#include "tools/shell/exit_code.h"
#include "tools/shell/output.h"

namespace stele::shell {

struct BenchDeviceCommand {
  bench::DeviceOptions options;
  Format format = Format::kTable;
};
ExitCode RunBenchDevice(const BenchDeviceCommand& command);

}  // namespace stele::shell
