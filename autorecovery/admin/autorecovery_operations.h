// AutorecoveryOperations: what operators may ask of `stele autorecovery` and have it do, whether
// over HTTP (autorecovery_routes.h) or gRPC (autorecovery_service.h). Its shard calls it.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "autorecovery/admin/cluster_operations.h"
#include "autorecovery/auto_recovery.h"
#include "client/client_options.h"
#include "metadata/cluster_init.h"
#include "metadata/metadata_store.h"

namespace stele::autorecovery {

class AutorecoveryOperations {
 public:
  struct Running {
    AutoRecovery* autorecovery;
    metadata::MetadataStore* store;
    metadata::Cluster cluster;
    std::string name;              // of this process
    client::ClientOptions client;  // to ask bookies with
  };

  // What is answered for, from now on: it runs. It outlives this, or ends after Clear().
  void SetRunning(Running running);
  // Everything gives kStopped again.
  void Clear();
  const std::optional<Running>& running() const { return running_; }

  // Ok once it runs; kStopped.
  absl::Status Readiness() const;

  ClusterOperations& cluster() { return cluster_; }

 private:
  std::optional<Running> running_;
  ClusterOperations cluster_;
};

}  // namespace stele::autorecovery
