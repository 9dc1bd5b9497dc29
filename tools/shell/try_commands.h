// stele cluster try, stele node try: a ledger is written, read, compared and deleted, through the
// whole cluster or on one bookie alone.
#pragma once

#include <cstdint>
#include <string>

#include "common/quorum/write_set.h"
#include "tools/shell/exit_code.h"
#include "tools/shell/session.h"

namespace stele::shell {

struct TryCommand {
  CommonOptions common;
  std::string bookie;                        // empty: those that the client chooses
  quorum::Replication replication{3, 2, 2};  // of a bookie: 1, 1, 1
  int64_t entries = 100;                     // --entries, of 100 bytes
  int64_t timeout_seconds = 5;               // --timeout, for each of them
};
// kDamaged when something else is read than was written; otherwise the code of what failed. The
// ledger is deleted in any case.
ExitCode RunTry(const TryCommand& command);

}  // namespace stele::shell
