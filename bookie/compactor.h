// Compactor: gives the space of removed ledgers back, entry log by entry log: when
// (CompactionPlan), how fast (ByteRate), and on a full disk too (SpaceReserve). What it does to one
// log: storage/log_compaction.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "bookie/byte_rate.h"
#include "bookie/compaction_plan.h"
#include "bookie/space_reserve.h"
#include "bookie/storage/ledger_storage.h"
#include "common/async/notification.h"
#include "common/async/task.h"
#include "common/base/time.h"
#include "common/observe/log.h"
#include "common/seams/env.h"

namespace stele::bookie {

struct CompactionStats {
  int64_t minor_runs = 0;
  int64_t major_runs = 0;
  int64_t logs_removed = 0;
  int64_t logs_kept = 0;  // damage, or ledgers of which it is not known whether they exist
  int64_t records_copied = 0;
  uint64_t bytes_copied = 0;
  uint64_t bytes_freed = 0;  // of removed logs, less what was copied
};

// Belongs to the garbage collector, which runs it after its passes: one run at a time.
class Compactor final : private BackgroundPace {
 public:
  // `storage` and `log` outlive it.
  Compactor(Env env, CompactionOptions options, LedgerStorage* storage,
            std::vector<std::string> ledger_directories, observe::Log* log);

  // What is due by now, if anything, and the reserve again. are_gone: as for
  // LedgerStorage::RemoveDeadEntryLogs.
  Task<absl::Status> RunIfDue(AreLedgersGone* are_gone);
  // Now. kStopped: it was told to stop; kDiskFull: not even the reserve was enough.
  Task<absl::Status> Run(CompactionKind kind, AreLedgersGone* are_gone);

  // The operator's switch. Suspended: no run of that kind begins, and one that runs ends.
  void SetSuspended(CompactionKind kind, bool suspended) {
    (kind == CompactionKind::kMinor ? minor_suspended_ : major_suspended_) = suspended;
  }
  bool IsSuspended(CompactionKind kind) const {
    return kind == CompactionKind::kMinor ? minor_suspended_ : major_suspended_;
  }
  std::optional<CompactionKind> running() const { return running_; }
  // Ends for good, at once but for index writes that have begun: those must not come later than
  // what others write. Await before destroying.
  Task<void> Stop();

  const CompactionStats& stats() const { return stats_; }

 private:
  Task<absl::Status> Spend(uint64_t bytes) override;
  bool MustEnd() const { return stopping_ || (running_.has_value() && IsSuspended(*running_)); }
  Task<absl::Status> RunOver(std::vector<EntryLogUsage> logs, absl::Duration time_max,
                             AreLedgersGone* are_gone);
  Task<absl::Status> CompactOne(EntryLogUsage usage, AreLedgersGone* are_gone);

  Env env_;
  CompactionPlan plan_;
  ByteRate rate_;
  SpaceReserve reserve_;
  LedgerStorage* storage_;
  observe::Log* log_;
  bool minor_suspended_ = false;
  bool major_suspended_ = false;
  std::optional<CompactionKind> running_;
  bool stopping_ = false;
  bool moving_ = false;  // index files may be being written
  Notification moved_;
  CompactionStats stats_;
};

}  // namespace stele::bookie
