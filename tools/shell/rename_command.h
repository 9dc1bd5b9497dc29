// stele bookies rename: another name for a bookie in the metadata of ledgers.
#pragma once

#include <cstdint>
#include <string>

#include "tools/shell/exit_code.h"
#include "tools/shell/session.h"

namespace stele::shell {

struct RenameCommand {
  CommonOptions common;
  std::string from;
  std::string to;
  bool applies = false;  // --apply; else it shows what would be done
  int64_t rate = 5;      // ledgers a second; 0: no limit
  int64_t limit = 0;     // changes no more ledgers than that; 0: all
  int64_t proofs = 100;  // ledgers of which an entry is asked for
  bool force = false;    // although no entry showed that the names are of one bookie
  bool verbose = false;  // a line on stderr for each ledger
};
// kFenced: `from` is up, or nothing showed that `to` has its entries. kUnavailable: `to` is not up,
// or ledgers are left that name `from`. kDamaged: `to` lacks an entry that it should have, and
// nothing was changed.
ExitCode RunBookiesRename(const RenameCommand& command);

}  // namespace stele::shell
