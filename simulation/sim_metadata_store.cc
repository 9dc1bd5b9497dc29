#include "simulation/sim_metadata_store.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/drivers/node_path.h"
#include "simulation/sim_metadata_client.h"

namespace stele::simulation {
namespace {

using metadata::Node;
using metadata::NodeKind;
using metadata::Version;

// Until a client whose connection broke has a new one, at most.
constexpr absl::Duration kReconnectMax = absl::Milliseconds(500);

class SimMetadataStore : public metadata::MetadataStore {
 public:
  explicit SimMetadataStore(std::shared_ptr<SimMetadataClient> client)
      : client_(std::move(client)) {}
  ~SimMetadataStore() override { client_->Destroy(); }

  Task<absl::StatusOr<Node>> Get(std::string path) override {
    STELE_CO_TRY_OK(metadata::CheckNodePath(path));
    MetadataReply reply = co_await client_->Perform({MetadataOperation::kGet, std::move(path)});
    if (!reply.status.ok()) co_return std::move(reply.status);
    co_return std::move(reply.node);
  }

  Task<absl::Status> Create(std::string path, std::string value, NodeKind kind) override {
    STELE_CO_TRY_OK(metadata::CheckNodePath(path));
    STELE_CO_TRY_OK(metadata::CheckNodeValue(path, value));
    MetadataReply reply = co_await client_->Perform(
        {MetadataOperation::kCreate, std::move(path), std::move(value), kind});
    co_return std::move(reply.status);
  }

  Task<absl::StatusOr<std::string>> CreateSequential(std::string path_prefix, std::string value,
                                                     NodeKind kind) override {
    STELE_CO_TRY_OK(metadata::CheckSequentialPrefix(path_prefix));
    STELE_CO_TRY_OK(metadata::CheckNodeValue(path_prefix, value));
    MetadataReply reply = co_await client_->Perform(
        {MetadataOperation::kCreateSequential, std::move(path_prefix), std::move(value), kind});
    if (!reply.status.ok()) co_return std::move(reply.status);
    co_return std::move(reply.path);
  }

  Task<absl::StatusOr<Version>> Put(std::string path, std::string value,
                                    Version expected) override {
    STELE_CO_TRY_OK(metadata::CheckNodePath(path));
    STELE_CO_TRY_OK(metadata::CheckNodeValue(path, value));
    MetadataReply reply =
        co_await client_->Perform({MetadataOperation::kPut, std::move(path), std::move(value),
                                   NodeKind::kPersistent, expected});
    if (!reply.status.ok()) co_return std::move(reply.status);
    co_return reply.version;
  }

  Task<absl::Status> Delete(std::string path, Version expected) override {
    STELE_CO_TRY_OK(metadata::CheckNodePath(path));
    MetadataReply reply = co_await client_->Perform(
        {MetadataOperation::kDelete, std::move(path), "", NodeKind::kPersistent, expected});
    co_return std::move(reply.status);
  }

  Task<absl::Status> DeleteTogether(std::vector<metadata::Deletion> nodes) override {
    for (const metadata::Deletion& node : nodes) {
      STELE_CO_TRY_OK(metadata::CheckNodePath(node.path));
    }
    MetadataRequest request{MetadataOperation::kDeleteTogether, nodes.front().path};
    request.deletions = std::move(nodes);
    MetadataReply reply = co_await client_->Perform(std::move(request));
    co_return std::move(reply.status);
  }

  Task<absl::StatusOr<std::vector<std::string>>> Children(std::string path) override {
    STELE_CO_TRY_OK(metadata::CheckNodePath(path));
    MetadataReply reply =
        co_await client_->Perform({MetadataOperation::kChildren, std::move(path)});
    if (!reply.status.ok()) co_return std::move(reply.status);
    co_return std::move(reply.names);
  }

  std::unique_ptr<metadata::Watch> WatchNode(std::string path,
                                             metadata::WatchCallback changed) override {
    return client_->AddWatch(SimMetadataTree::Changed::kNode, std::move(path), std::move(changed));
  }
  std::unique_ptr<metadata::Watch> WatchChildren(std::string path,
                                                 metadata::WatchCallback changed) override {
    return client_->AddWatch(SimMetadataTree::Changed::kChildren, std::move(path),
                             std::move(changed));
  }
  std::unique_ptr<metadata::Watch> WatchSession(metadata::SessionCallback changed) override {
    return client_->AddSessionWatch(std::move(changed));
  }

  Task<void> Close() override { return client_->Close(); }

