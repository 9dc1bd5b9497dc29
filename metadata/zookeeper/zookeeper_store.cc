#include "metadata/zookeeper/zookeeper_store.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/drivers/node_path.h"
#include "metadata/drivers/subscriptions.h"
#include "metadata/zookeeper/lost_write.h"
#include "metadata/zookeeper/parent_guess.h"
#include "metadata/zookeeper/zookeeper_connection.h"
#include "metadata/zookeeper/zookeeper_operation.h"
#include "metadata/zookeeper/zookeeper_store_internal.h"
#include "metadata/zookeeper/zookeeper_watches.h"

namespace stele::metadata {
namespace {

using CreateMode = ZooKeeperSession::CreateMode;
using Done = ZooKeeperSession::Done;

// After a reconnect the C client arms all watches in one request. A server refuses it when it is
// too large, at each reconnect again, so before that we take a new session, whose watches are armed
// one by one. (The server's limit is 1,048,575 bytes.)
constexpr size_t kRearmSizeMaxBytes = 768 * 1024;

// A larger value is not made together with its parent: both paths, the value and what is around
// them must fit into what a server takes.
constexpr size_t kValueWithParentMaxBytes = 512 * 1024;

// How many nodes are looked at to find the one that a lost CreateSequential may have made.
constexpr size_t kLostSequentialsMax = 256;

std::string_view DetailOf(ZooKeeperCode code) {
  switch (code) {
    case ZooKeeperCode::kNoNode: return "there is no such node";
    case ZooKeeperCode::kNodeExists: return "the node exists";
    case ZooKeeperCode::kBadVersion: return "the node has another version";
    case ZooKeeperCode::kNotEmpty: return "the node has children";
    case ZooKeeperCode::kNoChildrenForEphemerals: return "its parent is ephemeral";
    case ZooKeeperCode::kNoAuth: return "ZooKeeper's access control forbids it";
    case ZooKeeperCode::kOk:
    case ZooKeeperCode::kNotApplied:
    case ZooKeeperCode::kLost:
    case ZooKeeperCode::kRefused: return "ZooKeeper refuses it";
  }
  return "";
}

ErrorCode ErrorFor(ZooKeeperCode code) {
  switch (code) {
    case ZooKeeperCode::kNoNode: return ErrorCode::kNoSuchKey;
    case ZooKeeperCode::kNodeExists: return ErrorCode::kKeyExists;
    case ZooKeeperCode::kBadVersion: return ErrorCode::kMetadataConflict;
    case ZooKeeperCode::kNotEmpty: return ErrorCode::kKeyNotEmpty;
    case ZooKeeperCode::kNoChildrenForEphemerals: return ErrorCode::kInvalidArgument;
    case ZooKeeperCode::kNoAuth: return ErrorCode::kUnauthorized;
    case ZooKeeperCode::kOk:
    case ZooKeeperCode::kNotApplied:
    case ZooKeeperCode::kLost:
    case ZooKeeperCode::kRefused: return ErrorCode::kMetadataUnavailable;
  }
  return ErrorCode::kMetadataUnavailable;
}

absl::Status ErrorOf(const ZooKeeperReply& reply, std::string_view path,
                     Effect effect = Effect::kNone) {
  std::string detail = StrCat("metadata node ", path, ": ", DetailOf(reply.code));
  if (reply.code == ZooKeeperCode::kRefused) detail += StrCat(": ", reply.text);
  return MakeError(ErrorFor(reply.code), effect, detail);
}

absl::Status CheckVersion(std::string_view path, Version expected) {
  if (expected >= kAnyVersion && expected <= std::numeric_limits<int32_t>::max()) {
    return absl::OkStatus();
  }
  return MakeError(ErrorCode::kInvalidArgument,
                   StrCat("metadata node ", path, ": ", expected, " is no version"));
}

bool IsSequentialName(std::string_view name, std::string_view prefix) {
  return name.size() >= prefix.size() + kSequenceDigits &&
         name.substr(0, prefix.size()) == prefix &&
         name.find_first_not_of("-0123456789", prefix.size()) == std::string_view::npos;
}

class ZooKeeperStore : public MetadataStore, private ZooKeeperConnectionListener {
 public:
  ZooKeeperStore(ZooKeeperSessionFactory factory, ZooKeeperStoreOptions options, Executor* executor,
                 Clock* clock)
      : options_(std::move(options)),
        session_watches_(std::make_shared<Subscriptions<SessionState>>(nullptr)),
        watches_(executor, clock, &connection_),
        requests_(executor, clock, &connection_),
        connection_(executor, clock, std::move(factory), this) {
    connection_.Begin();
  }
  ~ZooKeeperStore() override { session_watches_->Detach(); }

