// stele dump usage: what each ledger takes of an entry log, and whether it still exists.
#pragma once

#include <string>

#include "tools/shell/exit_code.h"
#include "tools/shell/session.h"

namespace stele::shell {

struct UsageCommand {
  CommonOptions common;
  std::string path;
  bool live = false;  // --live: asks the cluster of `common`
};
// kDamaged when a place in the file is damaged.
ExitCode RunDumpUsage(const UsageCommand& command);

}  // namespace stele::shell