 private:
  std::shared_ptr<SimMetadataClient> client_;
};

}  // namespace

SimMetadataServer::SimMetadataServer(Scheduler* scheduler, SimMetadataOptions options)
    : scheduler_(scheduler), options_(options), random_(scheduler->random().Child("metadata")) {}

SimMetadataServer::~SimMetadataServer() { STELE_CHECK(clients_.empty()); }

absl::Duration SimMetadataServer::DrawDelay() {
  const auto spread = static_cast<uint64_t>(absl::ToInt64Nanoseconds(options_.delay_spread));
  const absl::Duration delay =
      options_.delay_min + absl::Nanoseconds(static_cast<int64_t>(random_.Below(spread + 1)));
  return delay * slowness_;
}

absl::Duration SimMetadataServer::DrawWatchDelay() {
  if (watch_delay_max_ == absl::ZeroDuration()) return absl::ZeroDuration();
  const auto spread = static_cast<uint64_t>(absl::ToInt64Nanoseconds(watch_delay_max_));
  return absl::Nanoseconds(static_cast<int64_t>(random_.Below(spread + 1)));
}

// ---- Clients and sessions

std::unique_ptr<metadata::MetadataStore> SimMetadataServer::NewStore(SimExecutor* executor) {
  auto client = std::make_shared<SimMetadataClient>(this, executor);
  clients_.push_back(client);
  client->Open();
  return std::make_unique<SimMetadataStore>(std::move(client));
}

void SimMetadataServer::Forget(const std::shared_ptr<SimMetadataClient>& client) {
  std::erase(clients_, client);
  const auto session = sessions_.find(client->session());
  if (session == sessions_.end()) return;
  session->second.client = nullptr;
  StartTimeout(session->first);
}

bool SimMetadataServer::IsReachable(const SimMetadataClient& client) const {
  return !stopped_ &&
         (disconnected_.empty() || !disconnected_.contains(client.executor()->process()->name()));
}

uint64_t SimMetadataServer::NewSession(std::shared_ptr<SimMetadataClient> client) {
  const uint64_t session = ++sessions_made_;
  scheduler_->trace().Record(TraceKind::kSession, session, client->executor()->id());
  sessions_[session] = {session, std::move(client)};
  return session;
}

void SimMetadataServer::EndSession(uint64_t session) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end()) return;
  scheduler_->trace().Record(TraceKind::kSession, session, UINT64_MAX);
  StopTimeout(session);
  if (found->second.client != nullptr) scheduler_->faults().Count("metadata.session_ended");
  for (auto watched = watches_.begin(); watched != watches_.end();) {
    auto& who = watched->second;
    who.erase(who.lower_bound({session, 0}), who.lower_bound({session + 1, 0}));
    watched = who.empty() ? watches_.erase(watched) : std::next(watched);
  }
  sessions_.erase(found);
  tree_.RemoveOwned(session, [this](SimMetadataTree::Changed what, const std::string& path) {
    OnChange(what, path);
  });
}

void SimMetadataServer::StartTimeout(uint64_t session) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end() || stopped_) return;
  StopTimeout(session);
  found->second.timeout = scheduler_->CallAfter(scheduler_->world(), options_.session_timeout,
                                                [this, session] { EndSession(session); });
}

void SimMetadataServer::StopTimeout(uint64_t session) {
  const auto found = sessions_.find(session);
  if (found == sessions_.end() || !found->second.timeout.has_value()) return;
  scheduler_->Cancel(*found->second.timeout);
  found->second.timeout.reset();
}

std::vector<std::shared_ptr<SimMetadataClient>> SimMetadataServer::ClientsOf(
    const SimProcess* process) const {
  std::vector<std::shared_ptr<SimMetadataClient>> result;
  for (const std::shared_ptr<SimMetadataClient>& client : clients_) {
    if (client->executor()->process() == process) result.push_back(client);
  }
  return result;
}

// ---- Faults

void SimMetadataServer::Disconnect(SimProcess* process) {
  if (!disconnected_.insert(process->name()).second) return;
  scheduler_->faults().Count("metadata.disconnect");
  for (const std::shared_ptr<SimMetadataClient>& client : ClientsOf(process)) {
    client->OnCut();
    StartTimeout(client->session());
  }
}

void SimMetadataServer::Reconnect(SimProcess* process) {
  if (disconnected_.erase(process->name()) == 0) return;
  for (const std::shared_ptr<SimMetadataClient>& client : ClientsOf(process)) {
    client->OnRestored();
  }
}

void SimMetadataServer::BreakLink(const std::shared_ptr<SimMetadataClient>& client) {
  if (!HasSession(client->session())) return;
  client->OnCut();
  StartTimeout(client->session());
  const auto most = static_cast<uint64_t>(absl::ToInt64Nanoseconds(kReconnectMax));
  scheduler_->CallAfter(scheduler_->world(),
                        absl::Nanoseconds(static_cast<int64_t>(random_.Below(most))),
                        [client] { client->OnRestored(); });
}

void SimMetadataServer::Stop() {
  if (std::exchange(stopped_, true)) return;
  scheduler_->faults().Count("metadata.outage");
  for (const auto& [id, session] : sessions_) StopTimeout(id);
  for (const std::shared_ptr<SimMetadataClient>& client : clients_) client->OnCut();
}

void SimMetadataServer::Start() {
  if (!std::exchange(stopped_, false)) return;
  // Each session gets its whole time to be heard of again.
  for (const auto& [id, session] : sessions_) StartTimeout(id);
  for (const std::shared_ptr<SimMetadataClient>& client : clients_) client->OnRestored();
}

