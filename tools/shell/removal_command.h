// stele cluster format, stele cluster nuke: all that the metadata store knows of a cluster goes.
#pragma once

#include <string>

#include "tools/shell/exit_code.h"
#include "tools/shell/session.h"

namespace stele::shell {

struct RemovalCommand {
  CommonOptions common;
  std::string instance;      // --instance: the cluster's, typed by whoever means it
  std::string root;          // --root: must be the one of the metadata URI; empty: not said
  bool dry_run = false;      // shows what there is
  bool begins_anew = false;  // format: a new, empty cluster of the same layout
};
// kUsage: another instance or root, or none was given. kFenced: bookies, auditors or workers run,
// or something is there that belongs to no cluster; nothing was removed then.
ExitCode RunClusterRemoval(const RemovalCommand& command);

}  // namespace stele::shell