  Task<absl::StatusOr<Node>> Get(std::string path) override {
    ZooKeeperOperation operation(&requests_, options_.operation_timeout);
    STELE_CO_TRY_OK(operation.Admit(options_.operations_in_flight_max));
    STELE_CO_TRY_OK(CheckNodePath(path));
    STELE_CO_TRY(const ZooKeeperReply reply, co_await Read(&operation, path));
    if (reply.code != ZooKeeperCode::kOk) co_return ErrorOf(reply, path);
    Node node{.value = reply.text, .version = reply.stat.version};
    if (reply.stat.ephemeral_owner != 0) {
      node.owner = reply.stat.ephemeral_owner == seen_.session() ? EphemeralOwner::kThisSession
                                                                 : EphemeralOwner::kOther;
    }
    co_return node;
  }

  Task<absl::StatusOr<std::vector<std::string>>> Children(std::string path) override {
    ZooKeeperOperation operation(&requests_, options_.operation_timeout);
    STELE_CO_TRY_OK(operation.Admit(options_.operations_in_flight_max));
    STELE_CO_TRY_OK(CheckNodePath(path));
    STELE_CO_TRY(ZooKeeperReply reply, co_await List(&operation, path));
    if (reply.code != ZooKeeperCode::kOk) co_return ErrorOf(reply, path);
    std::sort(reply.children.begin(), reply.children.end());
    co_return std::move(reply.children);
  }

  Task<absl::Status> Create(std::string path, std::string value, NodeKind kind) override {
    ZooKeeperOperation operation(&requests_, options_.operation_timeout);
    STELE_CO_TRY_OK(operation.Admit(options_.operations_in_flight_max));
    STELE_CO_TRY_OK(CheckNodePath(path));
    STELE_CO_TRY_OK(CheckNodeValue(path, value));
    const CreateMode mode =
        kind == NodeKind::kPersistent ? CreateMode::kPersistent : CreateMode::kEphemeral;
    // A reply to both at once gives no stat, which tells whose an ephemeral node is.
    const bool may_take_parent =
        kind == NodeKind::kPersistent && value.size() <= kValueWithParentMaxBytes;
    bool with_parent = may_take_parent && parents_.IsMissing(path);
    bool lost = false;
    while (true) {
      STELE_CO_TRY(const ZooKeeperReply reply,
                   with_parent ? co_await SendCreateWithParent(&operation, path, value)
                               : co_await SendCreate(&operation, path, value, mode));
      if (reply.code == ZooKeeperCode::kOk) {
        parents_.NoteMade(path, with_parent);
        co_return Made(operation, kind);
      }
      if (reply.code == ZooKeeperCode::kLost) {
        lost = true;
        STELE_CO_TRY_OK(co_await operation.WaitForSameSession());
      } else if (reply.code == ZooKeeperCode::kNoNode && may_take_parent && !with_parent) {
        with_parent = true;
      } else if (reply.code == ZooKeeperCode::kNoNode) {
        const std::string_view parent = ParentPath(path);
        STELE_CO_TRY_OK(co_await CreateParents(
            &operation, std::string(with_parent ? ParentPath(parent) : parent)));
      } else if (reply.code == ZooKeeperCode::kNodeExists && with_parent) {
        with_parent = false;  // what exists is the parent
      } else if (reply.code == ZooKeeperCode::kNodeExists && lost) {
        STELE_CO_TRY_OK(co_await JudgeCreate(&operation, path, value, kind));
        co_return Made(operation, kind);
      } else {
        co_return ErrorOf(reply, path, operation.effect());
      }
    }
  }

