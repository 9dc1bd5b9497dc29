// LedgerIdGenerator: ids that no other client of the cluster gets. One scheme for all of them,
// Apache's included: the sequence numbers that the store gives to nodes under `idgen`, and, when
// those 2^31 - 1 are used up, under buckets in `idgen-long`, whose number is the id's high half.
//
// A generator only proposes: a caller of the explicit kind may have taken the id before.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/executor.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/ids.h"
#include "metadata/cluster_paths.h"
#include "metadata/ledger_layout.h"
#include "metadata/metadata_store.h"

namespace stele::metadata {

class LedgerIdGenerator {
 public:
  // `executor` and `store` must outlive it.
  LedgerIdGenerator(Executor* executor, MetadataStore* store, const LedgerLayout& layout);

  // A new id. One round trip: the node that gave it is deleted behind the caller's back.
  //   kMetadataUnavailable  at worst a number was used up; call again
  //   kUnsupported          the layout has no ids left
  Task<absl::StatusOr<LedgerId>> Next();

 private:
  // The number that the store appended to `prefix`; nothing when it is not below 2^31 - 1.
  Task<absl::StatusOr<std::optional<int64_t>>> NextNumber(std::string prefix);
  Task<absl::StatusOr<LedgerId>> NextLong();
  Task<absl::StatusOr<int64_t>> LatestBucket();
  Task<absl::Status> CreateBucket(int64_t bucket);
  std::string BucketPath(int64_t bucket) const;

  MetadataStore* store_;
  ClusterPaths paths_;
  LayoutType type_;
  bool long_ids_ = false;  // `idgen-long` was seen; it never goes away
  bool checked_long_ids_ = false;
  std::optional<int64_t> bucket_;  // the newest that we know of
  TaskScope deletions_;
};

}  // namespace stele::metadata