void SimMetadataServer::Expire(SimProcess* process) {
  for (const std::shared_ptr<SimMetadataClient>& client : ClientsOf(process)) {
    EndSession(client->session());
    client->OnRestored();
  }
}

void SimMetadataServer::OnPause(SimProcess* process) {
  for (const std::shared_ptr<SimMetadataClient>& client : ClientsOf(process)) {
    StartTimeout(client->session());
  }
}

void SimMetadataServer::OnResume(SimProcess* process) {
  for (const std::shared_ptr<SimMetadataClient>& client : ClientsOf(process)) {
    if (!IsReachable(*client)) continue;
    if (HasSession(client->session())) {
      StopTimeout(client->session());
    } else {
      scheduler_->faults().Count("metadata.expired_in_pause");
      client->OnRestored();
    }
  }
}

MetadataReply SimMetadataServer::ActAsOperator(const MetadataRequest& request) {
  scheduler_->faults().Count("metadata.operator");
  scheduler_->trace().Record(TraceKind::kMetadata, static_cast<uint64_t>(request.operation),
                             DigestOf(request.path) * 31 + DigestOf(request.value));
  return tree_.Apply(0, request, [this](SimMetadataTree::Changed what, const std::string& path) {
    OnChange(what, path);
  });
}

void SimMetadataServer::RestoreBackup(SimMetadataTree backup) {
  scheduler_->faults().Count("metadata.amnesia");
  std::vector<uint64_t> sessions;
  for (const auto& [id, session] : sessions_) sessions.push_back(id);
  for (const uint64_t session : sessions) EndSession(session);
  tree_ = std::move(backup);
  tree_.RemoveAllOwned();
  for (const std::shared_ptr<SimMetadataClient>& client : clients_) client->OnRestored();
}

void SimMetadataServer::Heal() {
  slowness_ = 1;
  watch_delay_max_ = absl::ZeroDuration();
  lose_replies_.clear();
  lose_requests_.clear();
  failing_reads_.clear();
  const std::set<std::string> disconnected = std::exchange(disconnected_, {});
  for (const std::shared_ptr<SimMetadataClient>& client : clients_) {
    if (disconnected.contains(client->executor()->process()->name())) client->OnRestored();
  }
  Start();
}

bool SimMetadataServer::FailsRead(const SimMetadataClient& client) {
  const auto found = failing_reads_.find(client.executor()->process()->name());
  return found != failing_reads_.end() && random_.Chance(found->second, 1'000);
}

bool SimMetadataServer::TakeOne(std::map<std::string, int>* counts,
                                const SimMetadataClient& client) {
  const auto found = counts->find(client.executor()->process()->name());
  if (found == counts->end()) return false;
  if (--found->second == 0) counts->erase(found);
  return true;
}

// ---- Requests and watches

std::optional<MetadataReply> SimMetadataServer::OnRequest(const SimMetadataClient& client,
                                                          const MetadataRequest& request) {
  if (!sessions_.contains(client.session())) return std::nullopt;
  const bool write = IsWrite(request.operation);
  if (write && TakeOne(&lose_requests_, client)) {
    scheduler_->faults().Count("metadata.lost_request");
    return std::nullopt;
  }
  if (!write && FailsRead(client)) {
    scheduler_->faults().Count("metadata.failed_read");
    return MetadataReply{
        MakeError(ErrorCode::kMetadataUnavailable, StrCat(request.path, ": not now"))};
  }
  MetadataReply reply = tree_.Apply(
      client.session(), request,
      [this](SimMetadataTree::Changed what, const std::string& path) { OnChange(what, path); });
  scheduler_->trace().Record(
      TraceKind::kMetadata,
      client.session() * 64 + static_cast<uint64_t>(request.operation) * 2 + reply.status.ok(),
      DigestOf(request.path) * 31 + DigestOf(request.value));
  if (write && reply.status.ok() && observer_ != nullptr) {
    const std::string& process = client.executor()->process()->name();
    if (request.operation != MetadataOperation::kDeleteTogether) {
      observer_->OnWritten(process, request);
    }
    for (const metadata::Deletion& deletion : request.deletions) {
      observer_->OnWritten(process, {.operation = MetadataOperation::kDelete,
                                     .path = deletion.path,
                                     .expected = deletion.expected});
    }
  }
  if (write && TakeOne(&lose_replies_, client)) {
    scheduler_->faults().Count("metadata.lost_reply");
    return std::nullopt;
  }
  return reply;
}

void SimMetadataServer::Disarm(uint64_t session, const WatchKey& key, uint64_t watch) {
  const auto found = watches_.find(key);
  if (found == watches_.end()) return;
  found->second.erase({session, watch});
  if (found->second.empty()) watches_.erase(found);
}

void SimMetadataServer::OnChange(SimMetadataTree::Changed what, const std::string& path) {
  const auto found = watches_.find({what, path});
  if (found == watches_.end()) return;
  for (const auto& [session, watch] : found->second) {
    const std::shared_ptr<SimMetadataClient>& client = sessions_.at(session).client;
    if (client != nullptr) client->SendEvent(watch);
  }
}

}  // namespace stele::simulation
