// stele bench device|write|tail|create|read: figures of this machine and of a cluster.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "tools/bench/create_load.h"
#include "tools/bench/device_bench.h"
#include "tools/bench/read_load.h"
#include "tools/bench/write_load.h"
#include "tools/shell/exit_code.h"
#include "tools/shell/ledger_commands.h"
#include "tools/shell/output.h"
#include "tools/shell/session.h"

namespace stele::shell {

struct BenchDeviceCommand {
  bench::DeviceOptions options;
  Format format = Format::kTable;
};
ExitCode RunBenchDevice(const BenchDeviceCommand& command);

// What the measuring commands share.
struct BenchOptions {
  CommonOptions common;
  PasswordOptions password;
  int64_t warmup_seconds = 2;        // --warmup
  std::vector<int64_t> server_pids;  // --server-pid
  bool peer_protocol = false;        // --peer-protocol
};

// And those among them that measure a load while it goes on.
struct BenchLoadOptions : BenchOptions {
  int64_t window_seconds = 5;  // --window
  int64_t windows = 3;         // --windows
  bool keep = false;           // --keep: the ledgers stay, their ids are printed
};

struct BenchWriteCommand {
  BenchLoadOptions bench;
  bench::WriteLoadOptions load;
};
ExitCode RunBenchWrite(const BenchWriteCommand& command);
// How long it takes until a reader sees what is appended. `load.ledgers` is 1.
ExitCode RunBenchTail(const BenchWriteCommand& command);

struct BenchCreateCommand {
  BenchLoadOptions bench;
  bench::CreateLoadOptions load;
};
ExitCode RunBenchCreate(const BenchCreateCommand& command);

struct BenchReadCommand {
  BenchOptions bench;
  bench::ReadLoadOptions load;
  std::vector<int64_t> ledgers;          // one pass over each is one window
  std::optional<int64_t> warmup_ledger;  // --warmup-ledger: read before, for --warmup seconds
  bool cold = false;  // --cold: each ledger twice, first with an empty page cache
};
ExitCode RunBenchRead(const BenchReadCommand& command);

}  // namespace stele::shell
