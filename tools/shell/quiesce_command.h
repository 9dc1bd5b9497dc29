// stele node quiesce: a bookie is made ready to be stopped.
#pragma once

#include <cstdint>
#include <string>

#include "tools/shell/exit_code.h"
#include "tools/shell/session.h"

namespace stele::shell {

struct QuiesceCommand {
  CommonOptions common;
  std::string bookie;
  std::string token_path;         // --token-file
  int64_t timeout_seconds = 120;  // --timeout
};
// Makes the bookie read-only, which ends with its process, and waits until the registry says so and
// all adds are answered: its writers have gone on with others. kUnavailable after the timeout; it
// stays read-only then.
ExitCode RunNodeQuiesce(const QuiesceCommand& command);

}  // namespace stele::shell
