// ClusterOperations: what operators may ask of the whole cluster and have done in it, through any
// process that has a way to its metadata store: bookies and `stele autorecovery`. HTTP
// (cluster_routes.h, ledger_routes.h) and gRPC only translate to it. The process' shard calls it.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client_options.h"
#include "common/async/task.h"
#include "metadata/cluster_init.h"
#include "metadata/cluster_paths.h"
#include "metadata/metadata_store.h"

namespace stele::autorecovery {

class ClusterOperations {
 public:
  struct Access {
    metadata::MetadataStore* store;
    metadata::Cluster cluster;
    client::ClientOptions client;  // to ask bookies with

    metadata::ClusterPaths paths() const { return metadata::ClusterPaths(cluster.layout.root()); }
  };

  // The way to the cluster, from now on. It outlives this, or ends after ClearAccess().
  void SetAccess(Access access) { access_ = std::move(access); }
  // Everything gives kStopped again.
  void ClearAccess() { access_.reset(); }
  const std::optional<Access>& access() const { return access_; }

  // For the whole cluster (metadata/autorecovery_settings.h). Errors are those of the store.
  Task<absl::StatusOr<bool>> IsEnabled();
  Task<absl::Status> SetEnabled(bool enabled);
  // The elected auditor's name; nothing when there is none.
  Task<absl::StatusOr<std::optional<std::string>>> Auditor();

 private:
  std::optional<Access> access_;
};

// kStopped: what gives the way to the cluster does not run.
absl::Status NoAccess();

}  // namespace stele::autorecovery
