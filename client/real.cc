#include "client/real.h"

#include <utility>

#include "common/base/errors.h"
#include "common/base/try.h"
#include "common/real/shard.h"
#include "metadata/cluster_init.h"
#include "metadata/drivers/open_metadata_store.h"
#include "metadata/service_uri.h"

namespace stele::client {

struct Connection::State {
  real::Shard shard{{.name = "stele-client"}};
  std::unique_ptr<metadata::MetadataStore> store;
  std::unique_ptr<Client> client;

  Task<absl::Status> Open(metadata::ServiceUri uri, ClientOptions options) {
    const Env env = shard.env();
    STELE_CO_TRY(store, co_await metadata::OpenMetadataStore(uri, env.executor, env.clock,
                                                             {.create_if_missing = false}));
    STELE_CO_TRY(metadata::Cluster cluster,
                 co_await metadata::OpenCluster(store.get(), uri.root, uri.layout));
    STELE_CO_TRY(client, co_await Client::Connect(env, store.get(), std::move(cluster), options));
    co_return absl::OkStatus();
  }

  Task<void> Close() {
    if (client != nullptr) (co_await client->Close()).IgnoreError();  // nobody is left to tell
    client.reset();
    if (store != nullptr) co_await store->Close();
    store.reset();
  }
};

Connection::Connection(std::unique_ptr<State> state) : state_(std::move(state)) {}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(
    const std::string& metadata_service_uri, ClientOptions options) {
  STELE_TRY(metadata::ServiceUri uri, metadata::ParseServiceUri(metadata_service_uri));
  auto state = std::make_unique<State>();
  const absl::Status opened =
      state->shard.RunUntil(state->Open(std::move(uri), std::move(options)));
  if (!opened.ok()) {
    state->shard.RunUntil(state->Close());
    return opened;
  }
  state->shard.Start();
  return std::unique_ptr<Connection>(new Connection(std::move(state)));
}

Connection::~Connection() {
  state_->shard.Stop();
  state_->shard.RunUntil(state_->Close());
}

Client& Connection::client() { return *state_->client; }

}  // namespace stele::client
