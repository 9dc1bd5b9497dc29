#include "metadata/zookeeper/c_session.h"

#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <zookeeper/zookeeper.h>

#include "absl/container/btree_map.h"
#include "absl/strings/ascii.h"
#include "common/async/completion.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/real/mutex.h"
#include "metadata/drivers/node_path.h"
#include "metadata/zookeeper/synced_reads.h"

namespace stele::metadata {
namespace {

constexpr uint16_t kDefaultPort = 2181;
// The client looks the names of its servers up again before each packet unless it is told to do so
// less often; after a lost connection it always does.
constexpr int kNameLifeMilliseconds = 1000;

constexpr std::string_view kNoZooKeeper = "the server does not speak ZooKeeper's protocol";

// A server may ask for another timeout than we did, but one beyond this was read from bytes that
// are no ZooKeeper's: four letters of text make at least six days.
constexpr int kTimeoutMaxMilliseconds = 24 * 60 * 60 * 1000;

ZooKeeperCode CodeFor(int code) {
  switch (code) {
    case ZOK: return ZooKeeperCode::kOk;
    case ZNONODE: return ZooKeeperCode::kNoNode;
    case ZNODEEXISTS: return ZooKeeperCode::kNodeExists;
    case ZBADVERSION: return ZooKeeperCode::kBadVersion;
    case ZNOTEMPTY: return ZooKeeperCode::kNotEmpty;
    case ZNOCHILDRENFOREPHEMERALS: return ZooKeeperCode::kNoChildrenForEphemerals;
    case ZNOAUTH:
    case ZAUTHFAILED:
    case ZSESSIONCLOSEDREQUIRESASLAUTH: return ZooKeeperCode::kNoAuth;
    case ZSESSIONMOVED:
    case ZTHROTTLEDOP: return ZooKeeperCode::kNotApplied;
    // The client also uses these for requests that it had sent before.
    case ZCONNECTIONLOSS:
    case ZOPERATIONTIMEOUT:
    case ZSESSIONEXPIRED:
    case ZINVALIDSTATE:
    case ZCLOSING:
    case ZRUNTIMEINCONSISTENCY:
    case ZMARSHALLINGERROR: return ZooKeeperCode::kLost;
    default: return ZooKeeperCode::kRefused;
  }
}

ZooKeeperReply ReplyFor(int code) {
  ZooKeeperReply reply{.code = CodeFor(code)};
  if (reply.code == ZooKeeperCode::kRefused) reply.text = StrCat(zerror(code), " (", code, ")");
  return reply;
}

ZooKeeperReply ReplyFor(int code, const Stat* stat) {
  ZooKeeperReply reply = ReplyFor(code);
  if (code == ZOK && stat != nullptr) {
    reply.stat = {
        .created = stat->czxid, .version = stat->version, .ephemeral_owner = stat->ephemeralOwner};
  }
  return reply;
}

void Drop(const char*) {}

// The level belongs to the whole process: nothing, until somebody asks for a log. (The client
// formats addresses for its log into a buffer that all its threads share.)
void SetLogLevel(bool wanted) {
  static const bool silenced = [] {
    zoo_set_debug_level(static_cast<ZooLogLevel>(0));
    return true;
  }();
  if (silenced && wanted) zoo_set_debug_level(ZOO_LOG_LEVEL_WARN);
}

class CSession;

// What jobs on their way to the shard know of the session. Used on the shard only.
struct Receiver {
  CSession* session = nullptr;
};

// A request without a reply yet; the C client's `data`.
struct Pending {
  Executor* executor;
  std::shared_ptr<Receiver> receiver;
  uint64_t id;
  ZooKeeperSession::Done done;  // the shard's
  // Where the client notes the fate of each part of a multi: until the reply.
  std::vector<zoo_op_result_t> parts;
};

class CSession : public ZooKeeperSession {
 public:
  CSession(CSessionOptions options, Executor* executor, ZooKeeperSessionListener* listener)
      : options_(std::move(options)),
        executor_(executor),
        listener_(listener),
        receiver_(std::make_shared<Receiver>(Receiver{.session = this})),
        reads_([this](Done done) { Sync(std::move(done)); }) {
    SetLogLevel(options_.log != nullptr);
    thread_ = std::thread([this] { ThreadMain(); });
  }

