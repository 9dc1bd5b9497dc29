// What every operation of the ZooKeeper store needs: a deadline, a connection to wait for, replies
// that may be lost, and an end when the store closes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/btree_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/completion.h"
#include "common/async/executor.h"
#include "common/async/task.h"
#include "common/base/errors.h"
#include "common/seams/clock.h"
#include "metadata/zookeeper/zookeeper_connection.h"

namespace stele::metadata {

// The requests of all operations that wait for a reply. Threads: one shard.
class ZooKeeperRequests {
 public:
  // All outlive it.
  ZooKeeperRequests(Executor* executor, Clock* clock, ZooKeeperConnection* connection)
      : executor_(executor), clock_(clock), connection_(connection) {}
  ZooKeeperRequests(const ZooKeeperRequests&) = delete;
  ZooKeeperRequests& operator=(const ZooKeeperRequests&) = delete;

  // Hands one request to the session.
  using Send = absl::AnyInvocable<void(ZooKeeperSession*, ZooKeeperSession::Done)>;

  // Sends and waits; nullopt at `deadline` or when the store closes. Only while connected; `send`
  // outlives the task.
  Task<std::optional<ZooKeeperReply>> Await(Send* send, MonotonicTime deadline);

  // The session gives no more replies.
  void LoseAll();
  // The store closes.
  void StopAll();
  bool stopped() const { return stopped_; }

  Clock* clock() const { return clock_; }
  ZooKeeperConnection* connection() const { return connection_; }

 private:
  friend class ZooKeeperOperation;
  using Answer = std::optional<ZooKeeperReply>;

  Executor* const executor_;
  Clock* const clock_;
  ZooKeeperConnection* const connection_;
  bool stopped_ = false;
  size_t operations_ = 0;
  uint64_t last_id_ = 0;
  absl::btree_map<uint64_t, Completer<Answer>> waiting_;
};

// One call of the store: lives in the frame of its coroutine.
class ZooKeeperOperation {
 public:
  using Send = ZooKeeperRequests::Send;

  ZooKeeperOperation(ZooKeeperRequests* requests, absl::Duration timeout)
      : requests_(requests), deadline_(requests->clock()->Now() + timeout) {
    ++requests_->operations_;
  }
  ZooKeeperOperation(const ZooKeeperOperation&) = delete;
  ZooKeeperOperation& operator=(const ZooKeeperOperation&) = delete;
  ~ZooKeeperOperation() { --requests_->operations_; }

  // kStopped, kOverloaded; without effect.
  absl::Status Admit(size_t operations_max) const;

  // From now on a write makes sense in the present session only: in another it is not sent, and
  // the reply is kNoNode. For what an own ephemeral node is to suffer.
  void BindToSession() { bound_to_epoch_ = requests_->connection()->epoch(); }

  // Sends a write once; sends again what surely was not applied. The reply may be kLost, and from
  // then on the effect is unknown; also after kRefused, whose meaning we do not know.
  Task<absl::StatusOr<ZooKeeperReply>> Write(Send send);

  // Sends until there is a reply: for reads, and for writes that may be repeated.
  Task<absl::StatusOr<ZooKeeperReply>> Repeat(Send send);

  // After kLost: waits for a connection. An error when it is one of a new session: nobody can say
  // any more what became of the write.
  Task<absl::Status> WaitForSameSession();

  // Of the last Write().
  uint64_t epoch() const { return epoch_of_last_write_; }
  // Whether its session still is the store's.
  bool IsSameSession() const { return requests_->connection()->epoch() == epoch(); }

  // Of what Write() has sent so far, if the operation fails now.
  Effect effect() const { return effect_; }

  // kMetadataUnavailable with effect().
  absl::Status Unavailable(std::string_view why) const;

 private:
  Task<absl::Status> WaitForConnection();
  // After a failure that the connection did not notice.
  Task<void> Pause();
  absl::Status Failure() const;

  ZooKeeperRequests* const requests_;
  const MonotonicTime deadline_;
  uint64_t epoch_of_last_write_ = 0;
  std::optional<uint64_t> bound_to_epoch_;
  Effect effect_ = Effect::kNone;
};

}  // namespace stele::metadata
