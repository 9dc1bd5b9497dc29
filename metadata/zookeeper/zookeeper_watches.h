// ZooKeeperWatches: subscriptions on top of ZooKeeper's one-shot watches. Each watched path has one
// watch at the server, whatever the number of subscribers; it is armed again when it has fired and
// in each new session, and the subscribers are called when it is armed: what they read then is
// watched.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "common/async/executor.h"
#include "common/seams/clock.h"
#include "metadata/drivers/subscriptions.h"
#include "metadata/metadata_store.h"
#include "metadata/zookeeper/zookeeper_connection.h"

namespace stele::metadata {

// Threads: one shard.
class ZooKeeperWatches {
 public:
  // All outlive it; no requests are in flight when it is destroyed.
  ZooKeeperWatches(Executor* executor, Clock* clock, ZooKeeperConnection* connection);
  ZooKeeperWatches(const ZooKeeperWatches&) = delete;
  ZooKeeperWatches& operator=(const ZooKeeperWatches&) = delete;
  ~ZooKeeperWatches() { subscriptions_->Detach(); }

  std::unique_ptr<Watch> Add(ZooKeeperWatchKind kind, std::string path, WatchCallback changed);

  // What the connection tells its listener.
  void OnConnected(bool new_session);
  void OnWatch(uint64_t id);

  // The size of the request with which the client arms everything again after a reconnect.
  size_t rearm_size_bytes() const { return rearm_size_bytes_; }

 private:
  enum class State { kIdle, kArming, kArmed, kDisarming };
  struct Entry {
    ZooKeeperWatchKind kind;
    std::string path;
    State state = State::kIdle;
    absl::btree_set<uint64_t> subscriptions;
  };
  using Key = std::pair<ZooKeeperWatchKind, std::string>;

  // What a reply calls; true when the subscribers are to be called.
  using Receiver = bool (ZooKeeperWatches::*)(uint64_t id, ZooKeeperReply reply);

  void OnRemoved(uint64_t subscription);
  void Schedule(uint64_t id);
  // Sends what the scheduled entries need next, as far as the limit allows.
  void Pump();
  void Arm(uint64_t id);
  void Disarm(uint64_t id);
  bool OnArmed(uint64_t id, ZooKeeperReply reply);
  bool OnArmedForCreation(uint64_t id, ZooKeeperReply reply);
  bool OnDisarmed(uint64_t id, ZooKeeperReply reply);
  bool SetArmed(uint64_t id);
  // Neither armed nor refused for good: tries again after a pause or with the next connection.
  bool TryAgain(uint64_t id);
  void RetryFailed();
  // Counts the request; ignores its reply when a new session has begun meanwhile.
  ZooKeeperSession::Done Receive(uint64_t id, Receiver receiver);
  void Erase(uint64_t id);
  void NotifyAll(uint64_t id);

  Executor* const executor_;
  Clock* const clock_;
  ZooKeeperConnection* const connection_;
  const std::shared_ptr<Subscriptions<>> subscriptions_;
  absl::btree_map<uint64_t, Entry> entries_;
  absl::btree_map<Key, uint64_t> ids_;
  absl::btree_map<uint64_t, uint64_t> entry_of_subscription_;
  uint64_t last_id_ = 0;
  std::deque<uint64_t> waiting_;  // for their turn
  size_t in_flight_ = 0;
  size_t rearm_size_bytes_ = 0;
  std::vector<uint64_t> failed_;
  std::unique_ptr<Timer> retry_timer_;
};

}  // namespace stele::metadata