  ~CSession() override {
    receiver_->session = nullptr;
    RequestClose();
    thread_.join();
  }

  int64_t id() const override { return id_; }

  void Create(const std::string& path, const std::string& value, CreateMode mode,
              Done done) override {
    Send(std::move(done), [&](const Pending* pending) {
      return zoo_acreate2(handle_, path.c_str(), value.data(), static_cast<int>(value.size()),
                          &ZOO_OPEN_ACL_UNSAFE, FlagsFor(mode), &OnStringStat, pending);
    });
  }

  void Set(const std::string& path, const std::string& value, int32_t version, Done done) override {
    Send(std::move(done), [&](const Pending* pending) {
      return zoo_aset(handle_, path.c_str(), value.data(), static_cast<int>(value.size()), version,
                      &OnStat, pending);
    });
  }

  void Delete(const std::string& path, int32_t version, Done done) override {
    Send(std::move(done), [&](const Pending* pending) {
      return zoo_adelete(handle_, path.c_str(), version, &OnVoid, pending);
    });
  }

  void CreateWithParent(const std::string& path, const std::string& value, Done done) override {
    const std::string parent(ParentPath(path));
    std::vector<zoo_op_t> parts(2);
    zoo_create_op_init(&parts[0], parent.c_str(), "", 0, &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT,
                       nullptr, 0);
    zoo_create_op_init(&parts[1], path.c_str(), value.data(), static_cast<int>(value.size()),
                       &ZOO_OPEN_ACL_UNSAFE, ZOO_PERSISTENT, nullptr, 0);
    SendMulti(parts, std::move(done));
  }

  void DeleteTogether(const std::vector<ZooKeeperDeletion>& nodes, Done done) override {
    std::vector<zoo_op_t> parts(nodes.size());
    for (size_t i = 0; i < nodes.size(); ++i) {
      zoo_delete_op_init(&parts[i], nodes[i].path.c_str(), nodes[i].version);
    }
    SendMulti(parts, std::move(done));
  }

  void Get(const std::string& path, Done done) override {
    reads_.Add(
        [this, path](Done answered) {
          Send(std::move(answered), [&](const Pending* pending) {
            return zoo_aget(handle_, path.c_str(), /*watch=*/0, &OnData, pending);
          });
        },
        std::move(done));
  }

  void Children(const std::string& path, Done done) override {
    reads_.Add(
        [this, path](Done answered) {
          Send(std::move(answered), [&](const Pending* pending) {
            return zoo_aget_children(handle_, path.c_str(), /*watch=*/0, &OnStrings, pending);
          });
        },
        std::move(done));
  }

  void WatchNode(const std::string& path, uint64_t watch, Done done) override {
    Send(std::move(done), [&](const Pending* pending) {
      return zoo_awexists(handle_, path.c_str(), &OnEvent, ContextOf(watch), &OnStat, pending);
    });
  }

  void WatchChildren(const std::string& path, uint64_t watch, Done done) override {
    Send(std::move(done), [&](const Pending* pending) {
      return zoo_awget_children(handle_, path.c_str(), &OnEvent, ContextOf(watch), &OnStrings,
                                pending);
    });
  }

  void Unwatch(ZooKeeperWatchKind kind, const std::string& path, uint64_t watch,
               Done done) override {
    // A watch on children that did not exist yet was one on the node.
    const ZooWatcherType type =
        kind == ZooKeeperWatchKind::kNode ? ZWATCHTYPE_DATA : ZWATCHTYPE_ANY;
    // The declared type of the completion is a slip of the C client, which casts what it gets to
    // the function's type.
    auto* completion = reinterpret_cast<void_completion_t*>(&OnVoid);
    Send(std::move(done), [&](const Pending* pending) {
      return zoo_aremove_watches(handle_, path.c_str(), type, &OnEvent, ContextOf(watch),
                                 /*local=*/0, completion, pending);
    });
  }

