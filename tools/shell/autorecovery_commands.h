// stele autorecovery status|list|enable|disable|limit|delay|audit|recheck|forget: repair as
// operators see and steer it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tools/shell/exit_code.h"
#include "tools/shell/session.h"

namespace stele::shell {

// kUnavailable when repair is on and nobody is auditor.
ExitCode RunAutorecoveryStatus(const CommonOptions& common);
struct AutorecoveryListCommand {
  CommonOptions common;
  std::string missing;      // --missing: only ledgers that lack their copy on this bookie
  std::string not_missing;  // --not-missing: none of these
  bool locked = false;      // --locked: only those that a worker works on now
};
// The marked ledgers; kDamaged when there are quarantined ones.
ExitCode RunAutorecoveryList(const AutorecoveryListCommand& command);
// kExists when it is so already.
ExitCode RunAutorecoverySwitch(const CommonOptions& common, bool enabled);

// What has no value stays as it is.
struct LimitCommand {
  CommonOptions common;
  std::optional<int64_t> cluster;
  std::optional<int64_t> source;
  std::optional<int64_t> target;
  std::optional<int64_t> check;
};
ExitCode RunAutorecoveryLimit(const LimitCommand& command);

// Without a value: prints it.
ExitCode RunAutorecoveryDelay(const CommonOptions& common, std::optional<int64_t> seconds);
ExitCode RunAutorecoveryAudit(const CommonOptions& common);

struct RecheckCommand {
  CommonOptions common;
  bool ledgers = false;    // --ledgers: all copies
  bool placement = false;  // --placement
  bool replicas = false;   // --replicas: a check that only Apache's auditors have
};
// Takes the dates of the last checks back, so that the auditor that is elected next begins with
// them. kUsage: none is named.
ExitCode RunAutorecoveryRecheck(const RecheckCommand& command);
// Takes a ledger out of quarantine: it is tried again at once. kNotFound.
ExitCode RunAutorecoveryForget(const CommonOptions& common, int64_t ledger);

}  // namespace stele::shell
