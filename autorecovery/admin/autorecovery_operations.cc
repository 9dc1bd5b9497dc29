#include "autorecovery/admin/autorecovery_operations.h"

#include "common/base/errors.h"
#include "metadata/autorecovery_settings.h"
#include "metadata/cluster_paths.h"
#include "metadata/leader_election.h"

namespace stele::autorecovery {
namespace {

metadata::ClusterPaths PathsOf(const AutorecoveryOperations::Running& running) {
  return metadata::ClusterPaths(running.cluster.layout.root());
}

}  // namespace

absl::Status AutorecoveryOperations::Readiness() const {
  if (running_.has_value()) return absl::OkStatus();
  return MakeError(ErrorCode::kStopped, "autorecovery does not run");
}

Task<absl::StatusOr<bool>> AutorecoveryOperations::IsEnabled() {
  if (!running_.has_value()) co_return Readiness();
  metadata::AutorecoverySettings settings(running_->store, PathsOf(*running_));
  co_return co_await settings.IsEnabled();
}

Task<absl::Status> AutorecoveryOperations::SetEnabled(bool enabled) {
  if (!running_.has_value()) co_return Readiness();
  metadata::AutorecoverySettings settings(running_->store, PathsOf(*running_));
  const absl::StatusOr<bool> has_changed = co_await settings.SetEnabled(enabled);
  co_return has_changed.status();
}

Task<absl::StatusOr<std::optional<std::string>>> AutorecoveryOperations::Auditor() {
  if (!running_.has_value()) co_return Readiness();
  co_return co_await metadata::CurrentLeader(running_->store, PathsOf(*running_));
}

}  // namespace stele::autorecovery
