// GarbageCollector: removes the data of ledgers that metadata no longer knows.
//
// It never trusts a listing. A ledger is garbage when metadata, asked for this very ledger, says
// that there is none, in two passes one after the other; errors and time-outs keep it. A pass
// removes a bounded share of the ledgers, so that a metadata store that lies is noticed before it
// costs everything.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "bookie/storage/ledger_storage.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/ids.h"
#include "common/observe/log.h"
#include "common/seams/env.h"
#include "metadata/ledger_manager.h"

namespace stele::bookie {

// Which of the ledgers that metadata does not know go in this pass. Pure.
class GarbagePlan {
 public:
  // absent: ascending. Gives those that were absent in the last pass too, at most a tenth of
  // `ledger_count` but at least kRemovedPerPassMin.
  std::vector<LedgerId> Decide(int64_t ledger_count, std::vector<LedgerId> absent);

  static constexpr size_t kRemovedPerPassMin = 1000;

 private:
  std::vector<LedgerId> absent_before_;
};

class GarbageCollector {
 public:
  // All pointers outlive it. on_removed(ledger, was fenced) comes before the ledger's data goes.
  GarbageCollector(Env env, absl::Duration interval, LedgerStorage* storage,
                   metadata::LedgerManager* ledgers, observe::Log* log,
                   absl::AnyInvocable<void(LedgerId, bool)> on_removed);

  // Begins the periodic passes.
  void Start();

  // One pass now.
  Task<absl::Status> Run();

 private:
  Task<void> Loop();
  Task<absl::Status> Remove(std::vector<LedgerId> garbage);

  Env env_;
  absl::Duration interval_;
  LedgerStorage* storage_;
  metadata::LedgerManager* ledgers_;
  observe::Log* log_;
  absl::AnyInvocable<void(LedgerId, bool)> on_removed_;
  GarbagePlan plan_;
  TaskScope scope_;
};

}  // namespace stele::bookie
