// FakeZooKeeper: ZooKeeper's rules in memory, behind the driver's own seam, with the faults that a
// real server cannot be made to show on demand: a reply that is lost before or after the request
// was applied, a connection that drops at a given moment, a session that expires.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "common/async/executor.h"
#include "metadata/zookeeper/zookeeper_session.h"

namespace stele::metadata {

// Threads: one shard, the store's. It outlives the sessions.
class FakeZooKeeper {
 public:
  struct Node {
    std::string value;
    ZooKeeperStat stat;
    uint32_t next_sequence = 0;
  };
  enum class Fate {
    kServe,
    kDropBefore,    // the connection breaks before the request is applied
    kDropAfter,     // the request is applied, then the connection breaks
    kMute,          // applied, and no reply comes
    kThrottle,      // refused without being looked at
    kRefuse,        // an error code that nobody knows
    kExpireBefore,  // the session ends before the request is applied
    kExpireAfter,   // the request is applied, then the session ends
  };
  enum class Request { kCreate, kSet, kDelete, kMulti, kGet, kChildren, kWatch, kUnwatch };

  explicit FakeZooKeeper(Executor* executor) : executor_(executor) { nodes_["/"] = {}; }
  ~FakeZooKeeper();

  ZooKeeperSessionFactory Factory();

  // Decides what happens to each request; kServe where there is none.
  std::function<Fate(Request, const std::string& path)> decide;
  // While false nobody gets a connection, and new sessions break.
  void SetReachable(bool reachable);
  // Breaks the connections of all sessions; they reconnect by themselves while reachable.
  void DropConnections();
  // Ends the sessions.
  void ExpireSessions();

  // What somebody else does; false: against the rules.
  bool Create(const std::string& path, const std::string& value);
  bool Set(const std::string& path, const std::string& value);
  bool Delete(const std::string& path);

  const std::map<std::string, Node>& nodes() const { return nodes_; }
  int sessions_begun() const { return sessions_begun_; }
  // Watches that are armed at the server.
  size_t watch_count() const;

 private:
  class Session;
  struct Connection;  // what client and server share of a session

  Fate Decide(Request request, const std::string& path) {
    const auto copy = decide;  // It may replace itself.
    return copy == nullptr ? Fate::kServe : copy(request, path);
  }
  ZooKeeperReply ApplyCreate(int64_t session, const std::string& path, const std::string& value,
                             ZooKeeperSession::CreateMode mode);
  ZooKeeperReply ApplySet(const std::string& path, const std::string& value, int32_t version);
  ZooKeeperReply ApplyDelete(const std::string& path, int32_t version);
  ZooKeeperReply ApplyCreateWithParent(int64_t session, const std::string& path,
                                       const std::string& value);
  ZooKeeperReply ApplyDeleteTogether(const std::vector<ZooKeeperDeletion>& nodes);
  ZooKeeperReply Read(const std::string& path) const;
  ZooKeeperReply ListChildren(const std::string& path) const;
  void RemoveNode(const std::string& path);
  void Fire(const std::string& path);
  void FireChildren(const std::string& path);
  bool HasChildren(const std::string& path) const;
  void EndSession(Connection* connection);

  Executor* const executor_;
  std::map<std::string, Node> nodes_;
  std::vector<std::shared_ptr<Connection>> connections_;
  int64_t last_transaction_ = 0;
  int64_t last_session_ = 0;
  int sessions_begun_ = 0;
  bool reachable_ = true;
};

}  // namespace stele::metadata
