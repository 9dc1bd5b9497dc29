// ZooKeeperConnection: always one session, a new one as soon as the last has ended.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/container/btree_map.h"
#include "common/async/completion.h"
#include "common/async/executor.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/seams/clock.h"
#include "metadata/zookeeper/zookeeper_session.h"

namespace stele::metadata {

class ZooKeeperConnectionListener {
 public:
  virtual ~ZooKeeperConnectionListener() = default;
  //   new_session   nothing is watched, and nothing ephemeral is ours
  virtual void OnConnected(bool new_session) = 0;
  virtual void OnDisconnected() = 0;
  // The session is over and gives no more replies. A new one is begun at once.
  //   had_begun   it was connected once, so there was something to lose
  virtual void OnSessionEnded(bool had_begun) = 0;
  virtual void OnWatch(uint64_t watch) = 0;
};

// Threads: one shard.
class ZooKeeperConnection : private ZooKeeperSessionListener {
 public:
  // All outlive the connection.
  ZooKeeperConnection(Executor* executor, Clock* clock, ZooKeeperSessionFactory factory,
                      ZooKeeperConnectionListener* listener);
  ZooKeeperConnection(const ZooKeeperConnection&) = delete;
  ZooKeeperConnection& operator=(const ZooKeeperConnection&) = delete;
  ~ZooKeeperConnection() override = default;

  // Begins the first session. Call once.
  void Begin();

  bool connected() const { return connected_; }
  // Only while connected.
  ZooKeeperSession* session() const { return session_.get(); }
  // Grows when a session ends: replies and ephemeral nodes of one epoch mean nothing in the next.
  uint64_t epoch() const { return epoch_; }
  // Why it is not connected, for people.
  const std::string& problem() const { return problem_; }

  // Gives up the session and begins another, as if it had expired.
  void Replace();

  // Completes at the next change of anything above, or at `deadline`.
  Task<void> WaitForChange(MonotonicTime deadline);

  // Ends the session. No more calls to the listener.
  Task<void> Close();

 private:
  void OnState(ZooKeeperSessionState state, std::string_view detail) override;
  void OnWatch(uint64_t watch) override { listener_->OnWatch(watch); }
  void OnConnected();
  void WakeWaiters();
  void BeginSession();
  // Ends the session in the background and begins another after `delay`.
  void EndSession(absl::Duration delay);
  absl::Duration NextDelay();
  static Task<void> CloseSession(std::unique_ptr<ZooKeeperSession> session);

  Executor* const executor_;
  Clock* const clock_;
  const ZooKeeperSessionFactory factory_;
  ZooKeeperConnectionListener* const listener_;

  std::unique_ptr<ZooKeeperSession> session_;
  uint64_t epoch_ = 0;
  bool connected_ = false;
  bool has_begun_ = false;  // this session was connected once
  int failures_ = 0;        // sessions in a row that ended without having been connected
  std::string problem_ = "not connected yet";
  uint64_t last_waiter_ = 0;
  absl::btree_map<uint64_t, Completer<bool>> waiters_;
  std::unique_ptr<Timer> begin_timer_;
  // Last: the sessions that are being closed.
  TaskScope closing_sessions_;
};

}  // namespace stele::metadata
