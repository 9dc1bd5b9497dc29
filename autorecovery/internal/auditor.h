// Auditor: notices lost bookies and lost entries, and marks the ledgers that need repair. Many may
// run; the one that is elected works.
//
// On one shard. Source: docs/AUTORECOVERY.md "The auditor".
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autorecovery/autorecovery_options.h"
#include "autorecovery/autorecovery_status.h"
#include "autorecovery/internal/auditor_meters.h"
#include "autorecovery/internal/long_checks.h"
#include "autorecovery/loss_tracker.h"
#include "autorecovery/repair_throttle.h"
#include "client/internal/client_core.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/observe/log.h"
#include "common/observe/metrics_text.h"
#include "common/seams/env.h"
#include "metadata/autorecovery_records.h"
#include "metadata/autorecovery_settings.h"
#include "metadata/leader_election.h"
#include "metadata/metadata_store.h"
#include "metadata/signal.h"
#include "metadata/underreplicated_queue.h"

namespace stele::autorecovery {

class Auditor {
 public:
  // All of these outlive it.
  //   core   a client that has started
  Auditor(Env env, metadata::MetadataStore* store, const metadata::Cluster& cluster,
          client::ClientCore* core, const AutorecoveryOptions* options);
  ~Auditor();

  // Begins to vote. Await once. Errors as ReplicationWorker::Start.
  Task<absl::Status> Start();
  Task<void> Stop();

  const AuditorStatus& status() const { return status_; }
  // What audits and checks took, and what they found.
  void Export(observe::MetricsText& into) const;

 private:
  // A marking to come.
  struct Finding {
    int copies_left = 0;
    LedgerId ledger;
    std::vector<BookieId> replicas;
    int64_t bytes = 0;  // of a closed ledger
  };

  Task<void> Run();
  // Until it leads no more.
  Task<absl::Status> Lead();
  Task<absl::Status> Begin();
  // One look at bookies and settings, with the audit that follows from it.
  Task<absl::Status> Look();
  Task<absl::Status> ReadDelay();
  Task<absl::Status> NoteChanges(std::set<BookieId> known);
  // Marks all ledgers with members that are gone and have no time left.
  Task<absl::Status> Audit();
  Task<absl::Status> Publish(std::vector<Finding> findings);
  Task<void> FollowBookies();

  LossRules Rules() const;
  Task<absl::StatusOr<bool>> MayWork();
  void Log(observe::LogLevel level, std::string_view message,
           std::initializer_list<observe::LogField> fields = {});

  const Env env_;
  metadata::MetadataStore* const store_;
  client::ClientCore* const core_;
  const AutorecoveryOptions* const options_;
  metadata::UnderreplicatedQueue queue_;
  metadata::AutorecoverySettings settings_;
  metadata::AutorecoveryRecords records_;
  metadata::LeaderElection election_;
  RepairThrottle throttle_;
  LossTracker losses_;
  std::optional<absl::Duration> delay_;
  std::optional<metadata::Version> delay_version_;
  std::set<BookieId> audited_;  // as lost
  bool wants_audit_ = true;
  MonotonicTime audit_at_;  // even if nothing happens
  bool is_stopping_ = false;
  metadata::Signal look_;
  std::vector<std::unique_ptr<metadata::Watch>> watches_;
  AuditorStatus status_;
  AuditorMeters meters_;
  std::unique_ptr<LongChecks> checks_;  // while it leads
  std::unique_ptr<TaskScope> loops_;
};

}  // namespace stele::autorecovery
