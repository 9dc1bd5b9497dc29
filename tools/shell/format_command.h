// stele node format: the directories of a stopped bookie are emptied, so that it may begin anew.
#pragma once

#include <string>
#include <vector>

#include "tools/shell/exit_code.h"
#include "tools/shell/session.h"

namespace stele::shell {

struct FormatCommand {
  CommonOptions common;
  std::string bookie;
  std::vector<std::string> directories;  // journals, ledgers and indexes, as configured
  bool deletes_cookie = false;
  // Although ledgers name it, or a directory has no VERSION, or one of another cluster.
  bool force = false;
  bool applies = false;  // --apply; else it shows what would be done
};
// kUsage: a directory has no VERSION, is named twice, or has a symbolic link in it. kUnauthorized:
// it is another bookie's or cluster's. kFenced: the bookie is up, or ledgers name it. kUnavailable:
// a process has the directories.
ExitCode RunNodeFormat(const FormatCommand& command);

}  // namespace stele::shell