  Task<absl::StatusOr<std::string>> CreateSequential(std::string path_prefix, std::string value,
                                                     NodeKind kind) override {
    ZooKeeperOperation operation(&requests_, options_.operation_timeout);
    STELE_CO_TRY_OK(operation.Admit(options_.operations_in_flight_max));
    STELE_CO_TRY_OK(CheckSequentialPrefix(path_prefix));
    STELE_CO_TRY_OK(CheckNodeValue(path_prefix, value));
    const CreateMode mode = kind == NodeKind::kPersistent ? CreateMode::kPersistentSequential
                                                          : CreateMode::kEphemeralSequential;
    while (true) {
      STELE_CO_TRY(const ZooKeeperReply reply,
                   co_await SendCreate(&operation, path_prefix, value, mode));
      if (reply.code == ZooKeeperCode::kOk) {
        STELE_CO_TRY_OK(Made(operation, kind));
        co_return reply.text;
      }
      if (reply.code == ZooKeeperCode::kLost) {
        STELE_CO_TRY_OK(co_await operation.WaitForSameSession());
        // Nothing tells a persistent one of ours from others.
        if (kind == NodeKind::kPersistent) {
          co_return operation.Unavailable("the answer to a sequential create was lost");
        }
        STELE_CO_TRY(std::optional<std::string> made,
                     co_await FindLostSequential(&operation, path_prefix));
        if (made.has_value()) {
          STELE_CO_TRY_OK(Made(operation, kind));
          co_return *std::move(made);
        }
      } else if (reply.code == ZooKeeperCode::kNoNode) {
        STELE_CO_TRY_OK(co_await CreateParents(&operation, std::string(ParentPath(path_prefix))));
      } else {
        co_return ErrorOf(reply, path_prefix, operation.effect());
      }
    }
  }

  Task<absl::StatusOr<Version>> Put(std::string path, std::string value,
                                    Version expected) override {
    ZooKeeperOperation operation(&requests_, options_.operation_timeout);
    STELE_CO_TRY_OK(operation.Admit(options_.operations_in_flight_max));
    STELE_CO_TRY_OK(CheckNodePath(path));
    STELE_CO_TRY_OK(CheckNodeValue(path, value));
    STELE_CO_TRY_OK(CheckVersion(path, expected));
    bool lost = false;
    KnownNode known;
    while (true) {
      STELE_CO_TRY(const ZooKeeperReply reply,
                   co_await operation.Write([&](ZooKeeperSession* session, Done done) {
                     if (!lost) known = seen_.Know(path);
                     session->Set(path, value, static_cast<int32_t>(expected), std::move(done));
                   }));
      if (reply.code == ZooKeeperCode::kOk) co_return reply.stat.version;
      lost = lost || reply.code == ZooKeeperCode::kLost;
      const bool must_judge =
          lost && (reply.code == ZooKeeperCode::kLost || reply.code == ZooKeeperCode::kBadVersion);
      if (!must_judge) co_return ErrorOf(reply, path, operation.effect());
      STELE_CO_TRY_OK(co_await operation.WaitForSameSession());
      STELE_CO_TRY(const ZooKeeperReply found, co_await Read(&operation, path));
      if (found.code != ZooKeeperCode::kOk) co_return ErrorOf(found, path, operation.effect());
      const LostWrite verdict = expected == kAnyVersion
                                    ? JudgeLostBlindPut(found, value)
                                    : JudgeLostPut(found, value, expected, known);
      if (verdict == LostWrite::kApplied) co_return found.stat.version;
      if (verdict == LostWrite::kLostRace) {
        co_return ErrorOf({.code = ZooKeeperCode::kBadVersion}, path);
      }
      if (verdict == LostWrite::kUnknown) {
        co_return operation.Unavailable("the answer to a write was lost");
      }
    }
  }

