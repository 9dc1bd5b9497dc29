// BookieOperations: what operators may ask of a bookie and do to it while it runs. HTTP
// (bookie_routes.h) and gRPC (bookie_service.h) only translate to it. The bookie's shard calls it.
#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/bookie.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/observe/log.h"

namespace stele::bookie {

// Major and minor compaction, one, both or neither.
struct CompactionKinds {
  bool major = false;
  bool minor = false;
};

class BookieOperations {
 public:
  // Both outlive it.
  BookieOperations(Executor* executor, observe::Log* log) : log_(log), scope_(executor) {}

  // Null until it has started, and again before it is destroyed: then everything gives kStopped.
  void SetBookie(Bookie* bookie) { bookie_ = bookie; }
  Bookie* bookie() const { return bookie_; }

  // Whether clients may be sent here: it serves, and the registry says how. kStopped: neither.
  absl::StatusOr<metadata::BookieMode> Readiness() const;

  absl::StatusOr<BookieStatus> Status() const;
  // The mode after the change. Errors: Bookie::SetReadOnly.
  Task<absl::StatusOr<metadata::BookieMode>> SetReadOnly(bool read_only);
  // Begins a collection, then the larger of these compactions, which includes the smaller one. Its
  // end is seen by is_in_forced_gc().  kKeyExists: one that was asked for runs already
  absl::Status StartGarbageCollection(CompactionKinds compact);
  bool is_in_forced_gc() const { return is_in_forced_gc_; }
  // kInvalidArgument: neither kind is named.
  absl::Status SuspendCompaction(CompactionKinds kinds, bool suspended);
  // Bookie::Checkpoint.
  Task<absl::Status> Checkpoint();
  // Ascending, from `first` on.
  absl::StatusOr<std::vector<LedgerId>> Ledgers(LedgerId first, size_t count_max) const;

 private:
  Task<void> CollectGarbage(std::optional<CompactionKind> compact);

  observe::Log* const log_;
  Bookie* bookie_ = nullptr;
  bool is_in_forced_gc_ = false;
  TaskScope scope_;
};

}  // namespace stele::bookie
