// ZooKeeperSession: the driver's own seam to ZooKeeper: one session with its requests, as the
// protocol has them, nothing retried. c_session.h is the real one; testing/fake_zookeeper.h plays
// scripts of lost replies and expiries that a real server cannot be made to repeat.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "common/async/task.h"

namespace stele::metadata {

enum class ZooKeeperCode {
  kOk,
  kNoNode,
  kNodeExists,
  kBadVersion,
  kNotEmpty,
  kNoChildrenForEphemerals,
  kNoAuth,
  kNotApplied,  // not sent, or refused without being looked at: may be sent again
  kLost,        // no reply will come: a write may have been applied, or still be
  kRefused,     // the server refuses it for another reason, in ZooKeeperReply::text
};

struct ZooKeeperStat {
  int64_t created = 0;  // the transaction that created the node: differs for each creation
  int32_t version = 0;
  int64_t ephemeral_owner = 0;  // a session's id; 0: persistent
};

struct ZooKeeperReply {
  ZooKeeperCode code = ZooKeeperCode::kOk;
  ZooKeeperStat stat;                 // of the node, where the request gives it
  std::string text;                   // the value, the created path, or why it was refused
  std::vector<std::string> children;  // in no order
};

struct ZooKeeperDeletion {
  std::string path;
  int32_t version = -1;
};

enum class ZooKeeperSessionState {
  kConnected,
  kDisconnected,  // reconnecting; the session may live on
  kExpired,       // its end; ephemeral nodes are gone or go at once
  kBroken,        // its end: it could not be begun, or the peer is no ZooKeeper
};

enum class ZooKeeperWatchKind { kNode, kChildren };

// What a session tells its owner; on the owner's shard.
class ZooKeeperSessionListener {
 public:
  virtual ~ZooKeeperSessionListener() = default;

  // After kExpired and kBroken nothing more comes, but replies.
  //   detail   for people
  virtual void OnState(ZooKeeperSessionState state, std::string_view detail) = 0;

  // The watch has fired and is not armed any more.
  virtual void OnWatch(uint64_t watch) = 0;
};

// A reply, or kLost, comes for each request, never inside the call, unless the session is closed or
// destroyed first. Replies of the server, events of watches and states come in the order in which
// they happened. When a connection is lost, armed watches stay armed. Threads: the shard of its
// owner.
class ZooKeeperSession {
 public:
  using Done = absl::AnyInvocable<void(ZooKeeperReply)>;

  // Without Close() it is abandoned: the server ends it after its timeout.
  virtual ~ZooKeeperSession() = default;

  // 0 before it was connected for the first time.
  virtual int64_t id() const = 0;

  enum class CreateMode {
    kPersistent,
    kEphemeral,
    kPersistentSequential,
    kEphemeralSequential,
  };
  // Gives the path and the stat.
  virtual void Create(const std::string& path, const std::string& value, CreateMode mode,
                      Done done) = 0;
  // Gives the new stat.
  virtual void Set(const std::string& path, const std::string& value, int32_t version,
                   Done done) = 0;
  virtual void Delete(const std::string& path, int32_t version, Done done) = 0;

  // The parent, empty, and the node, both persistent, in one transaction: both or neither. Gives no
  // stat. kNodeExists: the parent is there; kNoNode: its own parent is not.
  virtual void CreateWithParent(const std::string& path, const std::string& value, Done done) = 0;

  // All of them, in this order, in one transaction: all or none. The code is that of the first that
  // cannot be deleted.
  virtual void DeleteTogether(const std::vector<ZooKeeperDeletion>& nodes, Done done) = 0;

  // These two see everything that was acknowledged to anybody before the call.
  virtual void Get(const std::string& path, Done done) = 0;
  virtual void Children(const std::string& path, Done done) = 0;

  // Arms a watch for the creation, change or deletion of the node. kOk and kNoNode: it is armed.
  virtual void WatchNode(const std::string& path, uint64_t watch, Done done) = 0;
  // Arms a watch on the set of children. Only kOk: it is armed.
  virtual void WatchChildren(const std::string& path, uint64_t watch, Done done) = 0;
  // Any reply but kLost: the watch is not armed any more.
  virtual void Unwatch(ZooKeeperWatchKind kind, const std::string& path, uint64_t watch,
                       Done done) = 0;

  // Ends the session at the server. Requests without a reply get none. Call once.
  virtual Task<void> Close() = 0;
};

// Begins sessions. `listener` outlives the session.
using ZooKeeperSessionFactory =
    std::function<std::unique_ptr<ZooKeeperSession>(ZooKeeperSessionListener* listener)>;

}  // namespace stele::metadata
