// RepairThrottle: how fast repair may move bytes: for all workers of the cluster, from one source,
// to one target. Limits may change at any time. Besides, each bookie is asked only for what it does
// beside its clients' work (repair_window.h).
#pragma once

#include <cstdint>
#include <map>
#include <memory>

#include "absl/time/time.h"
#include "autorecovery/repair_window.h"
#include "common/async/executor.h"
#include "common/async/permits.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/seams/clock.h"
#include "common/seams/env.h"
#include "metadata/autorecovery_records.h"

namespace stele::autorecovery {

// A rate, kept as the time at which all that was used is paid for. Up to a tenth of a second may be
// saved up. Pure.
class TokenBucket {
 public:
  // bytes_per_second   0: no limit
  void SetRate(int64_t bytes_per_second, MonotonicTime now);
  // When the next use may begin: now, or later.
  MonotonicTime ReadyAt(MonotonicTime now) const;
  // Below 0: what was taken too much comes back.
  void Charge(int64_t bytes, MonotonicTime now);

 private:
  int64_t rate_ = 0;
  MonotonicTime paid_at_;
};

// Belongs to one shard. Its tasks do not outlive it.
class RepairThrottle {
 public:
  // What `env` points to (executor, clock) outlives it.
  explicit RepairThrottle(Env env) : env_(env) {}

  //   workers   of the cluster, which share limits.cluster evenly; at least 1
  void SetLimits(const metadata::RepairLimits& limits, int64_t workers);

  // A request that may be sent: to be given back when it is answered, or destroyed when it fails.
  // One that takes very long holds up nobody behind it.
  class Turn;

  // Waits until about `bytes` may be read from `source`, and counts them.
  Task<Turn> AcquireRead(BookieId source, int64_t bytes);
  // The same for bytes written to `target`, which count for the cluster as well.
  Task<Turn> AcquireWrite(BookieId target, int64_t bytes);
  // The bookie has done it. Leaves it alone for a moment where it should be. What failed says
  // nothing of how busy it is: destroy its turn.
  Task<void> Answered(Turn turn);
  // For the auditor's checks.
  Task<void> AcquireCheck(int64_t bytes);

  // It turned out to be this many bytes more, or fewer, than were acquired.
  void CorrectRead(const BookieId& source, int64_t more);
  void CorrectWrite(const BookieId& target, int64_t more);
  void CorrectCheck(int64_t more);

 private:
  // What one bookie is asked for in one direction, and how much of it is on its way.
  struct Lane {
    explicit Lane(Executor* executor) : on_their_way(executor, window.bytes()) {}
    TokenBucket bucket;
    RepairWindow window;
    Permits on_their_way;
  };
  using Lanes = std::map<BookieId, Lane>;
  Lane& LaneOf(Lanes* lanes, const BookieId& bookie, int64_t rate);
  Task<Turn> Enter(Lane* lane, int64_t bytes);

  Env env_;
  metadata::RepairLimits limits_;
  TokenBucket cluster_;
  TokenBucket check_;
  Lanes sources_;
  Lanes targets_;
};

class RepairThrottle::Turn {
 private:
  friend class RepairThrottle;
  Lane* lane_ = nullptr;
  int64_t bytes_ = 0;
  MonotonicTime since_;
  std::shared_ptr<Permits::Hold> place_;
  std::unique_ptr<Timer> patience_;  // gives the place back
};

}  // namespace stele::autorecovery
