#include "metadata/zookeeper/testing/fake_zookeeper.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/async/completion.h"
#include "common/base/strings.h"
#include "metadata/drivers/node_path.h"

namespace stele::metadata {
namespace {

ZooKeeperReply Only(ZooKeeperCode code) { return {.code = code}; }

}  // namespace

struct FakeZooKeeper::Connection : std::enable_shared_from_this<FakeZooKeeper::Connection> {
  struct Pending {
    Request request;
    std::string path;
    std::function<ZooKeeperReply()> apply;
    ZooKeeperSession::Done done;
  };

  FakeZooKeeper* server;
  Executor* executor;
  ZooKeeperSessionListener* listener;  // nullptr after Forget()
  int64_t id = 0;
  bool connected = false;
  bool ended = false;
  std::deque<Pending> requests;
  std::deque<Job> deliveries;   // to the client, in their order
  std::vector<uint64_t> fired;  // while there was no connection
  std::set<std::pair<std::string, uint64_t>> node_watches;
  std::set<std::pair<std::string, uint64_t>> child_watches;

  // The client has closed or destroyed its session. (Requests keep their connection.)
  void Forget() {
    listener = nullptr;
    requests.clear();
    deliveries.clear();
  }

  // Jobs of one executor have no order; what a session says has.
  void Deliver(Job job) {
    deliveries.push_back(std::move(job));
    executor->Post([self = shared_from_this()] {
      if (self->deliveries.empty()) return;
      Job next = std::move(self->deliveries.front());
      self->deliveries.pop_front();
      if (self->listener != nullptr) std::move(next)();
    });
  }
  void Reply(ZooKeeperSession::Done done, ZooKeeperReply reply) {
    Deliver(
        [done = std::move(done), reply = std::move(reply)]() mutable { done(std::move(reply)); });
  }
  void SayState(ZooKeeperSessionState state) {
    Deliver([this, state] { listener->OnState(state, "the fake says so"); });
  }
  void FireWatch(uint64_t watch) {
    if (!connected) return fired.push_back(watch);
    Deliver([this, watch] { listener->OnWatch(watch); });
  }

  // The watches on `path` fire, and are armed no more.
  void FireAll(std::set<std::pair<std::string, uint64_t>>* watches, const std::string& path) {
    for (auto watch = watches->lower_bound({path, 0});
         watch != watches->end() && watch->first == path; watch = watches->erase(watch)) {
      FireWatch(watch->second);
    }
  }

  void Send(Pending pending) {
    if (ended || !connected)
      return Reply(std::move(pending.done), Only(ZooKeeperCode::kNotApplied));
    requests.push_back(std::move(pending));
    executor->Post([self = shared_from_this()] { self->ServeNext(); });
  }

  void ServeNext() {
    if (requests.empty() || !connected) return;
    Pending next = std::move(requests.front());
    requests.pop_front();
    const Fate fate = server->Decide(next.request, next.path);
    if (fate == Fate::kThrottle) {
      return Reply(std::move(next.done), Only(ZooKeeperCode::kNotApplied));
    }
    if (fate == Fate::kRefuse) return Reply(std::move(next.done), Only(ZooKeeperCode::kRefused));
    const bool apply = fate != Fate::kDropBefore && fate != Fate::kExpireBefore;
    ZooKeeperReply reply = apply ? next.apply() : ZooKeeperReply{};
    switch (fate) {
      case Fate::kServe: Reply(std::move(next.done), std::move(reply)); return;
      case Fate::kDropBefore:
      case Fate::kDropAfter: Drop(std::move(next.done)); return;
      case Fate::kExpireBefore:
      case Fate::kExpireAfter:
        server->EndSession(this);
        Drop(std::move(next.done));
        return;
      case Fate::kMute:
      case Fate::kThrottle:
      case Fate::kRefuse: return;
    }
  }

