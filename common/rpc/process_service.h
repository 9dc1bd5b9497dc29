// ProcessService: what every process answers over gRPC: its health (grpc.health.v1.Health), and how
// much it logs (stele.admin.v1.Process). Pure: its shard calls it. Source: docs/GRPC.md.
#pragma once

#include <set>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "common/observe/log.h"
#include "common/rpc/router.h"

namespace stele::rpc {

class ProcessService {
 public:
  //   readiness   ok when the process serves: the same that answers /readyz
  ProcessService(absl::AnyInvocable<absl::Status()> readiness, observe::LevelledLog* log)
      : readiness_(std::move(readiness)), log_(log) {}

  // After the other services, whose health it tells then. `router` does not outlive it.
  void AddTo(Router& router);

 private:
  // How often a watched health is looked at.
  static constexpr absl::Duration kLookAgain = absl::Seconds(1);

  bool IsKnown(const std::string& service) const;

  absl::AnyInvocable<absl::Status()> readiness_;
  observe::LevelledLog* const log_;
  std::set<std::string> services_;
};

}  // namespace stele::rpc
