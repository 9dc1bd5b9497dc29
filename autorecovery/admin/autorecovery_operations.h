// AutorecoveryOperations: what operators may ask of `stele autorecovery` and have it do, whether
// over HTTP (autorecovery_routes.h) or gRPC (autorecovery_service.h). Its shard calls it.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "autorecovery/auto_recovery.h"
#include "client/client_options.h"
#include "common/async/task.h"
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
  void SetRunning(Running running) { running_ = std::move(running); }
  // Everything gives kStopped again.
  void Clear() { running_.reset(); }
  const std::optional<Running>& running() const { return running_; }

  // Ok once it runs; kStopped.
  absl::Status Readiness() const;

  // For the whole cluster (metadata/autorecovery_settings.h). Errors are those of the store.
  Task<absl::StatusOr<bool>> IsEnabled();
  Task<absl::Status> SetEnabled(bool enabled);
  // The elected auditor's name; nothing when there is none.
  Task<absl::StatusOr<std::optional<std::string>>> Auditor();

 private:
  std::optional<Running> running_;
};

}  // namespace stele::autorecovery
