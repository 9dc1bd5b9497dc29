// AutoRecovery: an auditor, a replication worker, or both, of one cluster: what keeps every entry
// at its number of copies. Any number may run; they find each other in the metadata store.
//
// Losing the store stops nothing for good: auditor and worker wait for it, and after the end of a
// session they vote and lock anew.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "autorecovery/autorecovery_options.h"
#include "autorecovery/autorecovery_status.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/observe/metrics_text.h"
#include "common/seams/env.h"
#include "metadata/cluster_init.h"
#include "metadata/metadata_store.h"

namespace stele::autorecovery {

// Belongs to one shard.
class AutoRecovery {
 public:
  // What `env` points to, and `store`, outlive it.
  //   errors   kConfig                     the cluster is not initialised
  //            kUnsupported, kCorruptData  its under-replication layout is not ours
  //            kMetadataUnavailable
  static Task<absl::StatusOr<std::unique_ptr<AutoRecovery>>> Start(Env env,
                                                                   metadata::MetadataStore* store,
                                                                   metadata::Cluster cluster,
                                                                   AutorecoveryOptions options);
  // Abandons whatever is under way, as a crash does.
  ~AutoRecovery();

  // Ends what runs at the next entry, gives locks and vote back. Await before destroying.
  Task<void> Stop();

  // Asked over the data protocol: who answers serves.
  //   errors   those of a bookie that does not answer within `timeout`
  Task<absl::StatusOr<BookieSpace>> SpaceOf(BookieId bookie, absl::Duration timeout);

  AuditorStatus auditor_status() const;
  WorkerStatus worker_status() const;
  // What took how long, under BookKeeper's names; counts are in the statuses.
  void Export(observe::MetricsText& into) const;

 private:
  class Parts;
  explicit AutoRecovery(std::unique_ptr<Parts> parts);

  std::unique_ptr<Parts> parts_;
};

}  // namespace stele::autorecovery
