// What auditor and worker have done, for people and programs. Counts are since the start.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "common/base/ids.h"

namespace stele::autorecovery {

// Of the disks of a bookie's ledger directories, as it says itself.
struct BookieSpace {
  int64_t total_bytes = 0;
  int64_t free_bytes = 0;
};

struct WorkerStatus {
  int64_t ledgers_repaired = 0;  // tasks that ended with nothing missing
  int64_t ledgers_moved = 0;     // of draining bookies
  int64_t ledgers_failed = 0;    // attempts that are made again
  int64_t locks_kept = 0;        // of those: the lock was kept for a while
  int64_t ledgers_quarantined = 0;
  int64_t ledgers_fenced = 0;
  int64_t entries_copied = 0;
  int64_t bytes_copied = 0;
  int64_t members_replaced = 0;
  int64_t repairs_running = 0;
};

struct AuditorStatus {
  bool is_leader = false;
  int64_t votes = 0;
  int64_t audits = 0;
  int64_t audits_delayed = 0;            // a bookie went, and its time began
  int64_t delayed_audits_cancelled = 0;  // it came back in time
  int64_t ledgers_marked = 0;
  int64_t ledgers_unreadable = 0;  // by the last audit
  int64_t ledgers_read = 0;        // by the last audit
  int64_t ledger_checks = 0;       // of all ledgers, that were completed
  int64_t ledgers_checked = 0;     // by these and by those that were broken off
  int64_t ledgers_in_check = 0;    // of these, by the check that runs or ran last
  int64_t placement_checks = 0;    // the same
  int64_t ledgers_off_racks = 0;   // closed ones in too few racks, by the last of these
  bool is_storm = false;
};

}  // namespace stele::autorecovery
