// GrpcPort: the gRPC side of a daemon, off unless it is asked for.
#pragma once

#include <memory>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/observe/log.h"
#include "common/observe/metrics_text.h"
#include "common/real/grpc_server.h"
#include "common/real/shard.h"
#include "common/rpc/process_service.h"
#include "common/rpc/router.h"
#include "tools/shell/admin_port.h"

namespace stele::shell {

class GrpcPort {
 public:
  // Serves from now on what `add_services` adds, and what every process answers; null when it is
  // off. `shard`, `log` and what the services use outlive it.
  //   readiness   as for rpc::ProcessService
  //   errors      kConfig, kIoError: the token file cannot be used, or the address not be had
  static absl::StatusOr<std::unique_ptr<GrpcPort>> Open(
      real::Shard* shard, AdminPortOptions options,
      absl::FunctionRef<void(rpc::Router&)> add_services,
      absl::AnyInvocable<absl::Status()> readiness, observe::LevelledLog* log);

  void Export(observe::MetricsText& into) const { router_.Export(into); }

 private:
  GrpcPort(std::string token, absl::AnyInvocable<absl::Status()> readiness,
           observe::LevelledLog* log)
      : process_(std::move(readiness), log), router_(std::move(token), log) {}

  rpc::ProcessService process_;
  rpc::Router router_;
  std::unique_ptr<real::GrpcServer> server_;
};

}  // namespace stele::shell
