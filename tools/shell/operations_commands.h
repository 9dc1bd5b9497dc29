// stele cluster fsck, stele ledger explain, stele node drain|undrain|status, stele recover, stele
// gate restart, stele cookie ...: where copies are, and what may be done to a bookie.
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

struct DrainCommand {
  CommonOptions common;
  std::string bookie;
  bool dry_run = false;  // --dry-run: says what would be moved
  bool wait = true;      // --no-wait: orders the drain and ends
  // --token-file: makes the bookie read-only first; empty: it may get entries of new ledgers
  std::string token_path;
};
// kUnavailable when what is left cannot be moved by waiting.
ExitCode RunNodeDrain(const DrainCommand& command);
// kNotFound when it is not draining.
ExitCode RunNodeUndrain(const CommonOptions& common, const std::string& bookie);
ExitCode RunNodeStatus(const CommonOptions& common, const std::string& bookie);

struct RecoverCommand {
  CommonOptions common;
  std::string bookie;
  bool dry_run = false;  // --dry-run: says what would be marked
  bool wait = true;      // --no-wait: marks and ends
};
// Marks all ledgers of a bookie that is down, without any delay, and waits until none names it.
// kFenced when the bookie is up: it is to be drained.
ExitCode RunRecover(const RecoverCommand& command);

struct GateCommand {
  CommonOptions common;
  std::vector<std::string> bookies;
  int64_t copies_min = 2;  // --min-copies
};
// kUnavailable when the bookies should not be stopped now.
ExitCode RunGateRestart(const GateCommand& command);

// Who each bookie is, as the store knows it.
ExitCode RunCookieList(const CommonOptions& common);
// kNotFound.
ExitCode RunCookieShow(const CommonOptions& common, const std::string& bookie);
struct CookieDeleteCommand {
  CommonOptions common;
  std::string bookie;
  bool force = false;
  bool dry_run = false;
};
// kFenced when the bookie is up or metadata names it, unless forced.
ExitCode RunCookieDelete(const CookieDeleteCommand& command);

}  // namespace stele::shell
