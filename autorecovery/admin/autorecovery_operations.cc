#include "autorecovery/admin/autorecovery_operations.h"

#include <utility>

#include "common/base/errors.h"

namespace stele::autorecovery {

void AutorecoveryOperations::SetRunning(Running running) {
  cluster_.SetAccess({running.store, running.cluster, running.client});
  running_ = std::move(running);
}

void AutorecoveryOperations::Clear() {
  running_.reset();
  cluster_.ClearAccess();
}

absl::Status AutorecoveryOperations::Readiness() const {
  if (running_.has_value()) return absl::OkStatus();
  return MakeError(ErrorCode::kStopped, "autorecovery does not run");
}

}  // namespace stele::autorecovery
