// Taking a cluster out of the metadata store, for good. What the bookies have on their disks stays
// there, and they refuse to start with it: their cookies are gone.
// Source: docs/METADATA.md "The cluster"; Apache BookKeeper's nukeexistingcluster, metaformat.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/seams/env.h"
#include "metadata/cluster_init.h"
#include "metadata/metadata_store.h"

namespace stele::metadata {

// What lies directly under the root and belongs to no cluster. `store` outlives the task.
Task<absl::StatusOr<std::vector<std::string>>> NamesOfNoCluster(MetadataStore* store,
                                                                std::string root);

enum class Afterwards {
  kNothing,
  kEmptyCluster,  // a new one, of the same layout
};

// Removes everything of the cluster, its root and what Stele remembers beside it. Nobody may use it
// any more: the caller has looked. It begins with the parents of registrations, which cannot go
// while a bookie is registered; then LAYOUT says that the cluster is being removed, and nobody
// opens it any more. Cookies, ledgers and the rest follow, LAYOUT last: a removal that was
// interrupted is completed by another call with what FindRemoval() gives, whatever `afterwards`.
//   on_ledgers   called with the number of ledgers that have been removed
//   errors       kMetadataConflict   a bookie is registered, or the root has something else as well
//                                    (then nothing was removed), or somebody came meanwhile
//                kCorruptData        a ledger that its layout has no place for
//                those of the store
// `store` and what `env` points to outlive the task.
Task<absl::Status> RemoveCluster(Env env, MetadataStore* store, Cluster cluster,
                                 Afterwards afterwards,
                                 absl::AnyInvocable<void(int64_t)> on_ledgers);

}  // namespace stele::metadata