  Task<void> Close() override {
    handle_ = nullptr;
    Completion<bool> closed(executor_);
    closed_.emplace(closed.GetCompleter());
    RequestClose();
    co_await closed;
  }

 private:
  static int FlagsFor(CreateMode mode) {
    switch (mode) {
      case CreateMode::kPersistent: return ZOO_PERSISTENT;
      case CreateMode::kEphemeral: return ZOO_EPHEMERAL;
      case CreateMode::kPersistentSequential: return ZOO_PERSISTENT_SEQUENTIAL;
      case CreateMode::kEphemeralSequential: return ZOO_EPHEMERAL_SEQUENTIAL;
    }
    STELE_CHECK(false);
  }

  static void* ContextOf(uint64_t watch) {
    return reinterpret_cast<void*>(static_cast<uintptr_t>(watch));
  }

  // ---- The shard's side

  // `call` hands the request to the C client; what that does not take gets its reply from us.
  template <typename Call>
  void Send(Done done, Call call) {
    const uint64_t id = ++last_request_;
    auto pending = std::make_unique<Pending>(
        Pending{.executor = executor_, .receiver = receiver_, .id = id, .done = std::move(done)});
    const int code = handle_ == nullptr ? ZINVALIDSTATE : call(pending.get());
    pending_.emplace(id, std::move(pending));
    if (code == ZOK) return;
    ZooKeeperReply reply{.code = ZooKeeperCode::kNotApplied};
    if (code == ZBADARGUMENTS) reply = {.code = ZooKeeperCode::kRefused, .text = zerror(code)};
    // Nothing is watched: just as well.
    if (code == ZNOWATCHER) reply.code = ZooKeeperCode::kOk;
    PostReply(executor_, receiver_, id, std::move(reply));
  }

  // What the parts point to lives until this returns.
  void SendMulti(const std::vector<zoo_op_t>& parts, Done done) {
    Send(std::move(done), [&](Pending* pending) {
      // Of a session that has ended the client refuses the first part, and then frees a path that
      // it never copied for the next (docs/decisions/0005). One that is connected cannot have ended
      // before it was disconnected.
      if (zoo_state(handle_) != ZOO_CONNECTED_STATE) return static_cast<int>(ZINVALIDSTATE);
      pending->parts.resize(parts.size());
      return zoo_amulti(handle_, static_cast<int>(parts.size()), parts.data(),
                        pending->parts.data(), &OnVoid, pending);
    });
  }

  // Brings the server that we are connected to up to date; servers do not look at the path.
  void Sync(Done done) {
    Send(std::move(done),
         [&](const Pending* pending) { return zoo_async(handle_, "/", &OnString, pending); });
  }

  static void PostReply(Executor* executor, std::shared_ptr<Receiver> receiver, uint64_t id,
                        ZooKeeperReply reply) {
    executor->PostFromAnyThread(
        [receiver = std::move(receiver), id, reply = std::move(reply)]() mutable {
          if (receiver->session != nullptr) receiver->session->Deliver(id, std::move(reply));
        });
  }

  void Deliver(uint64_t id, ZooKeeperReply reply) {
    const auto found = pending_.find(id);
    STELE_CHECK(found != pending_.end());
    Done done = std::move(found->second->done);
    pending_.erase(found);
    done(std::move(reply));
  }

