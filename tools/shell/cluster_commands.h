// stele cluster init|status|doctor, stele bookies list|show|space: the cluster and its bookies.
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

// What is wrong now, and what to do about it. kDamaged when something is critical, kUnavailable
// when something else was found.
ExitCode RunClusterDoctor(const CommonOptions& common);

struct BookiesListCommand {
  CommonOptions common;
  std::string state;  // --state: writable, read-only, up or down; empty: all
};
ExitCode RunBookiesList(const BookiesListCommand& command);
// What a bookie says about itself in its registration. kNotFound: it is not registered.
ExitCode RunBookiesShow(const CommonOptions& common, const std::string& bookie);
// The disks of all bookies that are up. kUnavailable when one does not answer.
ExitCode RunBookiesSpace(const CommonOptions& common);

}  // namespace stele::shell
