// GarbageCollector: removes the data of ledgers that metadata no longer knows, then lets the
// compactor give their space back.
//
// It never trusts a listing, nor that a ledger is not known here: its index file may have been lost
// while its entries are in an entry log. What is garbage: GarbagePlan; how much of it at once:
// GarbageBrake. The cluster's instance id is read before and after the questions: answers of
// another cluster count for nothing. No more do those of a store that was set back, and a bookie in
// limbo removes nothing (Limbo::MayRemove). A tombstone is durable before a ledger's data go.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bookie/compactor.h"
#include "bookie/garbage_plan.h"
#include "bookie/storage/ledger_storage.h"
#include "bookie/storage/tombstones.h"
#include "common/async/notification.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/ids.h"
#include "common/observe/log.h"
#include "common/observe/metrics_text.h"
#include "common/seams/env.h"
#include "metadata/ledger_manager.h"
#include "metadata/metadata_store.h"

namespace stele::bookie {

// All outlive the collector.
struct GarbageParts {
  Env env;
  LedgerStorage* storage;
  Tombstones* tombstones;
  metadata::MetadataStore* store;
  metadata::LedgerManager* ledgers;
  observe::Log* log;
};

struct GarbageOptions {
  absl::Duration interval = absl::Minutes(10);  // between passes; also the grace period
  std::string instance_id_path;
  std::optional<std::string> instance_id;  // of the cluster when the bookie started
  CompactionOptions compaction;
  std::vector<std::string> ledger_directories;
};

struct GarbageStats {
  int64_t passes = 0;
  int64_t failed_passes = 0;
  int64_t ledgers_removed = 0;
  int64_t entry_logs_removed = 0;  // without compaction
  int64_t ledgers_held_back = 0;   // by the brake, in the last pass
  CompactionStats compaction;
};

class GarbageCollector {
 public:
  //   may_remove   asked in each pass before it looks, and before it removes; an error ends it
  //   on_removed   comes before the ledger's data go, when its tombstone is durable
  GarbageCollector(GarbageParts parts, GarbageOptions options,
                   absl::AnyInvocable<Task<absl::Status>()> may_remove,
                   absl::AnyInvocable<void(LedgerId)> on_removed);

  // Begins the periodic passes.
  void Start();
  // One pass now, after one that runs. `compact`: also compacts, although it is not due. kStopped
  // after Stop(), or when that breaks the pass off.
  Task<absl::Status> Run(std::optional<CompactionKind> compact);
  // No further pass; ends when the one that runs has. Await before destroying it while the storage
  // lives on.
  Task<void> Stop();

  Compactor& compactor() { return compactor_; }
  const Compactor& compactor() const { return compactor_; }
  bool is_running() const { return running_; }
  GarbageStats stats() const;
  // What its passes took, those that found nothing to do too.
  void Export(observe::MetricsText& into) const {
    into.OfLatency("bookie_gc_THREAD_RUNTIME", {}, passes_);
  }

 private:
  Task<void> Loop();
  Task<absl::Status> Pass(std::optional<CompactionKind> compact);
  absl::Status CheckGoesOn() const;
  Task<absl::Status> CheckCluster();
  // Does metadata say now that there is no such ledger? An error: it cannot be asked at all.
  Task<absl::StatusOr<bool>> IsAbsent(LedgerId ledger);
  // Is each of them garbage?
  Task<absl::StatusOr<bool>> AreGarbage(std::vector<LedgerId> ledgers);
  Task<absl::Status> ReleaseReserve();
  Task<absl::Status> Remove(std::vector<LedgerId> garbage);

  GarbageParts parts_;
  const GarbageOptions options_;
  absl::AnyInvocable<Task<absl::Status>()> may_remove_;
  absl::AnyInvocable<void(LedgerId)> on_removed_;
  GarbagePlan plan_;
  GarbageBrake brake_;
  Compactor compactor_;
  GarbageStats stats_;
  observe::Latency passes_;
  bool running_ = false;
  bool stopping_ = false;
  Notification idle_;
  TaskScope scope_;
};

}  // namespace stele::bookie
