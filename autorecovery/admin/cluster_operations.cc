#include "autorecovery/admin/cluster_operations.h"

#include "common/base/errors.h"
#include "metadata/autorecovery_settings.h"
#include "metadata/leader_election.h"

namespace stele::autorecovery {

absl::Status NoAccess() {
  return MakeError(ErrorCode::kStopped, "this process has no way to the cluster now");
}

Task<absl::StatusOr<bool>> ClusterOperations::IsEnabled() {
  if (!access_.has_value()) co_return NoAccess();
  metadata::AutorecoverySettings settings(access_->store, access_->paths());
  co_return co_await settings.IsEnabled();
}

Task<absl::Status> ClusterOperations::SetEnabled(bool enabled) {
  if (!access_.has_value()) co_return NoAccess();
  metadata::AutorecoverySettings settings(access_->store, access_->paths());
  const absl::StatusOr<bool> has_changed = co_await settings.SetEnabled(enabled);
  co_return has_changed.status();
}

Task<absl::StatusOr<std::optional<std::string>>> ClusterOperations::Auditor() {
  if (!access_.has_value()) co_return NoAccess();
  co_return co_await metadata::CurrentLeader(access_->store, access_->paths());
}

}  // namespace stele::autorecovery
