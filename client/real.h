// Connection: a Client in the real world, for applications. It runs the client's shard on a thread
// of its own; the application calls from its threads, by future or callback.
//
//   STELE_TRY(auto cluster, Connection::Open("zk+hierarchical://zk1:2181/ledgers"));
//   STELE_TRY(WriteHandle writer, cluster->client().CreateLedger().Create(UseFuture()).get());
//   STELE_TRY(EntryId first, writer.Append(Buffer::CopyOf("hello"), UseFuture()).get());
//
// With TLS: STELE_TRY(options.tls, real::LoadTlsCredentials({.trust_path = "/etc/ca.pem"}));
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/client.h"
#include "client/client_options.h"
#include "common/real/tls_credentials.h"

namespace stele::client {

class Connection {
 public:
  // Finds the cluster that a metadata service URI names: zk+hierarchical://host:port/ledgers or
  // sqlite:///path/metadata.db.
  //   errors   kConfig               the URI is wrong, or the cluster is not initialised
  //            kMetadataUnavailable  the store does not answer
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string& metadata_service_uri,
                                                          ClientOptions options = {});
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;
  // Closes the client: what is pending fails with kStopped. Not from a callback. Handles may
  // outlive it; they fail from then on.
  ~Connection();

  // Use the forms with UseFuture() or a callback. A callback runs on the client's thread: it must
  // not wait for a future.
  Client& client();

 private:
  struct State;
  explicit Connection(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace stele::client
