// stele cluster fsck, stele ledger explain, stele node drain|undrain|status, stele recover, stele
// gate restart: where copies are, and what may be done to a bookie.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "autorecovery/cluster_check.h"
#include "tools/shell/exit_code.h"
#include "tools/shell/session.h"

namespace stele::shell {

struct FsckCommand {
  CommonOptions common;
  autorecovery::CheckDepth depth = autorecovery::CheckDepth::kAvailability;
  int64_t ledger = -1;             // --ledger; -1: all
  int64_t ledgers_in_flight = 16;  // --in-flight
};
// kDamaged when something is not as it should be.
ExitCode RunClusterFsck(const FsckCommand& command);

// kDamaged when a copy is missing.
ExitCode RunLedgerExplain(const CommonOptions& common, int64_t ledger);

// When a command that waits until workers have moved ledgers gives up.
struct WaitLimits {
  int64_t timeout_seconds = 0;    // --timeout; 0: never while there is progress
  bool skip_quarantined = false;  // --skip-quarantined: when only such ledgers are left
};

struct DrainCommand {
  CommonOptions common;
  std::string bookie;
  bool dry_run = false;  // --dry-run: says what would be moved
  bool wait = true;      // --no-wait: orders the drain and ends
  // --token-file: makes the bookie read-only first; empty: it may get entries of new ledgers
  std::string token_path;
  WaitLimits limits;
};
// kUnavailable when what is left cannot be moved by waiting, or is not moved in time.
ExitCode RunNodeDrain(const DrainCommand& command);
// kNotFound when it is not draining.
ExitCode RunNodeUndrain(const CommonOptions& common, const std::string& bookie);
ExitCode RunNodeStatus(const CommonOptions& common, const std::string& bookie);

struct RecoverCommand {
  CommonOptions common;
  std::string bookie;
  bool dry_run = false;  // --dry-run: says what would be marked
  bool wait = true;      // --no-wait: marks and ends
  // --delete-cookie: once nothing names it any more
  bool delete_cookie = false;
  WaitLimits limits;
};
// Marks all ledgers of a bookie that is down, without any delay, and waits until none names it.
// kFenced when the bookie is up: it is to be drained. kUnavailable when some still name it.
ExitCode RunRecover(const RecoverCommand& command);

struct GateCommand {
  CommonOptions common;
  std::vector<std::string> bookies;
  int64_t copies_min = 2;  // --min-copies
};
// kUnavailable when the bookies should not be stopped now.
ExitCode RunGateRestart(const GateCommand& command);

}  // namespace stele::shell
