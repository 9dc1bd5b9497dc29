#include "client/builders.h"

#include <utility>

#include "client/internal/client_edge.h"
#include "common/base/try.h"

namespace stele::client {

struct HandleMaker {
  static WriteHandle Make(std::shared_ptr<ClientEdge> edge, Held<LedgerWriter> held) {
    return WriteHandle(std::make_shared<Lease<LedgerWriter>>(std::move(edge), std::move(held)));
  }
  static ReadHandle Make(std::shared_ptr<ClientEdge> edge, Held<LedgerReader> held) {
    return ReadHandle(std::make_shared<Lease<LedgerReader>>(std::move(edge), std::move(held)));
  }
};

namespace {

using Created = absl::StatusOr<WriteHandle>;
using Opened = absl::StatusOr<ReadHandle>;

Task<Created> CreateIn(ClientCore* core, std::shared_ptr<ClientEdge> edge, CreateSpec spec) {
  STELE_CO_TRY(Held<LedgerWriter> held, co_await core->Create(std::move(spec)));
  co_return HandleMaker::Make(std::move(edge), std::move(held));
}

Task<Opened> OpenIn(ClientCore* core, std::shared_ptr<ClientEdge> edge, OpenSpec spec) {
  STELE_CO_TRY(Held<LedgerReader> held, co_await core->Open(std::move(spec)));
  co_return HandleMaker::Make(std::move(edge), std::move(held));
}

Task<Created> ClaimIn(ClientCore* core, std::shared_ptr<ClientEdge> edge, OpenSpec spec) {
  STELE_CO_TRY(Held<LedgerWriter> held, co_await core->Claim(std::move(spec)));
  co_return HandleMaker::Make(std::move(edge), std::move(held));
}

auto CreateOf(std::shared_ptr<ClientEdge> edge, CreateSpec spec) {
  return [edge = std::move(edge), spec = std::move(spec)](ClientCore& core) mutable {
    return CreateIn(&core, std::move(edge), std::move(spec));
  };
}
auto OpenOf(std::shared_ptr<ClientEdge> edge, OpenSpec spec) {
  return [edge = std::move(edge), spec = std::move(spec)](ClientCore& core) mutable {
    return OpenIn(&core, std::move(edge), std::move(spec));
  };
}

auto ClaimOf(std::shared_ptr<ClientEdge> edge, OpenSpec spec) {
  return [edge = std::move(edge), spec = std::move(spec)](ClientCore& core) mutable {
    return ClaimIn(&core, std::move(edge), std::move(spec));
  };
}

}  // namespace

CreateLedgerBuilder::CreateLedgerBuilder(std::shared_ptr<ClientEdge> edge)
    : edge_(std::move(edge)), spec_(std::make_unique<CreateSpec>()) {}
CreateLedgerBuilder::CreateLedgerBuilder(CreateLedgerBuilder&&) noexcept = default;
CreateLedgerBuilder::~CreateLedgerBuilder() = default;

CreateLedgerBuilder& CreateLedgerBuilder::Replication(quorum::Replication replication) {
  spec_->replication = replication;
  return *this;
}
CreateLedgerBuilder& CreateLedgerBuilder::Password(std::string password) {
  spec_->password = std::move(password);
  return *this;
}
CreateLedgerBuilder& CreateLedgerBuilder::Digest(DigestType type) {
  spec_->digest_type = type;
  return *this;
}
CreateLedgerBuilder& CreateLedgerBuilder::CustomMetadata(
    std::map<std::string, std::string> metadata) {
  spec_->custom_metadata = std::move(metadata);
  return *this;
}
CreateLedgerBuilder& CreateLedgerBuilder::Id(LedgerId id) {
  spec_->id = id;
  return *this;
}
CreateLedgerBuilder& CreateLedgerBuilder::CallerAssignsEntryIds() {
  spec_->mode.ids = AppendWindow::Ids::kGivenByCaller;
  return *this;
}
CreateLedgerBuilder& CreateLedgerBuilder::DeferredSync() {
  spec_->mode.durability = AppendWindow::Durability::kDeferred;
  return *this;
}

Task<Created> CreateLedgerBuilder::Create() {
  return edge_->Start<Created>(CreateOf(edge_, *spec_));
}
std::future<Created> CreateLedgerBuilder::Create(UseFuture form) {
  return edge_->Start<Created>(CreateOf(edge_, *spec_), form);
}
void CreateLedgerBuilder::Create(Callback<WriteHandle> done) {
  edge_->Start<Created>(CreateOf(edge_, *spec_), std::move(done));
}

OpenLedgerBuilder::OpenLedgerBuilder(std::shared_ptr<ClientEdge> edge, LedgerId id)
    : edge_(std::move(edge)), spec_(std::make_unique<OpenSpec>(OpenSpec{.id = id})) {}
OpenLedgerBuilder::OpenLedgerBuilder(OpenLedgerBuilder&&) noexcept = default;
OpenLedgerBuilder::~OpenLedgerBuilder() = default;

OpenLedgerBuilder& OpenLedgerBuilder::Password(std::string password) {
  spec_->password = std::move(password);
  return *this;
}
OpenLedgerBuilder& OpenLedgerBuilder::Recover() {
  spec_->recover = true;
  return *this;
}

Task<Opened> OpenLedgerBuilder::Open() { return edge_->Start<Opened>(OpenOf(edge_, *spec_)); }
std::future<Opened> OpenLedgerBuilder::Open(UseFuture form) {
  return edge_->Start<Opened>(OpenOf(edge_, *spec_), form);
}
void OpenLedgerBuilder::Open(Callback<ReadHandle> done) {
  edge_->Start<Opened>(OpenOf(edge_, *spec_), std::move(done));
}

Task<Created> OpenLedgerBuilder::Claim() { return edge_->Start<Created>(ClaimOf(edge_, *spec_)); }
std::future<Created> OpenLedgerBuilder::Claim(UseFuture form) {
  return edge_->Start<Created>(ClaimOf(edge_, *spec_), form);
}
void OpenLedgerBuilder::Claim(Callback<WriteHandle> done) {
  edge_->Start<Created>(ClaimOf(edge_, *spec_), std::move(done));
}

}  // namespace stele::client