  Task<absl::Status> Delete(std::string path, Version expected) override {
    ZooKeeperOperation operation(&requests_, options_.operation_timeout);
    STELE_CO_TRY_OK(operation.Admit(options_.operations_in_flight_max));
    STELE_CO_TRY_OK(CheckNodePath(path));
    STELE_CO_TRY_OK(CheckVersion(path, expected));
    bool lost = false;
    KnownNode known = seen_.Know(path);
    // An ephemeral node of ours goes with the session; what is there in the next is another's.
    if (known.own.has_value()) operation.BindToSession();
    while (true) {
      STELE_CO_TRY(const ZooKeeperReply reply,
                   co_await operation.Write([&](ZooKeeperSession* session, Done done) {
                     if (!lost) known = seen_.Know(path);
                     session->Delete(path, static_cast<int32_t>(expected),
                                     NoteWhenDeleted(path, std::move(done)));
                   }));
      // That it is gone is what was asked for, whoever did it.
      if (reply.code == ZooKeeperCode::kOk) co_return absl::OkStatus();
      if (reply.code == ZooKeeperCode::kNoNode && lost) co_return absl::OkStatus();
      if (reply.code != ZooKeeperCode::kLost) co_return ErrorOf(reply, path, operation.effect());
      lost = true;
      STELE_CO_TRY_OK(co_await operation.WaitForSameSession());
      STELE_CO_TRY(const ZooKeeperReply found, co_await Read(&operation, path));
      if (found.code == ZooKeeperCode::kNoNode) co_return absl::OkStatus();
      if (found.code != ZooKeeperCode::kOk) co_return ErrorOf(found, path, operation.effect());
      const LostWrite verdict = JudgeLostDelete(found, expected, known);
      if (verdict == LostWrite::kApplied) co_return absl::OkStatus();
      if (verdict == LostWrite::kLostRace) {
        co_return ErrorOf({.code = ZooKeeperCode::kBadVersion}, path);
      }
      if (verdict == LostWrite::kUnknown) {
        co_return operation.Unavailable("the answer to a delete was lost");
      }
    }
  }

  Task<absl::Status> DeleteTogether(std::vector<Deletion> nodes) override {
    ZooKeeperOperation operation(&requests_, options_.operation_timeout);
    STELE_CO_TRY_OK(operation.Admit(options_.operations_in_flight_max));
    std::vector<ZooKeeperDeletion> parts;
    for (const Deletion& node : nodes) {
      STELE_CO_TRY_OK(CheckNodePath(node.path));
      STELE_CO_TRY_OK(CheckVersion(node.path, node.expected));
      // As in Delete().
      if (seen_.Know(node.path).own.has_value()) operation.BindToSession();
      parts.push_back({node.path, static_cast<int32_t>(node.expected)});
    }
    STELE_CO_TRY(const ZooKeeperReply reply,
                 co_await operation.Write([&](ZooKeeperSession* session, Done done) {
                   session->DeleteTogether(parts, NoteWhenDeleted(parts, std::move(done)));
                 }));
    if (reply.code == ZooKeeperCode::kOk) co_return absl::OkStatus();
    // Which of them nobody else deletes, and so tells what became of all, the caller knows.
    if (reply.code == ZooKeeperCode::kLost) {
      co_return operation.Unavailable("the answer to a delete of several nodes was lost");
    }
    co_return ErrorOf(reply, nodes.front().path, operation.effect());
  }

  std::unique_ptr<Watch> WatchNode(std::string path, WatchCallback changed) override {
    return watches_.Add(ZooKeeperWatchKind::kNode, std::move(path), std::move(changed));
  }

  std::unique_ptr<Watch> WatchChildren(std::string path, WatchCallback changed) override {
    return watches_.Add(ZooKeeperWatchKind::kChildren, std::move(path), std::move(changed));
  }

  std::unique_ptr<Watch> WatchSession(SessionCallback changed) override {
    return session_watches_->Add(std::move(changed)).watch;
  }

  Task<void> Close() override {
    if (requests_.stopped()) co_return;
    requests_.StopAll();
    co_await connection_.Close();
  }

 private:
  Task<absl::StatusOr<ZooKeeperReply>> Read(ZooKeeperOperation* operation, std::string path) {
    co_return co_await operation->Repeat([&](ZooKeeperSession* session, Done done) {
      session->Get(path, [this, done = std::move(done)](ZooKeeperReply reply) mutable {
        if (reply.code == ZooKeeperCode::kOk) seen_.See(reply.stat);
        done(std::move(reply));
      });
    });
  }

