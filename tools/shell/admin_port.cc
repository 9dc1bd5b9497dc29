#include "tools/shell/admin_port.h"

#include <charconv>
#include <string>
#include <utility>

#include "bookie/config/tls_keys.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "tools/shell/admin_token.h"

namespace stele::shell {

absl::StatusOr<AdminPortOptions> PortOfFlag(std::string_view flag, const std::string& address,
                                            const std::string& token_path, bool tls_is_required) {
  AdminPortOptions options{.is_on = !address.empty(), .token_path = token_path};
  if (!options.is_on) return options;
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon != std::string::npos) {
    const char* const end = address.data() + address.size();
    const auto [stop, error] = std::from_chars(address.data() + colon + 1, end, port);
    if (error != std::errc() || stop != end) port = -1;
  }
  if (port < 0 || port > 65535) {
    return MakeError(ErrorCode::kConfig, StrCat(flag, " ", address, ": expected HOST:PORT"));
  }
  options.at = {address.substr(0, colon), static_cast<uint16_t>(port)};
  if (tls_is_required) {
    STELE_TRY_OK(bookie::CheckNoTokenInClear(StrCat(flag, "-token-file"), options.is_on,
                                             options.at.host, token_path));
  }
  return options;
}

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
