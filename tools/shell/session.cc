#include "tools/shell/session.h"

#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/drivers/open_metadata_store.h"
#include "tools/shell/client_config.h"
#include "tools/shell/text_log.h"

namespace stele::shell {
namespace {

constexpr absl::Duration kMetadataTimeout = absl::Seconds(10);

}  // namespace

Session::Session(CommonOptions options, metadata::ServiceUri uri)
    : options_(std::move(options)),
      uri_(std::move(uri)),
      shard_(std::make_unique<real::Shard>(real::ShardOptions{.name = "stele"})) {}

absl::StatusOr<std::unique_ptr<Session>> Session::Open(const CommonOptions& options,
                                                       bool create_if_missing) {
  if (options.metadata_uri.empty()) {
    return MakeError(ErrorCode::kConfig,
                     "no metadata store: give --metadata sqlite:///path/meta.db or "
                     "zk+hierarchical://host:2181/ledgers, or set STELE_METADATA");
  }
  STELE_TRY(metadata::ServiceUri uri, metadata::ParseServiceUri(options.metadata_uri));
  std::unique_ptr<Session> session(new Session(options, std::move(uri)));
  STELE_TRY(session->store_,
            session->shard().RunUntil(metadata::OpenMetadataStore(
                session->uri_, session->env().executor, session->env().clock,
                {.create_if_missing = create_if_missing, .operation_timeout = kMetadataTimeout})));
  return session;
}

Session::~Session() {
  // What a client has to say about its end helps nobody any more.
  if (client_ != nullptr) shard_->RunUntil(client_->Close()).IgnoreError();
  client_.reset();
  if (store_ != nullptr) shard_->RunUntil(store_->Close());
  store_.reset();
}

absl::StatusOr<metadata::Cluster> Session::FindCluster() {
  return shard_->RunUntil(metadata::OpenCluster(store_.get(), uri_.root, uri_.layout));
}

absl::StatusOr<client::ClientOptions> Session::Complete(client::ClientOptions options) {
  STELE_TRY_OK(UseClientConfig(*shard_, options_.client_config_path, options).status());
  if (log_ == nullptr) log_ = MakeTextLog(LogFormat::kText, "");
  options.log = log_.get();
  return options;
}

absl::StatusOr<client::Client*> Session::Connect(client::ClientOptions options) {
  if (client_ != nullptr) return client_.get();
  STELE_TRY(client_, ConnectAnother(std::move(options)));
  return client_.get();
}

absl::StatusOr<std::unique_ptr<client::Client>> Session::ConnectAnother(
    client::ClientOptions options) {
  STELE_TRY(metadata::Cluster cluster, FindCluster());
  STELE_TRY(options, Complete(std::move(options)));
  return shard_->RunUntil(
      client::Client::Connect(env(), store_.get(), std::move(cluster), std::move(options)));
}

ExitCode Finish(const absl::Status& status, Format format) {
  if (!status.ok()) PrintError(status, format);
  return ExitCodeOf(status);
}

ExitCode RunInSession(const CommonOptions& options,
                      const std::function<absl::Status(Session&)>& command,
                      bool create_if_missing) {
  const absl::StatusOr<std::unique_ptr<Session>> session =
      Session::Open(options, create_if_missing);
  if (!session.ok()) return Finish(session.status(), options.format);
  return Finish(command(**session), options.format);
}

}  // namespace stele::shell
