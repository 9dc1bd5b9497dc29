// LedgerTurns: keeps the requests of one ledger in order while one of them waits for the disk (its
// state is being loaded, an entry is being compared). Other ledgers go on.
#pragma once

#include <deque>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/ids.h"

namespace stele::bookie {

// A request whose turn has come. The status is that of the task it waited for.
using Turn = absl::AnyInvocable<void(const absl::Status&) &&>;

class LedgerTurns {
 public:
  explicit LedgerTurns(Executor* executor) : scope_(executor) {}

  // True while the task of a Hold runs for this ledger: requests must go through Enqueue.
  bool IsHeld(LedgerId ledger) const { return !held_.empty() && held_.contains(ledger); }

  // Runs `task` while nothing else of this ledger may run; IsHeld() must be false. Then runs `next`
  // (may be null) and what was enqueued meanwhile, in order, until one of those holds the ledger
  // again.
  void Hold(LedgerId ledger, Task<absl::Status> task, Turn next = nullptr);

  // Runs `turn` later; IsHeld() must be true.
  void Enqueue(LedgerId ledger, Turn turn);

 private:
  Task<void> RunHeld(LedgerId ledger, Task<absl::Status> task);

  absl::flat_hash_map<LedgerId, std::deque<Turn>> held_;
  TaskScope scope_;  // last: its tasks use what is above
};

}  // namespace stele::bookie