  Task<absl::StatusOr<ZooKeeperReply>> List(ZooKeeperOperation* operation, std::string path) {
    co_return co_await operation->Repeat(
        [&](ZooKeeperSession* session, Done done) { session->Children(path, std::move(done)); });
  }

  Task<absl::StatusOr<ZooKeeperReply>> SendCreate(ZooKeeperOperation* operation, std::string path,
                                                  std::string value, CreateMode mode) {
    co_return co_await operation->Write([&](ZooKeeperSession* session, Done done) {
      session->Create(path, value, mode,
                      [this, done = std::move(done)](ZooKeeperReply reply) mutable {
                        const bool made = reply.code == ZooKeeperCode::kOk;
                        if (made) seen_.NoteCreated(reply.text, reply.stat);
                        done(std::move(reply));
                      });
    });
  }

  Task<absl::StatusOr<ZooKeeperReply>> SendCreateWithParent(ZooKeeperOperation* operation,
                                                            std::string path, std::string value) {
    co_return co_await operation->Write([&](ZooKeeperSession* session, Done done) {
      session->CreateWithParent(path, value, std::move(done));
    });
  }

  Done NoteWhenDeleted(const std::string& path, Done done) {
    return [this, path, done = std::move(done)](ZooKeeperReply reply) mutable {
      const bool gone = reply.code == ZooKeeperCode::kOk || reply.code == ZooKeeperCode::kNoNode;
      if (gone) seen_.NoteDeleted(path);
      done(std::move(reply));
    };
  }

  Done NoteWhenDeleted(const std::vector<ZooKeeperDeletion>& parts, Done done) {
    return [this, parts, done = std::move(done)](ZooKeeperReply reply) mutable {
      if (reply.code == ZooKeeperCode::kOk) {
        for (const ZooKeeperDeletion& part : parts) seen_.NoteDeleted(part.path);
      }
      done(std::move(reply));
    };
  }

  // Makes `path` and what is missing above it, persistent and empty. Others may be doing the same,
  // or the reverse.
  Task<absl::Status> CreateParents(ZooKeeperOperation* operation, std::string path) {
    std::vector<std::string> missing = {std::move(path)};
    while (!missing.empty()) {
      const std::string next = missing.back();
      STELE_CO_TRY(const ZooKeeperReply reply,
                   co_await operation->Repeat([&](ZooKeeperSession* session, Done done) {
                     session->Create(next, "", CreateMode::kPersistent, std::move(done));
                   }));
      if (reply.code == ZooKeeperCode::kOk || reply.code == ZooKeeperCode::kNodeExists) {
        missing.pop_back();
      } else if (reply.code == ZooKeeperCode::kNoNode && ParentPath(next) != "/") {
        missing.emplace_back(ParentPath(next));
      } else {
        co_return ErrorOf(reply, next);
      }
    }
    co_return absl::OkStatus();
  }

  // The session may have ended, and its end been told, between the reply and now. Whoever was told
  // so must not be given an ephemeral node of that session afterwards.
  static absl::Status Made(const ZooKeeperOperation& operation, NodeKind kind) {
    if (kind == NodeKind::kPersistent || operation.IsSameSession()) return absl::OkStatus();
    return MakeError(ErrorCode::kMetadataUnavailable, Effect::kUnknown,
                     "the ZooKeeper session of the node ended");
  }

  struct Judged {
    ZooKeeperReply found;
    LostWrite verdict = LostWrite::kUnknown;
  };

  // Looks at the node of a lost create.
  Task<absl::StatusOr<Judged>> LookAtCreated(ZooKeeperOperation* operation, std::string path,
                                             std::string value, NodeKind kind) {
    // Shared: the reply may come when this task is gone.
    const auto verdict = std::make_shared<LostWrite>(LostWrite::kUnknown);
    STELE_CO_TRY(ZooKeeperReply found,
                 co_await operation->Repeat([&](ZooKeeperSession* session, Done done) {
                   session->Get(path, [this, path, value, kind, verdict, epoch = operation->epoch(),
                                       done = std::move(done)](ZooKeeperReply reply) mutable {
                     // In a later session it would be the node of another call.
                     const bool is_same_session = epoch == connection_.epoch();
                     if (reply.code == ZooKeeperCode::kOk && is_same_session) {
                       *verdict = seen_.JudgeLostCreate(path, reply, value, kind);
                     }
                     done(std::move(reply));
                   });
                 }));
    co_return Judged{.found = std::move(found), .verdict = *verdict};
  }

