// stele version.
#pragma once

#include "tools/shell/exit_code.h"
#include "tools/shell/output.h"

namespace stele::shell {

ExitCode RunVersion(Format format);

}  // namespace stele::shell