  void OnState(zhandle_t* handle, int state, int64_t id, int timeout_milliseconds) {
    if (ended_ || closed_.has_value()) return;
    handle_ = handle;
    if (state == ZOO_CONNECTED_STATE) {
      if (timeout_milliseconds <= 0 || timeout_milliseconds > kTimeoutMaxMilliseconds || id == 0) {
        return End(ZooKeeperSessionState::kBroken, kNoZooKeeper);
      }
      id_ = id;
      listener_->OnState(ZooKeeperSessionState::kConnected, "");
    } else if (state == ZOO_EXPIRED_SESSION_STATE) {
      End(ZooKeeperSessionState::kExpired, "the session has expired");
    } else if (state == ZOO_READONLY_STATE) {
      // We never ask for a read-only session, so no ZooKeeper gives us one.
      End(ZooKeeperSessionState::kBroken, kNoZooKeeper);
    } else if (state == ZOO_AUTH_FAILED_STATE) {
      End(ZooKeeperSessionState::kBroken, "the server does not accept our credentials");
    } else {
      listener_->OnState(ZooKeeperSessionState::kDisconnected, "the connection was lost");
    }
  }

  void OnNotBegun(int error) {
    if (ended_ || closed_.has_value()) return;
    End(ZooKeeperSessionState::kBroken, StrCat("no address of ", options_.connect_string,
                                               " can be resolved (", std::strerror(error), ")"));
  }

  void End(ZooKeeperSessionState state, std::string_view detail) {
    ended_ = true;
    listener_->OnState(state, detail);
  }

  void OnWatch(uint64_t watch) {
    if (!ended_ && !closed_.has_value()) listener_->OnWatch(watch);
  }

  void RequestClose() {
    {
      const real::MutexLock lock(&mutex_);
      close_requested_ = true;
    }
    wake_.notify_one();
  }

  // ---- The thread's side

  void ThreadMain() {
    zhandle_t* handle = zookeeper_init2(
        options_.connect_string.c_str(), &OnEvent,
        static_cast<int>(absl::ToInt64Milliseconds(options_.session_timeout)), nullptr, this,
        ZOO_NO_LOG_CLIENTENV, options_.log == nullptr ? &Drop : options_.log);
    if (handle == nullptr) {
      Post([error = errno](CSession* session) { session->OnNotBegun(error); });
    } else {
      zoo_set_servers_resolution_delay(handle, kNameLifeMilliseconds);
    }
    {
      const real::MutexLock lock(&mutex_);
      while (!close_requested_) wake_.wait(mutex_);
    }
    // Ends the client's threads: no call-back comes after it.
    if (handle != nullptr) zookeeper_close(handle);
    Post([](CSession* session) { session->closed_->Set(true); });
  }

  template <typename Function>
  void Post(Function function) {
    executor_->PostFromAnyThread([receiver = receiver_, function = std::move(function)] {
      if (receiver->session != nullptr) function(receiver->session);
    });
  }

  // ---- Call-backs of the C client, on its thread

  // Of the session (no context) and of watches (their number).
  static void OnEvent(zhandle_t* handle, int type, int state, const char*, void* context) {
    // The call-back given to zookeeper_init2 has the handle's context as its own.
    auto* session = static_cast<CSession*>(const_cast<void*>(zoo_get_context(handle)));
    if (type != ZOO_SESSION_EVENT) {
      const uint64_t watch = reinterpret_cast<uintptr_t>(context);
      session->Post([watch](CSession* self) { self->OnWatch(watch); });
      return;
    }
    // Watches hear of the session too.
    if (context != session) return;
    session->Post([handle, state, id = zoo_client_id(handle)->client_id,
                   timeout = zoo_recv_timeout(handle)](CSession* self) {
      self->OnState(handle, state, id, timeout);
    });
  }

  static void Reply(const void* data, ZooKeeperReply reply) {
    const auto* pending = static_cast<const Pending*>(data);
    PostReply(pending->executor, pending->receiver, pending->id, std::move(reply));
  }

  static void OnVoid(int code, const void* data) {
    // The watch was not armed at the server: just as well.
    Reply(data, ReplyFor(code == ZNOWATCHER ? ZOK : code));
  }

  static void OnStat(int code, const Stat* stat, const void* data) {
    Reply(data, ReplyFor(code, stat));
  }

