// stele repair check|index: what is wrong with the files of a stopped bookie; and bringing back
// what its index files have lost.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/shell/exit_code.h"
#include "tools/shell/output.h"
#include "tools/shell/session.h"

namespace stele::shell {

struct RepairCheckCommand {
  CommonOptions common;                         // without a metadata store digests are not compared
  std::vector<std::string> ledger_directories;  // as configured, without `current`
  std::vector<std::string> index_directories;
};
// Changes nothing. kDamaged when something is wrong, kUnavailable when the bookie runs.
ExitCode RunRepairCheck(const RepairCheckCommand& command);

struct RepairIndexCommand {
  std::vector<std::string> ledger_directories;  // as configured, without `current`
  std::vector<std::string> index_directories;
  std::vector<int64_t> ledgers;  // empty: all that have lost something
  Format format = Format::kTable;
};
// kUnavailable when the bookie runs.
ExitCode RunRepairIndex(const RepairIndexCommand& command);

}  // namespace stele::shell
