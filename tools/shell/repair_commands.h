// stele repair index: brings back what the index files of a stopped bookie have lost.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/shell/exit_code.h"
#include "tools/shell/output.h"

namespace stele::shell {

struct RepairIndexCommand {
  std::vector<std::string> ledger_directories;  // as configured, without `current`
  std::vector<std::string> index_directories;
  std::vector<int64_t> ledgers;  // empty: all that have lost something
  Format format = Format::kTable;
};
// kUnavailable when the bookie runs.
ExitCode RunRepairIndex(const RepairIndexCommand& command);

}  // namespace stele::shell
