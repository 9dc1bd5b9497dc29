// RepairThrottle: how fast repair may move bytes: for all workers of the cluster, from one source,
// to one target. Limits may change at any time.
#pragma once

#include <cstdint>
#include <map>

#include "absl/time/time.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/base/time.h"
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

  // Waits until about `bytes` may be read from `source`, and counts them.
  Task<void> AcquireRead(BookieId source, int64_t bytes);
  // The same for bytes written to `target`, which count for the cluster as well.
  Task<void> AcquireWrite(BookieId target, int64_t bytes);
  // For the auditor's checks.
  Task<void> AcquireCheck(int64_t bytes);

  // It turned out to be this many bytes more, or fewer, than were acquired.
  void CorrectRead(const BookieId& source, int64_t more);
  void CorrectWrite(const BookieId& target, int64_t more);
  void CorrectCheck(int64_t more);

 private:
  TokenBucket& BucketOf(std::map<BookieId, TokenBucket>* buckets, const BookieId& bookie,
                        int64_t rate);

  Env env_;
  metadata::RepairLimits limits_;
  TokenBucket cluster_;
  TokenBucket check_;
  std::map<BookieId, TokenBucket> sources_;
  std::map<BookieId, TokenBucket> targets_;
};

}  // namespace stele::autorecovery
