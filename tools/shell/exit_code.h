// Exit codes of the stele program: fixed, so that scripts can rely on them.
#pragma once

#include "absl/status/status.h"

namespace stele::shell {

enum class ExitCode : int {
  kOk = 0,
  kFailed = 1,        // an error without a code of its own
  kUsage = 2,         // flags, arguments or configuration
  kNotFound = 3,      // no such ledger, entry, bookie or file
  kUnavailable = 4,   // metadata store or bookies cannot be reached in time, or are too few
  kFenced = 5,        // another process took the ledger over, or it is closed
  kDamaged = 6,       // data that is not what was written, or is missing
  kUnauthorized = 7,  // wrong password, or directories of another bookie
  kExists = 8,        // the ledger or cluster exists already
};

ExitCode ExitCodeOf(const absl::Status& status);

}  // namespace stele::shell
