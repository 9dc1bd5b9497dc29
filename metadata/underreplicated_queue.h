// UnderreplicatedQueue: the ledgers that need repair, and who works on which: the marks of auditors
// and the locks of workers, shared with Apache BookKeeper's.
//
// While the store cannot be reached or has too much to do, operations wait and try again, until the
// time that the RetryOptions of the constructor allow. Errors of all: those of the store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "metadata/backoff.h"
#include "metadata/metadata_store.h"
#include "metadata/underreplication_format.h"

namespace stele::metadata {

struct RepairTask {
  LedgerId ledger;
  Version version = 0;
  // Without replicas also when the node cannot be understood: then everything is looked at.
  UnderreplicationMark mark;
};

struct RepairLock {
  LedgerId ledger;
  std::string owner;
};

// Belongs to one shard. Its tasks do not outlive it.
class UnderreplicatedQueue {
 public:
  // `env` (executor, clock, random) and `store` outlive it.
  //   owner   what locks are marked with, for people: the name of the host
  UnderreplicatedQueue(Env env, MetadataStore* store, const ClusterPaths& paths, std::string owner,
                       RetryOptions retry = {});

  // Makes the nodes that all users expect. Await once, before the rest.
  //   kUnsupported, kCorruptData   the layout is another one
  Task<absl::Status> Start();

  // Marks a ledger, or adds to its mark. True: something new was written.
  //   kCorruptData   there is a mark that cannot be understood
  Task<absl::StatusOr<bool>> Mark(LedgerId ledger, std::vector<BookieId> replicas);

  // The ledgers that have tasks, at most count_max, in no order; what the tasks say is not read. A
  // walk begins at a place drawn at random, so that workers do not all meet at the same tasks.
  // Directories that are found empty are removed.
  Task<absl::StatusOr<std::vector<LedgerId>>> Ledgers(size_t count_max);
  // The tasks of these as they are now. Where there is none, the directory is removed.
  Task<absl::StatusOr<std::vector<RepairTask>>> Read(std::vector<LedgerId> ledgers);
  // Both.
  Task<absl::StatusOr<std::vector<RepairTask>>> List(size_t count_max);

  // The task as it is now; nothing when there is none.
  Task<absl::StatusOr<std::optional<RepairTask>>> Find(LedgerId ledger);

  Task<absl::StatusOr<std::vector<LedgerId>>> Locked();
  Task<absl::StatusOr<std::vector<RepairLock>>> Locks();

  // True: the lock is ours, until Unlock() or the end of the session. False: somebody has it. A
  // lock of this session whose making was answered by silence is recognised.
  Task<absl::StatusOr<bool>> Lock(LedgerId ledger);
  // False also when the session that made the lock has ended.
  bool Holds(LedgerId ledger) const { return held_.contains(ledger); }
  // Lets the lock go; ok when we do not hold it. Tries until it is done or the session has ended.
  Task<absl::Status> Unlock(LedgerId ledger);

  // The ledger is repaired: removes the task unless it was marked again since it was read, and with
  // it the lock, in one step where that can be had. Only who holds the lock removes a task. False:
  // it was marked or the lock has gone, and the task stays. The lock may still be held afterwards,
  // and is let go by Unlock().
  Task<absl::StatusOr<bool>> Finish(RepairTask task);

  const UnderreplicationPaths& paths() const { return paths_; }

 private:
  enum class Hold {
    kMaking,
    kHeld,
    kMayBeGone,  // and another may have one of the same name by now
  };

  bool MayRetry(const absl::Status& status) const;
  Task<absl::Status> Ensure(std::string path, std::string value);
  Task<absl::StatusOr<std::vector<std::string>>> ChildrenOrNone(std::string path);
  Task<absl::StatusOr<bool>> MakeLock(LedgerId ledger);
  // An answer to its removal was lost.
  void NoteMayBeGone(LedgerId ledger);
  // Whether the lock is there and of this session, by looking.
  Task<absl::StatusOr<bool>> IsLockOurs(LedgerId ledger);
  // Adds the ledgers below a directory of depth 0 .. 3.
  Task<absl::Status> Walk(std::vector<std::string> names, size_t count_max,
                          std::vector<LedgerId>* ledgers);
  // Removes the task alone, while the lock is held.
  //   may_be_gone   an answer to its removal was lost
  Task<absl::StatusOr<bool>> RemoveTask(RepairTask task, bool may_be_gone);
  Task<void> RemoveIfEmpty(std::string directory);

  Env env_;
  MetadataStore* store_;
  UnderreplicationPaths paths_;
  std::string owner_;
  RetryOptions retry_;
  std::map<LedgerId, Hold> held_;
  std::unique_ptr<Watch> session_watch_;
};

}  // namespace stele::metadata
