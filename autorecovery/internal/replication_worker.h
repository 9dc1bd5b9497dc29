// ReplicationWorker: takes tasks from the under-replicated queue, the most urgent first, and
// repairs several ledgers at a time.
//
// On one shard. Source: docs/AUTORECOVERY.md "Workers".
#pragma once

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "autorecovery/autorecovery_options.h"
#include "autorecovery/autorecovery_status.h"
#include "autorecovery/internal/fragment_copier.h"
#include "autorecovery/internal/ledger_repair.h"
#include "autorecovery/repair_throttle.h"
#include "client/internal/client_core.h"
#include "common/async/notification.h"
#include "common/async/permits.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/observe/log.h"
#include "common/observe/metrics_text.h"
#include "common/seams/env.h"
#include "metadata/autorecovery_records.h"
#include "metadata/autorecovery_settings.h"
#include "metadata/metadata_store.h"
#include "metadata/signal.h"
#include "metadata/underreplicated_queue.h"

namespace stele::autorecovery {

class ReplicationWorker {
 public:
  // All of these outlive it.
  //   core   a client that has started
  ReplicationWorker(Env env, metadata::MetadataStore* store, const metadata::Cluster& cluster,
                    client::ClientCore* core, const AutorecoveryOptions* options);
  ~ReplicationWorker();

  // Begins. Await once.
  //   kUnsupported, kCorruptData   the cluster's under-replication layout is another one
  Task<absl::Status> Start();
  // Lets running repairs end at the next entry, and gives all locks back.
  Task<void> Stop();

  const WorkerStatus& status() const { return status_; }
  // What repairs and copies took.
  void Export(observe::MetricsText& into) const;

 private:
  // What the worker remembers of a ledger that it could not repair.
  struct Failure {
    int count = 0;
  };
  struct Hopeless {
    std::set<BookieId> missing;  // bookies that were not registered then
    MonotonicTime retry_at;
  };

  bool MayGoOn() const { return is_enabled_ && !is_stopping_; }
  Task<void> FollowSettings();
  Task<void> Run();
  // Starts what can be started; the number of repairs that were.
  Task<size_t> Pass();
  // Tasks of the draining bookies, when there is nothing more urgent.
  Task<void> DrainPass();
  bool IsWorthTrying(LedgerId ledger);
  Task<void> LearnQuarantined();
  Task<void> RepairOne(LedgerId ledger, Permits::Hold slot);
  Task<void> DrainOne(LedgerId ledger, std::set<BookieId> leaving, Permits::Hold slot);
  // The repair of a locked ledger, and what follows from it. The lock is given back.
  Task<void> RepairLocked(metadata::RepairTask task, Permits::Hold slot);
  RepairRequest RequestFor(const metadata::RepairTask& task, bool may_fence);
  Task<void> Quarantine(LedgerId ledger, metadata::QuarantineRecord record);
  Task<void> Unlock(LedgerId ledger);
  // Waits, but not when repair is switched off or the worker stops.
  Task<void> WaitWhileAllowed(absl::Duration duration);
  void WakeSleepers();
  void Count(const RepairOutcome& outcome);
  // Says what was done, when there is nothing to do for a while.
  void ReportProgress();
  void Log(observe::LogLevel level, std::string_view message, LedgerId ledger,
           const absl::Status& why);

  const Env env_;
  metadata::MetadataStore* const store_;
  client::ClientCore* const core_;
  const AutorecoveryOptions* const options_;
  const RepairDefaults defaults_;
  metadata::UnderreplicatedQueue queue_;
  metadata::AutorecoverySettings settings_;
  metadata::AutorecoveryRecords records_;
  RepairThrottle throttle_;
  Permits ledgers_in_flight_;
  Permits bytes_in_flight_;
  CopyContext copy_;
  bool is_enabled_ = true;
  bool is_stopping_ = false;
  std::set<BookieId> draining_;
  std::set<LedgerId> busy_;  // being repaired here, or waiting with their lock
  std::map<LedgerId, Failure> failures_;
  std::map<LedgerId, Hopeless> hopeless_;
  metadata::Signal look_;
  metadata::Signal settings_changed_;
  std::vector<std::unique_ptr<metadata::Watch>> watches_;
  WorkerStatus status_;
  observe::Latency repairs_taken_;  // with success: nothing is missing any more
  int64_t ledgers_reported_ = 0;
  std::list<Notification*> sleepers_;  // ledgers that wait with their locks, as they came
  TaskScope repairs_;
  TaskScope loops_;
};

}  // namespace stele::autorecovery
