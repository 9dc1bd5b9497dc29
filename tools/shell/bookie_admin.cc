#include "tools/shell/bookie_admin.h"

#include <utility>

#include "common/base/errors.h"
#include "common/base/loopback.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/http/console/node_health.h"
#include "metadata/bookie_service_info.h"
#include "tools/shell/admin_token.h"
#include "tools/shell/client_config.h"
#include "tools/shell/cluster_access.h"

namespace stele::shell {
namespace {

absl::StatusOr<Endpoint> FindAdminPort(Session& session, const BookieId& bookie) {
  STELE_TRY(const metadata::Node node, ReadRegistration(session, bookie));
  return metadata::AdminEndpointOf(bookie, node.value);
}

}  // namespace

absl::Status CheckTokenStaysHere(const Endpoint& admin_port, bool tls_is_required) {
  if (!tls_is_required || IsLoopback(admin_port.host)) return absl::OkStatus();
  return MakeError(ErrorCode::kConfig,
                   StrCat("--token-file: there is no TLS on the bookie's admin port (",
                          admin_port.host, ":", admin_port.port,
                          "), and stele.tlsRequired is on: on the bookie's own machine, PUT "
                          "/api/v1/bookie/state/readonly at 127.0.0.1 (docs/HTTP.md)"));
}

BookieAdmin::BookieAdmin(Session& session, Endpoint at, std::string token)
    : session_(&session),
      at_(std::move(at)),
      token_(std::move(token)),
      fetcher_(std::make_unique<real::RealHttpFetcher>(session.shard().executor())) {}

absl::StatusOr<BookieAdmin> BookieAdmin::Open(Session& session, const BookieId& bookie,
                                              const std::string& token_path) {
  STELE_TRY(std::string token, ReadToken(session.shard(), token_path));
  if (token.empty()) {
    return MakeError(ErrorCode::kConfig, "give --token-file: the bookie asks for its token");
  }
  STELE_TRY(Endpoint at, FindAdminPort(session, bookie));
  client::ClientOptions unused;
  STELE_TRY(const bookie::TlsSettings tls,
            UseClientConfig(session.shard(), session.options().client_config_path, unused));
  STELE_TRY_OK(CheckTokenStaysHere(at, tls.is_required));
  return BookieAdmin(session, std::move(at), std::move(token));
}

absl::Status BookieAdmin::SetReadOnly(bool read_only) {
  return session_->shard()
      .RunUntil(fetcher_->Put(at_, "/api/v1/bookie/state/readonly",
                              StrCat("{\"readOnly\": ", read_only ? "true" : "false", "}"), token_))
      .status();
}

absl::StatusOr<bool> BookieAdmin::IsRegisteredReadOnly() {
  STELE_TRY(const std::string said, session_->shard().RunUntil(fetcher_->Get(at_, "/readyz")));
  return said == "read-only\n";
}

absl::StatusOr<int64_t> BookieAdmin::AddsInProgress() {
  STELE_TRY(const std::string metrics, session_->shard().RunUntil(fetcher_->Get(at_, "/metrics")));
  const http::NodeHealth health = http::ReadNodeHealth(metrics);
  const auto adds = health.values.find("adds_in_progress");
  if (adds != health.values.end()) return adds->second;
  return MakeError(ErrorCode::kCorruptData, "its measurements do not tell the adds in progress");
}

}  // namespace stele::shell