  // The connection breaks; `lost` is the request that was just being served, if any.
  void Drop(ZooKeeperSession::Done lost) {
    if (!connected) return;
    connected = false;
    SayState(ZooKeeperSessionState::kDisconnected);
    if (lost != nullptr) Reply(std::move(lost), Only(ZooKeeperCode::kLost));
    for (Pending& pending : std::exchange(requests, {})) {
      Reply(std::move(pending.done), Only(ZooKeeperCode::kLost));
    }
    TryConnect();
  }

  void TryConnect() {
    executor->Post([self = shared_from_this()] {
      if (self->connected || self->listener == nullptr || !self->server->reachable_) return;
      if (self->ended) return self->SayState(ZooKeeperSessionState::kExpired);
      self->connected = true;
      self->SayState(ZooKeeperSessionState::kConnected);
      for (const uint64_t watch : std::exchange(self->fired, {})) self->FireWatch(watch);
    });
  }
};

class FakeZooKeeper::Session : public ZooKeeperSession {
 public:
  explicit Session(std::shared_ptr<Connection> connection) : connection_(std::move(connection)) {}
  ~Session() override { connection_->Forget(); }

  int64_t id() const override { return connection_->id; }

  void Create(const std::string& path, const std::string& value, CreateMode mode,
              Done done) override {
    Send(Request::kCreate, path, std::move(done), [this, path, value, mode, server = Server()] {
      return server->ApplyCreate(connection_->id, path, value, mode);
    });
  }
  void Set(const std::string& path, const std::string& value, int32_t version, Done done) override {
    Send(Request::kSet, path, std::move(done), [path, value, version, server = Server()] {
      return server->ApplySet(path, value, version);
    });
  }
  void Delete(const std::string& path, int32_t version, Done done) override {
    Send(Request::kDelete, path, std::move(done),
         [path, version, server = Server()] { return server->ApplyDelete(path, version); });
  }
  void CreateWithParent(const std::string& path, const std::string& value, Done done) override {
    Send(Request::kMulti, path, std::move(done), [this, path, value, server = Server()] {
      return server->ApplyCreateWithParent(connection_->id, path, value);
    });
  }
  void DeleteTogether(const std::vector<ZooKeeperDeletion>& nodes, Done done) override {
    Send(Request::kMulti, nodes.front().path, std::move(done),
         [nodes, server = Server()] { return server->ApplyDeleteTogether(nodes); });
  }
  void Get(const std::string& path, Done done) override {
    Send(Request::kGet, path, std::move(done),
         [path, server = Server()] { return server->Read(path); });
  }
  void Children(const std::string& path, Done done) override {
    Send(Request::kChildren, path, std::move(done),
         [path, server = Server()] { return server->ListChildren(path); });
  }
  void WatchNode(const std::string& path, uint64_t watch, Done done) override {
    Send(Request::kWatch, path, std::move(done), [path, watch, connection = connection_] {
      connection->node_watches.emplace(path, watch);
      return connection->server->Read(path);
    });
  }
  void WatchChildren(const std::string& path, uint64_t watch, Done done) override {
    Send(Request::kWatch, path, std::move(done), [path, watch, connection = connection_] {
      ZooKeeperReply reply = connection->server->ListChildren(path);
      if (reply.code == ZooKeeperCode::kOk) connection->child_watches.emplace(path, watch);
      return reply;
    });
  }
  void Unwatch(ZooKeeperWatchKind kind, const std::string& path, uint64_t watch,
               Done done) override {
    Send(Request::kUnwatch, path, std::move(done), [path, watch, connection = connection_] {
      connection->node_watches.erase({path, watch});
      connection->child_watches.erase({path, watch});
      return ZooKeeperReply{};
    });
  }
  Task<void> Close() override {
    connection_->Forget();
    connection_->server->EndSession(connection_.get());
    connection_->connected = false;
    Completion<bool> closed(connection_->executor);
    closed.GetCompleter().Set(true);
    co_await closed;
  }

