#include "tools/shell/grpc_port.h"

#include <utility>

#include "common/base/errors.h"
#include "common/base/try.h"
#include "tools/shell/admin_token.h"

namespace stele::shell {

absl::StatusOr<std::unique_ptr<GrpcPort>> GrpcPort::Open(
    real::Shard* shard, AdminPortOptions options,
    absl::FunctionRef<void(rpc::Router&)> add_services,
    absl::AnyInvocable<absl::Status()> readiness, observe::LevelledLog* log) {
  if (!options.is_on) return nullptr;
  STELE_TRY(std::string token, ReadToken(*shard, options.token_path));
  std::unique_ptr<GrpcPort> port(new GrpcPort(std::move(token), std::move(readiness), log));
  add_services(port->router_);
  port->process_.AddTo(port->router_);
  auto server = real::GrpcServer::Start(options.at, {}, shard->executor(), shard->env().clock,
                                        &port->router_);
  if (!server.ok()) return WithContext(server.status(), "gRPC port");
  port->server_ = *std::move(server);
  const Endpoint at = port->server_->endpoint();
  log->Write(observe::LogLevel::kInfo, "gRPC port",
             {{"host", std::string_view(at.host)}, {"port", at.port}});
  return port;
}

}  // namespace stele::shell