  // A create was lost, was sent again, and the node exists.
  Task<absl::Status> JudgeCreate(ZooKeeperOperation* operation, std::string path, std::string value,
                                 NodeKind kind) {
    STELE_CO_TRY(const Judged judged, co_await LookAtCreated(operation, path, value, kind));
    if (judged.found.code == ZooKeeperCode::kNoNode) {
      co_return operation->Unavailable("the answer to a create was lost, and the node is gone");
    }
    if (judged.found.code != ZooKeeperCode::kOk) {
      co_return ErrorOf(judged.found, path, Effect::kUnknown);
    }
    switch (judged.verdict) {
      case LostWrite::kApplied: co_return absl::OkStatus();
      case LostWrite::kLostRace: co_return ErrorOf({.code = ZooKeeperCode::kNodeExists}, path);
      case LostWrite::kNotApplied:
      case LostWrite::kUnknown: break;
    }
    co_return operation->Unavailable("the answer to a create was lost");
  }

  // The ephemeral sequential node that this session has and no call of ours knows of; nullopt when
  // there is none.
  Task<absl::StatusOr<std::optional<std::string>>> FindLostSequential(ZooKeeperOperation* operation,
                                                                      std::string path_prefix) {
    const std::string parent(ParentPath(path_prefix));
    STELE_CO_TRY(ZooKeeperReply list, co_await List(operation, parent));
    if (list.code == ZooKeeperCode::kNoNode) co_return std::optional<std::string>();
    if (list.code != ZooKeeperCode::kOk) co_return ErrorOf(list, parent, Effect::kUnknown);
    // The newest first: ours is among them.
    std::sort(list.children.rbegin(), list.children.rend());
    size_t looked_at = 0;
    for (const std::string& name : list.children) {
      const std::string path = parent == "/" ? StrCat("/", name) : StrCat(parent, "/", name);
      if (!IsSequentialName(name, NodeName(path_prefix)) || seen_.Know(path).own.has_value())
        continue;
      if (++looked_at > kLostSequentialsMax) {
        co_return operation->Unavailable("the answer to a sequential create was lost");
      }
      STELE_CO_TRY(const Judged judged,
                   co_await LookAtCreated(operation, path, "", NodeKind::kEphemeral));
      const bool ours =
          judged.found.code == ZooKeeperCode::kOk && judged.verdict == LostWrite::kApplied;
      if (ours) co_return std::optional<std::string>(path);
    }
    co_return std::optional<std::string>();
  }

  void OnConnected(bool new_session) override {
    if (new_session) seen_.BeginSession(connection_.session()->id());
    watches_.OnConnected(new_session);
    session_watches_->NotifyAll(SessionState::kConnected);
  }

  void OnDisconnected() override {
    if (watches_.rearm_size_bytes() > kRearmSizeMaxBytes) return connection_.Replace();
    session_watches_->NotifyAll(SessionState::kDisconnected);
  }

  void OnSessionEnded(bool had_begun) override {
    seen_.EndSession();
    requests_.LoseAll();
    if (had_begun) session_watches_->NotifyAll(SessionState::kExpired);
  }

  void OnWatch(uint64_t watch) override { watches_.OnWatch(watch); }

  const ZooKeeperStoreOptions options_;
  SeenNodes seen_;
  ParentGuess parents_;
  const std::shared_ptr<Subscriptions<SessionState>> session_watches_;
  ZooKeeperWatches watches_;
  ZooKeeperRequests requests_;
  // Last: its sessions call back into the others.
  ZooKeeperConnection connection_;
};

}  // namespace

std::unique_ptr<MetadataStore> MakeZooKeeperStoreOn(ZooKeeperSessionFactory factory,
                                                    ZooKeeperStoreOptions options,
                                                    Executor* executor, Clock* clock) {
  return std::make_unique<ZooKeeperStore>(std::move(factory), std::move(options), executor, clock);
}

}  // namespace stele::metadata
