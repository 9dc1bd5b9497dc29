// stele autorecovery status|list|enable|disable|limit|delay|audit|forget: repair as operators see
// and steer it.
#pragma once

#include <cstdint>
#include <optional>

#include "tools/shell/exit_code.h"
#include "tools/shell/session.h"

namespace stele::shell {

// kUnavailable when repair is on and nobody is auditor.
ExitCode RunAutorecoveryStatus(const CommonOptions& common);
// The marked ledgers; kDamaged when there are quarantined ones.
ExitCode RunAutorecoveryList(const CommonOptions& common);
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
// Takes a ledger out of quarantine: it is tried again at once. kNotFound.
ExitCode RunAutorecoveryForget(const CommonOptions& common, int64_t ledger);

}  // namespace stele::shell
