// Executor: the ready queue of one shard. A shard is one thread; everything that belongs to it runs
// from this queue.
#pragma once

#include "absl/functional/any_invocable.h"

namespace stele {

// A move-only closure that runs once. Small captures (two pointers) do not allocate.
using Job = absl::AnyInvocable<void() &&>;

class Executor {
 public:
  virtual ~Executor() = default;

  // Runs `job` later on this shard, never inside this call. The real executor runs jobs in the
  // order of posting; the simulated one picks the next ready job by seed, so nobody may rely on the
  // order between two jobs. Call from the shard's own thread only.
  virtual void Post(Job job) = 0;

  // As Post, from any thread. The adapters of blocking libraries and the client's API edge use it;
  // product code between two shards uses it with one job for a whole batch.
  virtual void PostFromAnyThread(Job job) = 0;

  // Runs `job` when all jobs that are ready now have run: the place to send what the turn has
  // gathered (a group commit, a socket's replies). In simulation it is Post.
  virtual void PostAtTurnEnd(Job job) = 0;

  // True on the shard's own thread.
  virtual bool IsCurrent() const = 0;
};

}  // namespace stele
