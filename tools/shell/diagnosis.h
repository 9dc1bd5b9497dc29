// Diagnosis: what is wrong with a cluster now, and what to do about it: the decisions of `stele
// cluster doctor`. Pure; cluster_doctor.cc looks.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "autorecovery/autorecovery_status.h"
#include "autorecovery/repair_backlog.h"
#include "common/base/ids.h"

namespace stele::shell {

// What was seen.
struct Examination {
  absl::Time now;
  autorecovery::RepairBacklog backlog;
  // What each registered bookie said of its disks, or why it said nothing.
  std::map<BookieId, absl::StatusOr<autorecovery::BookieSpace>> spaces;
  int64_t ledgers = 0;
  int64_t ledgers_unreadable = 0;  // their metadata is damaged
  int64_t ensemble_size_max = 0;   // in use
};

enum class Severity {
  kWarning,   // nothing is lost; it wants somebody's attention
  kCritical,  // entries cannot be read, or one more failure may lose them, or nobody can write
};
std::string_view NameOf(Severity severity);

struct Diagnosis {
  Severity severity = Severity::kWarning;
  std::string name;     // for programs: "bookie_down"
  std::string subject;  // a bookie, or empty: the cluster
  std::string finding;  // one line
  std::string remedy;   // one line
};

// A bookie with less is nearly full: it turns read-only at 95 percent by default.
inline constexpr int kFreePercentMin = 10;
// A mark that waits longer is not being worked off.
inline constexpr absl::Duration kMarkAgeMax = absl::Hours(6);
// Twice the interval of the check by default.
inline constexpr absl::Duration kCheckAgeMax = absl::Hours(24 * 14);

// Critical ones first. Empty: nothing is wrong that can be seen from here.
std::vector<Diagnosis> Diagnose(const Examination& seen);

}  // namespace stele::shell
