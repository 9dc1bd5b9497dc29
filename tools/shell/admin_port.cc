#include "tools/shell/admin_port.h"

#include <string>
#include <utility>

#include "common/base/errors.h"
#include "common/base/try.h"
#include "tools/shell/admin_token.h"

namespace stele::shell {
absl::StatusOr<std::unique_ptr<AdminPort>> AdminPort::Open(
    real::Shard* shard, AdminPortOptions options, absl::FunctionRef<void(http::Router&)> add_routes,
    observe::Log* log) {
  if (!options.is_on) return nullptr;
  STELE_TRY(std::string token, ReadToken(*shard, options.token_path));
  std::unique_ptr<AdminPort> port(new AdminPort(std::move(token), log));
  add_routes(port->router_);
  auto server = real::HttpServer::Start(options.at, {}, shard->executor(), &port->router_);
  if (!server.ok()) return WithContext(server.status(), "admin port");
  port->server_ = *std::move(server);
  const Endpoint at = port->server_->endpoint();
  log->Write(observe::LogLevel::kInfo, "admin port",
             {{"host", std::string_view(at.host)}, {"port", at.port}});
  return port;
}

}  // namespace stele::shell