 private:
  FakeZooKeeper* Server() const { return connection_->server; }
  void Send(Request request, const std::string& path, Done done,
            std::function<ZooKeeperReply()> apply) {
    connection_->Send(
        {.request = request, .path = path, .apply = std::move(apply), .done = std::move(done)});
  }

  std::shared_ptr<Connection> connection_;
};

FakeZooKeeper::~FakeZooKeeper() {
  for (const auto& connection : connections_) connection->Forget();
}

ZooKeeperSessionFactory FakeZooKeeper::Factory() {
  return [this](ZooKeeperSessionListener* listener) {
    ++sessions_begun_;
    auto connection = std::make_shared<Connection>();
    connection->server = this;
    connection->executor = executor_;
    connection->listener = listener;
    connection->id = ++last_session_;
    connections_.push_back(connection);
    if (reachable_) {
      connection->TryConnect();
    } else {
      connection->ended = true;
      connection->SayState(ZooKeeperSessionState::kBroken);
    }
    return std::make_unique<Session>(connection);
  };
}

void FakeZooKeeper::SetReachable(bool reachable) {
  reachable_ = reachable;
  for (const auto& connection : connections_) {
    reachable ? connection->TryConnect() : connection->Drop(nullptr);
  }
}

void FakeZooKeeper::DropConnections() {
  for (const auto& connection : connections_) connection->Drop(nullptr);
}

void FakeZooKeeper::ExpireSessions() {
  for (const auto& connection : connections_) {
    EndSession(connection.get());
    connection->Drop(nullptr);
  }
}

void FakeZooKeeper::EndSession(Connection* connection) {
  if (std::exchange(connection->ended, true)) return;
  std::vector<std::string> theirs;
  for (const auto& [path, node] : nodes_) {
    if (node.stat.ephemeral_owner == connection->id) theirs.push_back(path);
  }
  for (const std::string& path : theirs) RemoveNode(path);
  connection->node_watches.clear();
  connection->child_watches.clear();
}

size_t FakeZooKeeper::watch_count() const {
  size_t count = 0;
  for (const auto& connection : connections_) {
    count += connection->node_watches.size() + connection->child_watches.size();
  }
  return count;
}

bool FakeZooKeeper::HasChildren(const std::string& path) const {
  return std::any_of(nodes_.begin(), nodes_.end(), [&](const auto& entry) {
    return entry.first != "/" && ParentPath(entry.first) == path;
  });
}

ZooKeeperReply FakeZooKeeper::ApplyCreate(int64_t session, const std::string& path,
                                          const std::string& value,
                                          ZooKeeperSession::CreateMode mode) {
  using CreateMode = ZooKeeperSession::CreateMode;
  const auto parent = nodes_.find(std::string(ParentPath(path)));
  if (parent == nodes_.end()) return Only(ZooKeeperCode::kNoNode);
  if (parent->second.stat.ephemeral_owner != 0) {
    return Only(ZooKeeperCode::kNoChildrenForEphemerals);
  }
  const bool sequential =
      mode == CreateMode::kPersistentSequential || mode == CreateMode::kEphemeralSequential;
  const bool ephemeral = mode == CreateMode::kEphemeral || mode == CreateMode::kEphemeralSequential;
  std::string name = path;
  if (sequential) name += absl::StrFormat("%010d", parent->second.next_sequence);
  if (nodes_.count(name) > 0) return Only(ZooKeeperCode::kNodeExists);
  ++parent->second.next_sequence;
  Node& node = nodes_[name];
  node.value = value;
  node.stat.created = ++last_transaction_;
  node.stat.ephemeral_owner = ephemeral ? session : 0;
  const ZooKeeperStat stat = node.stat;
  Fire(name);
  FireChildren(std::string(ParentPath(name)));
  return {.stat = stat, .text = name};
}

ZooKeeperReply FakeZooKeeper::ApplySet(const std::string& path, const std::string& value,
                                       int32_t version) {
  const auto node = nodes_.find(path);
  if (node == nodes_.end()) return Only(ZooKeeperCode::kNoNode);
  if (version != -1 && version != node->second.stat.version) {
    return Only(ZooKeeperCode::kBadVersion);
  }
  node->second.value = value;
  ++node->second.stat.version;
  const ZooKeeperStat stat = node->second.stat;
  Fire(path);
  return {.stat = stat};
}

ZooKeeperReply FakeZooKeeper::ApplyDelete(const std::string& path, int32_t version) {
  const auto node = nodes_.find(path);
  if (node == nodes_.end()) return Only(ZooKeeperCode::kNoNode);
  if (version != -1 && version != node->second.stat.version) {
    return Only(ZooKeeperCode::kBadVersion);
  }
  if (HasChildren(path)) return Only(ZooKeeperCode::kNotEmpty);
  RemoveNode(path);
  return {};
}

ZooKeeperReply FakeZooKeeper::ApplyCreateWithParent(int64_t session, const std::string& path,
                                                    const std::string& value) {
  constexpr auto kPersistent = ZooKeeperSession::CreateMode::kPersistent;
  const ZooKeeperReply parent =
      ApplyCreate(session, std::string(ParentPath(path)), "", kPersistent);
  if (parent.code != ZooKeeperCode::kOk) return parent;
  return Only(ApplyCreate(session, path, value, kPersistent).code);
}

ZooKeeperReply FakeZooKeeper::ApplyDeleteTogether(const std::vector<ZooKeeperDeletion>& nodes) {
  std::set<std::string> gone;
  for (const ZooKeeperDeletion& each : nodes) {
    const auto node = nodes_.find(each.path);
    if (node == nodes_.end() || gone.contains(each.path)) return Only(ZooKeeperCode::kNoNode);
    if (each.version != -1 && each.version != node->second.stat.version) {
      return Only(ZooKeeperCode::kBadVersion);
    }
    for (const std::string& child : ListChildren(each.path).children) {
      if (!gone.contains(StrCat(each.path, "/", child))) return Only(ZooKeeperCode::kNotEmpty);
    }
    gone.insert(each.path);
  }
  for (const ZooKeeperDeletion& each : nodes) RemoveNode(each.path);
  return {};
}

ZooKeeperReply FakeZooKeeper::Read(const std::string& path) const {
  const auto node = nodes_.find(path);
  if (node == nodes_.end()) return Only(ZooKeeperCode::kNoNode);
  return {.stat = node->second.stat, .text = node->second.value};
}

ZooKeeperReply FakeZooKeeper::ListChildren(const std::string& path) const {
  if (nodes_.count(path) == 0) return Only(ZooKeeperCode::kNoNode);
  ZooKeeperReply reply;
  for (const auto& [other, node] : nodes_) {
    if (other != "/" && ParentPath(other) == path) reply.children.emplace_back(NodeName(other));
  }
  // The server gives them in no order.
  std::reverse(reply.children.begin(), reply.children.end());
  return reply;
}

void FakeZooKeeper::RemoveNode(const std::string& path) {
  nodes_.erase(path);
  Fire(path);
  // Whoever watched its children hears of its end.
  FireChildren(path);
  FireChildren(std::string(ParentPath(path)));
}

void FakeZooKeeper::Fire(const std::string& path) {
  for (const auto& connection : connections_) connection->FireAll(&connection->node_watches, path);
}

void FakeZooKeeper::FireChildren(const std::string& path) {
  for (const auto& connection : connections_) connection->FireAll(&connection->child_watches, path);
}

bool FakeZooKeeper::Create(const std::string& path, const std::string& value) {
  return ApplyCreate(0, path, value, ZooKeeperSession::CreateMode::kPersistent).code ==
         ZooKeeperCode::kOk;
}
bool FakeZooKeeper::Set(const std::string& path, const std::string& value) {
  return ApplySet(path, value, -1).code == ZooKeeperCode::kOk;
}
bool FakeZooKeeper::Delete(const std::string& path) {
  return ApplyDelete(path, -1).code == ZooKeeperCode::kOk;
}

}  // namespace stele::metadata
