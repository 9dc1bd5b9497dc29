// GarbageCollector: removes the data of ledgers that metadata no longer knows.
//
// It never trusts a listing, nor that a ledger is not known here: its index file may have been
// lost while its entries are in an entry log. A ledger is garbage when metadata, asked for this
// very ledger, says that there is none, in two passes one after the other; errors and time-outs
// keep it. A pass removes a bounded share of the ledgers, so that a metadata store that lies is
// noticed before it costs everything.
#pragma once

#include <cstddef>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bookie/storage/ledger_storage.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/ids.h"
#include "common/observe/log.h"
#include "common/seams/env.h"
#include "metadata/ledger_manager.h"

namespace stele::bookie {

// Which ledgers metadata does not know, in this pass and in the one before. Pure.
class GarbagePlan {
 public:
  static constexpr size_t kRemovedPerPassMin = 1000;

  void BeginPass();
  // Metadata has just said that there is no such ledger. True: it said so in the last pass too.
  bool OnAbsent(LedgerId ledger);
  // How many of `ledger_count` local ledgers may go in one pass: a tenth, but at least
  // kRemovedPerPassMin.
  static size_t RemovedPerPassMax(size_t ledger_count);

 private:
  absl::btree_set<LedgerId> absent_before_;
  absl::btree_set<LedgerId> absent_;
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
  // Does metadata say now that there is no such ledger? An error: it cannot be asked at all.
  Task<absl::StatusOr<bool>> IsAbsent(LedgerId ledger);
  // Is each of them garbage?
  Task<absl::StatusOr<bool>> AreGarbage(std::vector<LedgerId> ledgers);
  Task<absl::Status> Remove(std::vector<LedgerId> garbage);
  Task<absl::Status> RemoveEntryLogs();

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
