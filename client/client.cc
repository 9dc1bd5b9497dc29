#include "client/client.h"

#include <utility>

#include "client/internal/client_core.h"
#include "client/internal/client_edge.h"
#include "common/base/try.h"
#include "metadata/cluster_init.h"

namespace stele::client {
namespace {

auto DeleteOf(LedgerId id) {
  return [id](ClientCore& core) { return core.Delete(id); };
}
auto ListOf() {
  return [](ClientCore& core) { return core.ListLedgers(); };
}

Task<absl::StatusOr<metadata::LedgerMetadata>> ReadValue(ClientCore* core, LedgerId id) {
  STELE_CO_TRY(metadata::Versioned<metadata::LedgerMetadata> read, co_await core->ReadMetadata(id));
  co_return std::move(read.value);
}
auto ReadMetadataOf(LedgerId id) {
  return [id](ClientCore& core) { return ReadValue(&core, id); };
}

struct CloseJob {
  ClientCore* core;
  StatusCallback done;
  void operator()() { core->StartClose(std::move(done)); }
};

}  // namespace

Client::Client(std::unique_ptr<ClientCore> core, Executor* executor)
    : core_(std::move(core)), edge_(std::make_shared<ClientEdge>(core_.get(), executor)) {}

Client::~Client() = default;

Task<absl::StatusOr<std::unique_ptr<Client>>> Client::Connect(Env env,
                                                              metadata::MetadataStore* store,
                                                              metadata::Cluster cluster,
                                                              ClientOptions options) {
  auto core = std::make_unique<ClientCore>(env, store, std::move(cluster), options);
  STELE_CO_TRY_OK(co_await core->Start());
  co_return std::unique_ptr<Client>(new Client(std::move(core), env.executor));
}

CreateLedgerBuilder Client::CreateLedger() { return CreateLedgerBuilder(edge_); }
OpenLedgerBuilder Client::OpenLedger(LedgerId id) { return OpenLedgerBuilder(edge_, id); }

Task<absl::Status> Client::DeleteLedger(LedgerId id) {
  return edge_->Start<absl::Status>(DeleteOf(id));
}
std::future<absl::Status> Client::DeleteLedger(LedgerId id, UseFuture form) {
  return edge_->Start<absl::Status>(DeleteOf(id), form);
}
void Client::DeleteLedger(LedgerId id, StatusCallback done) {
  edge_->Start<absl::Status>(DeleteOf(id), std::move(done));
}

Task<absl::StatusOr<LedgerIds>> Client::ListLedgers() {
  return edge_->Start<absl::StatusOr<LedgerIds>>(ListOf());
}
std::future<absl::StatusOr<LedgerIds>> Client::ListLedgers(UseFuture form) {
  return edge_->Start<absl::StatusOr<LedgerIds>>(ListOf(), form);
}
void Client::ListLedgers(Callback<LedgerIds> done) {
  edge_->Start<absl::StatusOr<LedgerIds>>(ListOf(), std::move(done));
}

Task<absl::StatusOr<metadata::LedgerMetadata>> Client::ReadMetadata(LedgerId id) {
  return edge_->Start<absl::StatusOr<metadata::LedgerMetadata>>(ReadMetadataOf(id));
}
std::future<absl::StatusOr<metadata::LedgerMetadata>> Client::ReadMetadata(LedgerId id,
                                                                           UseFuture form) {
  return edge_->Start<absl::StatusOr<metadata::LedgerMetadata>>(ReadMetadataOf(id), form);
}
void Client::ReadMetadata(LedgerId id, Callback<metadata::LedgerMetadata> done) {
  edge_->Start<absl::StatusOr<metadata::LedgerMetadata>>(ReadMetadataOf(id), std::move(done));
}

Task<absl::Status> Client::Close() {
  return edge_->WaitFor<absl::Status>([&](StatusCallback done) { Close(std::move(done)); });
}
std::future<absl::Status> Client::Close(UseFuture) {
  auto [done, future] = MakeFutureCallback<absl::Status>();
  Close(std::move(done));
  return std::move(future);
}
void Client::Close(StatusCallback done) {
  CloseJob job{core_.get(), std::move(done)};
  // A client that is closed already is as closed as it can be, and Run does not touch what it
  // refuses. NOLINTNEXTLINE(bugprone-use-after-move)
  if (!edge_->queue().Run(std::move(job))) std::move(job.done)(absl::OkStatus());
}

}  // namespace stele::client
