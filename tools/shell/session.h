// Session: what every command that talks to a cluster needs: a shard on the calling thread, and on
// it the metadata store and a client.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "common/observe/log.h"
#include "common/real/shard.h"
#include "metadata/cluster_init.h"
#include "metadata/metadata_store.h"
#include "metadata/service_uri.h"
#include "tools/shell/exit_code.h"
#include "tools/shell/output.h"

namespace stele::shell {

// The flags that all these commands share.
struct CommonOptions {
  std::string metadata_uri;        // --metadata, or STELE_METADATA
  std::string client_config_path;  // --client-conf, or STELE_CLIENT_CONF; empty: none
  Format format = Format::kTable;  // --json
};

class Session {
 public:
  //   create_if_missing   also the file of an embedded store
  //   errors   kConfig               the URI is missing or wrong
  //            kMetadataUnavailable and others of the driver
  static absl::StatusOr<std::unique_ptr<Session>> Open(const CommonOptions& options,
                                                       bool create_if_missing = false);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  // Closes the client, and ends the store's session.
  ~Session();

  real::Shard& shard() { return *shard_; }
  Env env() const { return shard_->env(); }
  metadata::MetadataStore* store() const { return store_.get(); }
  const metadata::ServiceUri& uri() const { return uri_; }
  const CommonOptions& options() const { return options_; }

  // The cluster that the URI names. kConfig: not initialised.
  absl::StatusOr<metadata::Cluster> FindCluster();

  // `options` with what --client-conf says, and a log.
  absl::StatusOr<client::ClientOptions> Complete(client::ClientOptions options);

  // A client of that cluster, on the shard; made once, closed with the session.
  absl::StatusOr<client::Client*> Connect(client::ClientOptions options = {});
  // One more, for those that need two. Gone before the session.
  absl::StatusOr<std::unique_ptr<client::Client>> ConnectAnother(
      client::ClientOptions options = {});

 private:
  Session(CommonOptions options, metadata::ServiceUri uri);

  CommonOptions options_;
  metadata::ServiceUri uri_;
  std::unique_ptr<real::Shard> shard_;
  std::unique_ptr<metadata::MetadataStore> store_;
  std::unique_ptr<observe::Log> log_;
  std::unique_ptr<client::Client> client_;
};

// Prints the error, if it is one, and gives the exit code.
ExitCode Finish(const absl::Status& status, Format format);

// Opens a session, runs `command` with it, and finishes.
ExitCode RunInSession(const CommonOptions& options,
                      const std::function<absl::Status(Session&)>& command,
                      bool create_if_missing = false);

}  // namespace stele::shell
