// AdminPort: the HTTP side of a daemon, off unless it is asked for.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/http/router.h"
#include "common/observe/log.h"
#include "common/real/http_server.h"
#include "common/real/shard.h"

namespace stele::shell {

struct AdminPortOptions {
  bool is_on = false;
  Endpoint at;             // port 0: any free one
  std::string token_path;  // of the file with the token for changes; empty: no changes
};

// As flags have it: `flag` HOST:PORT, with `flag`-token-file. Off without an address. Pure.
//   tls_is_required   stele.tlsRequired, of a client
//   errors            kConfig
absl::StatusOr<AdminPortOptions> PortOfFlag(std::string_view flag, const std::string& address,
                                            const std::string& token_path, bool tls_is_required);

class AdminPort {
 public:
  // Serves from now on what `add_routes` adds; null when it is off. `shard`, `log` and what the
  // routes use outlive it.
  //   errors   kConfig, kIoError: the token file cannot be used, or the address not be had
  static absl::StatusOr<std::unique_ptr<AdminPort>> Open(
      real::Shard* shard, AdminPortOptions options,
      absl::FunctionRef<void(http::Router&)> add_routes, observe::Log* log);

  // With the port that it got.
  Endpoint endpoint() const { return server_->endpoint(); }

 private:
  AdminPort(std::string token, observe::Log* log) : router_(std::move(token), log) {}

  http::Router router_;
  std::unique_ptr<real::HttpServer> server_;
};

}  // namespace stele::shell
