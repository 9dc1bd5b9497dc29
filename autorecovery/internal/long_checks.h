// LongChecks: what the auditor that leads checks now and then, beside its audits: every copy of
// every ledger, by asking the bookies, and in how many racks ledgers are.
//
// On one shard. Source: docs/AUTORECOVERY.md "The auditor".
#pragma once

#include <cstdint>
#include <set>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autorecovery/autorecovery_options.h"
#include "autorecovery/autorecovery_status.h"
#include "autorecovery/internal/auditor_meters.h"
#include "autorecovery/repair_throttle.h"
#include "client/internal/client_core.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/seams/env.h"
#include "metadata/autorecovery_records.h"
#include "metadata/autorecovery_settings.h"
#include "metadata/metadata_store.h"
#include "metadata/underreplicated_queue.h"

namespace stele::autorecovery {

// What checks work with. All of it outlives them.
struct CheckContext {
  client::ClientCore* core;
  const AutorecoveryOptions* options;
  metadata::MetadataStore* store;
  metadata::AutorecoverySettings* settings;
  metadata::AutorecoveryRecords* records;
  metadata::UnderreplicatedQueue* queue;
  RepairThrottle* throttle;
  AuditorStatus* status;
  AuditorMeters* meters;
  // Whether repair is switched on and we lead, asked of the store.
  absl::AnyInvocable<Task<absl::StatusOr<bool>>()> may_work;
};

class LongChecks {
 public:
  // Makes them until it is destroyed, which may be at any time.
  LongChecks(Env env, CheckContext context);

 private:
  // A check gives false when it was broken off.
  Task<absl::StatusOr<bool>> CheckAllLedgers(metadata::CheckDate since);
  Task<absl::Status> FindPosition();
  // For the next auditor. What the store does not take costs that one some work.
  Task<void> NotePosition();
  Task<absl::Status> CheckLedger(LedgerId ledger);
  // Marks the ledger when bookies say that they lack some of it.
  Task<absl::Status> CheckOne(LedgerId ledger);
  Task<std::set<BookieId>> AskCopies(LedgerId ledger, const metadata::LedgerMetadata& metadata);
  // Counts the closed ledgers in too few racks; marks none: nothing moves copies between racks.
  Task<absl::StatusOr<bool>> CheckPlacement();
  Task<absl::Status> CountIfOffRacks(LedgerId ledger, int64_t* count);

  const Env env_;
  CheckContext context_;
  // Of the check of all ledgers, which begins with them in ascending order.
  bool is_broken_off_ = false;
  metadata::CheckDate since_;
  LedgerId begun_{0};             // the last one
  std::set<LedgerId> unchecked_;  // begun, and not ended well
  MonotonicTime noted_at_;
  TaskScope scope_;  // last: its tasks use what is above
};

}  // namespace stele::autorecovery
