// SyncedReads: reads that see everything acknowledged to anybody before they were asked for: a sync
// goes to the server before each, on the same connection. One sync serves all the reads that came
// before it was sent, and there is one on its way at a time, so many reads cost few of them.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "metadata/zookeeper/zookeeper_session.h"

namespace stele::metadata {

// Threads: the session's shard. Bounded by what its owner has in flight.
class SyncedReads {
 public:
  using Done = ZooKeeperSession::Done;
  // Sends one request; its reply, which never comes inside the call, goes to the argument.
  using Send = absl::AnyInvocable<void(Done)>;

  explicit SyncedReads(Send send_sync) : send_sync_(std::move(send_sync)) {}
  SyncedReads(const SyncedReads&) = delete;
  SyncedReads& operator=(const SyncedReads&) = delete;

  // A read whose sync failed gets the reply of the sync.
  void Add(Send send_read, Done done) {
    waiting_.push_back({std::move(send_read), std::move(done)});
    if (!is_syncing_) Flush();
  }

 private:
  struct Read {
    Send send;
    Done done;
  };

  void Flush() {
    is_syncing_ = true;
    const auto synced = std::make_shared<ZooKeeperReply>();
    send_sync_([this, synced](ZooKeeperReply reply) {
      // Replies come in order: before those of the reads.
      *synced = std::move(reply);
      is_syncing_ = false;
      if (!waiting_.empty()) Flush();
    });
    for (Read& read : std::exchange(waiting_, {})) {
      read.send([synced, done = std::move(read.done)](ZooKeeperReply reply) mutable {
        done(synced->code == ZooKeeperCode::kOk ? std::move(reply) : *synced);
      });
    }
  }

  Send send_sync_;
  bool is_syncing_ = false;
  std::vector<Read> waiting_;
};

}  // namespace stele::metadata