  static void OnStringStat(int code, const char* text, const Stat* stat, const void* data) {
    ZooKeeperReply reply = ReplyFor(code, stat);
    if (code == ZOK && text != nullptr) reply.text = text;
    Reply(data, std::move(reply));
  }

  static void OnString(int code, const char*, const void* data) { Reply(data, ReplyFor(code)); }

  static void OnData(int code, const char* value, int size, const Stat* stat, const void* data) {
    ZooKeeperReply reply = ReplyFor(code, stat);
    // A node without data has size -1.
    if (code == ZOK && size > 0) reply.text.assign(value, static_cast<size_t>(size));
    Reply(data, std::move(reply));
  }

  static void OnStrings(int code, const String_vector* strings, const void* data) {
    ZooKeeperReply reply = ReplyFor(code);
    // The client believes a count that the server made up (docs/decisions/0005).
    if (code == ZOK && strings != nullptr && strings->count > 0) {
      reply.children.assign(strings->data, strings->data + strings->count);
    }
    Reply(data, std::move(reply));
  }

  const CSessionOptions options_;
  Executor* const executor_;
  ZooKeeperSessionListener* const listener_;
  const std::shared_ptr<Receiver> receiver_;

  // The shard's.
  zhandle_t* handle_ = nullptr;  // known from the first connection on; nullptr again when closing
  int64_t id_ = 0;
  bool ended_ = false;
  uint64_t last_request_ = 0;
  absl::btree_map<uint64_t, std::unique_ptr<Pending>> pending_;
  std::optional<Completer<bool>> closed_;
  SyncedReads reads_;

  real::Mutex mutex_;
  std::condition_variable_any wake_;
  bool close_requested_ ABSL_GUARDED_BY(mutex_) = false;

  std::thread thread_;
};

absl::StatusOr<std::string> ToCServer(std::string_view server) {
  const auto wrong = [&] {
    return MakeError(ErrorCode::kConfig,
                     StrCat("\"", server, "\" is no ZooKeeper server: write host:port"));
  };
  std::string_view host = server;
  std::string_view port;
  if (!server.empty() && server.front() == '[') {
    const size_t bracket = server.find(']');
    if (bracket == std::string_view::npos) return wrong();
    host = server.substr(1, bracket - 1);
    const std::string_view rest = server.substr(bracket + 1);
    if (!rest.empty()) {
      if (rest.front() != ':' || rest.size() == 1) return wrong();
      port = rest.substr(1);
    }
  } else if (const size_t colon = server.find(':'); colon != std::string_view::npos) {
    host = server.substr(0, colon);
    port = server.substr(colon + 1);
    if (port.empty()) return wrong();
  }
  uint16_t number = kDefaultPort;
  if (!port.empty()) {
    const auto parsed = std::from_chars(port.data(), port.data() + port.size(), number);
    if (parsed.ec != std::errc() || parsed.ptr != port.data() + port.size()) return wrong();
  }
  // '/' would begin a chroot, and '@' credentials, which there are none.
  if (host.empty() || number == 0 || host.find_first_of("/@[] ") != std::string_view::npos) {
    return wrong();
  }
  return StrCat(host, ":", number);
}

}  // namespace

absl::StatusOr<std::string> ToCConnectString(std::string_view servers) {
  std::string result;
  while (true) {
    const size_t end = servers.find_first_of(",;");
    const std::string_view server =
        ToStd(absl::StripAsciiWhitespace(ToAbsl(servers.substr(0, end))));
    STELE_TRY(const std::string one, ToCServer(server));
    result += StrCat(result.empty() ? "" : ",", one);
    if (end == std::string_view::npos) return result;
    servers.remove_prefix(end + 1);
  }
}

std::unique_ptr<ZooKeeperSession> BeginCSession(CSessionOptions options, Executor* executor,
                                                ZooKeeperSessionListener* listener) {
  return std::make_unique<CSession>(std::move(options), executor, listener);
}

}  // namespace stele::metadata
