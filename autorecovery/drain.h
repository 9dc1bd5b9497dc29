// Draining a living bookie: what is left to be moved, why some of it cannot be, and how long the
// rest takes. The drain itself is a record in the metadata store (metadata/autorecovery_records.h)
// that auditors and workers obey; this only looks. `stele node drain`, gRPC and the page show it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/seams/env.h"
#include "metadata/autorecovery_records.h"
#include "metadata/cluster_paths.h"
#include "metadata/ledger_manager.h"
#include "metadata/metadata_store.h"

namespace stele::autorecovery {

// How often a drain is looked at. Each look reads the metadata of all ledgers.
inline constexpr absl::Duration kDrainLookInterval = absl::Seconds(5);

struct DrainView {
  int64_t ledgers_left = 0;  // that can be moved
  int64_t bytes_left = 0;    // of those
  int64_t ledgers_open = 0;  // their writers hold them
  // Of the whole cluster: damaged metadata, so that whom it names is not known.
  int64_t ledgers_unreadable = 0;

  struct Blocked {
    LedgerId ledger;
    std::string reason;
  };
  // The first kBlockedMax of those that cannot be moved now.
  std::vector<Blocked> blocked;
  static constexpr size_t kBlockedMax = 20;

  bool IsDrained() const {
    return ledgers_left == 0 && ledgers_open == 0 && ledgers_unreadable == 0;
  }
};

// For each of the bookies, with one pass over the metadata of all ledgers. Errors are those of the
// store. What the arguments point to outlives the task.
Task<absl::StatusOr<std::map<BookieId, DrainView>>> LookAtDrains(
    metadata::LedgerManager* ledgers, metadata::AutorecoveryRecords* records,
    std::vector<BookieId> bookies);
// For one.
Task<absl::StatusOr<DrainView>> LookAtDrain(metadata::LedgerManager* ledgers,
                                            metadata::AutorecoveryRecords* records,
                                            BookieId bookie);

// kNoSuchKey: no such bookie is registered or has a cookie.
Task<absl::Status> CheckBookieExists(Env env, metadata::MetadataStore* store,
                                     metadata::ClusterPaths paths, BookieId bookie);

// How fast ledgers go from a bookie. Pure.
class DrainPace {
 public:
  // Without any progress for so long it is stuck.
  static constexpr absl::Duration kStuckAfter = absl::Minutes(10);

  DrainPace(MonotonicTime now, int64_t ledgers_left, int64_t bytes_left);

  void OnLook(MonotonicTime now, int64_t ledgers_left, int64_t bytes_left);
  bool IsStuck(MonotonicTime now) const { return now - progressed_at_ > kStuckAfter; }
  // At the pace since the first look that saw anything moved: before it workers had to find the
  // drain. While that look is the last one, at the pace since the beginning. Nothing before it.
  std::optional<absl::Duration> Remaining(MonotonicTime now) const;

 private:
  // A small ledger costs as much as so many bytes: its metadata and the round trips.
  static constexpr int64_t kLedgerCostBytes = 64 << 10;
  static int64_t WorkOf(int64_t ledgers, int64_t bytes) {
    return ledgers * kLedgerCostBytes + bytes;
  }

  MonotonicTime progressed_at_;
  int64_t work_left_;
  int64_t ledgers_left_;
  struct Point {
    MonotonicTime at;
    int64_t work_left;
  };
  std::optional<Point> first_;  // the first look with progress
  Point from_;                  // the pace is counted from here
};

}  // namespace stele::autorecovery
