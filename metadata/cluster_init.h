// What a cluster is before it has bookies and ledgers: making it, and finding it.
// Source: docs/METADATA.md "The cluster"; Apache BookKeeper's initnewcluster.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/seams/random.h"
#include "metadata/ledger_layout.h"
#include "metadata/metadata_store.h"

namespace stele::metadata {

struct Cluster {
  LedgerLayout layout;
  // What cookies are bound to; nothing in clusters that were made before there was one.
  std::optional<std::string> instance_id;
};

// Makes a new cluster: its nodes, a new instance id, its LAYOUT. LAYOUT comes last: a run that was
// interrupted is completed by the next.
//   kKeyExists  the cluster is initialised, or the root holds something else; nothing was written
Task<absl::Status> InitializeCluster(MetadataStore* store, Random* random, std::string root,
                                     LayoutType layout);

// Finds the cluster, and makes what older tools left out (LAYOUT from `wanted`, hierarchical when
// nothing is wanted; the parents of registrations and cookies).
//   wanted   the layout that the service URI names
//   kConfig  the cluster is not initialised, or its LAYOUT differs from `wanted`
//   kCorruptData  LAYOUT or INSTANCEID cannot be read
Task<absl::StatusOr<Cluster>> OpenCluster(MetadataStore* store, std::string root,
                                          std::optional<LayoutType> wanted);

}  // namespace stele::metadata
