// stele takeover check: may our bookie start over these directories, and what will it do?
#pragma once

#include <string>
#include <vector>

#include "tools/shell/exit_code.h"
#include "tools/shell/output.h"

namespace stele::shell {

struct TakeOverCheckCommand {
  std::vector<std::string> directories;
};
// Prints what was found, what a start will do, and "yes" or "no". kDamaged when no.
ExitCode RunTakeOverCheck(const TakeOverCheckCommand& command);

}  // namespace stele::shell
