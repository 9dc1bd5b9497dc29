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
//   kConfig     one is being removed there
Task<absl::Status> InitializeCluster(MetadataStore* store, Random* random, std::string root,
                                     LayoutType layout);

// Finds the cluster, and makes what older tools left out (LAYOUT from `wanted`, hierarchical when
// nothing is wanted; the parents of registrations and cookies).
//   wanted   the layout that the service URI names
//   kConfig  the cluster is not initialised, is being removed, or its LAYOUT differs from `wanted`
//   kCorruptData  LAYOUT or INSTANCEID cannot be read
Task<absl::StatusOr<Cluster>> OpenCluster(MetadataStore* store, std::string root,
                                          std::optional<LayoutType> wanted);

// What LAYOUT is while the cluster is being removed: its layout, and its instance id, behind a line
// that nobody takes for a layout, Apache BookKeeper neither. So nobody finds the cluster any more.
std::string SerializeRemoval(const Cluster& cluster);

// The cluster whose removal was begun and is not complete, with the parents of registrations, as
// OpenCluster gives it; nothing when there is none.
//   kCorruptData  it cannot be read
Task<absl::StatusOr<std::optional<Cluster>>> FindRemoval(MetadataStore* store, std::string root);

// Makes a new cluster where nothing is left of the one before but its LAYOUT, which says that it is
// being removed. LAYOUT comes last: until then FindRemoval() finds that one.
Task<absl::Status> InitializeInPlaceOf(MetadataStore* store, Random* random, Cluster removed);

}  // namespace stele::metadata
