// stele cluster init|status, stele bookies list: what the metadata store alone knows.
#pragma once

#include <string>

#include "metadata/ledger_layout.h"
#include "tools/shell/exit_code.h"
#include "tools/shell/session.h"

namespace stele::shell {

struct ClusterInitCommand {
  CommonOptions common;
  bool ok_if_exists = false;  // --ok-if-exists
};
// kExists when the cluster is there already, unless ok_if_exists.
ExitCode RunClusterInit(const ClusterInitCommand& command);

// Exit code kUnavailable when no bookie is writable.
ExitCode RunClusterStatus(const CommonOptions& common);

ExitCode RunBookiesList(const CommonOptions& common);

}  // namespace stele::shell
