// BookieAdmin: what commands ask of one bookie through its admin port, which the store names.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"
#include "common/real/http_fetcher.h"
#include "tools/shell/session.h"

namespace stele::shell {

// With stele.tlsRequired in --client-conf a token is sent to a bookie's admin port, which has no
// TLS, on this machine only: kConfig otherwise. Pure.
absl::Status CheckTokenStaysHere(const Endpoint& admin_port, bool tls_is_required);

class BookieAdmin {
 public:
  // Finds the port. `session` outlives it.
  //   token_path   of the file with the token that the bookie takes (docs/HTTP.md)
  //   errors   kConfig        the token file cannot be used, or none is given; the token would
  //                           travel in clear, and must not; what is wrong in --client-conf
  //            kNoSuchKey     the bookie is not registered, or has no admin port
  //            kUnsupported   its admin port is for its own machine only
  static absl::StatusOr<BookieAdmin> Open(Session& session, const BookieId& bookie,
                                          const std::string& token_path);

  // Errors are those of HttpFetcher: kReadFailed: it refused, as it does when its configuration or
  // the token is another.
  absl::Status SetReadOnly(bool read_only);
  // Whether the registry says so too: then nobody chooses it for new entries.
  absl::StatusOr<bool> IsRegisteredReadOnly();
  // Adds that are not answered yet.
  absl::StatusOr<int64_t> AddsInProgress();

 private:
  BookieAdmin(Session& session, Endpoint at, std::string token);

  Session* session_;
  Endpoint at_;
  std::string token_;
  std::unique_ptr<real::RealHttpFetcher> fetcher_;
};

}  // namespace stele::shell
