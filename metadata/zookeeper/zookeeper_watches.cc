#include "metadata/zookeeper/zookeeper_watches.h"

#include "common/base/check.h"

namespace stele::metadata {
namespace {

// A new session arms all watches again; not all at once.
constexpr size_t kInFlightMax = 128;

// After a request that the server refused although it was connected.
constexpr absl::Duration kRetryDelay = absl::Milliseconds(500);

// A path in the client's SetWatches request: its length in front of it.
constexpr size_t kPathOverheadBytes = 4;

}  // namespace

ZooKeeperWatches::ZooKeeperWatches(Executor* executor, Clock* clock,
                                   ZooKeeperConnection* connection)
    : executor_(executor),
      clock_(clock),
      connection_(connection),
      subscriptions_(std::make_shared<Subscriptions<>>([this](uint64_t id) { OnRemoved(id); })) {}

std::unique_ptr<Watch> ZooKeeperWatches::Add(ZooKeeperWatchKind kind, std::string path,
                                             WatchCallback changed) {
  Subscriptions<>::Added added = subscriptions_->Add(std::move(changed));
  const auto [known, is_new] = ids_.try_emplace(Key(kind, path), last_id_ + 1);
  const uint64_t id = known->second;
  if (is_new) {
    ++last_id_;
    rearm_size_bytes_ += path.size() + kPathOverheadBytes;
    entries_.emplace(id, Entry{.kind = kind, .path = std::move(path)});
  }
  Entry& entry = entries_.find(id)->second;
  entry.subscriptions.insert(added.id);
  entry_of_subscription_.emplace(added.id, id);
  if (entry.state == State::kArmed) {
    // Never inside this call.
    executor_->Post([subscriptions = std::weak_ptr(subscriptions_), subscription = added.id] {
      if (const auto owner = subscriptions.lock(); owner != nullptr) owner->Notify(subscription);
    });
  } else if (is_new) {
    Schedule(id);
  }
  return std::move(added.watch);
}

void ZooKeeperWatches::OnRemoved(uint64_t subscription) {
  const auto found = entry_of_subscription_.find(subscription);
  const uint64_t id = found->second;
  entry_of_subscription_.erase(found);
  Entry& entry = entries_.find(id)->second;
  entry.subscriptions.erase(subscription);
  if (!entry.subscriptions.empty()) return;
  if (entry.state == State::kIdle) {
    Erase(id);
  } else if (entry.state == State::kArmed) {
    Schedule(id);
  }
}

void ZooKeeperWatches::Erase(uint64_t id) {
  const auto entry = entries_.find(id);
  rearm_size_bytes_ -= entry->second.path.size() + kPathOverheadBytes;
  ids_.erase(Key(entry->second.kind, entry->second.path));
  entries_.erase(entry);
}

void ZooKeeperWatches::OnConnected(bool new_session) {
  waiting_.clear();
  failed_.clear();
  retry_timer_ = nullptr;
  std::vector<uint64_t> abandoned;
  if (new_session) in_flight_ = 0;
  for (auto& [id, entry] : entries_) {
    if (new_session) entry.state = State::kIdle;
    if (entry.state == State::kIdle && entry.subscriptions.empty()) {
      abandoned.push_back(id);
    } else {
      waiting_.push_back(id);
    }
  }
  for (const uint64_t id : abandoned) Erase(id);
  Pump();
}

void ZooKeeperWatches::Schedule(uint64_t id) {
  waiting_.push_back(id);
  Pump();
}

void ZooKeeperWatches::Pump() {
  while (connection_->connected() && in_flight_ < kInFlightMax && !waiting_.empty()) {
    const uint64_t id = waiting_.front();
    waiting_.pop_front();
    const auto entry = entries_.find(id);
    if (entry == entries_.end()) continue;
    const bool wanted = !entry->second.subscriptions.empty();
    if (entry->second.state == State::kIdle && wanted) Arm(id);
    if (entry->second.state == State::kArmed && !wanted) Disarm(id);
  }
}

ZooKeeperSession::Done ZooKeeperWatches::Receive(uint64_t id, Receiver receiver) {
  ++in_flight_;
  return [this, id, receiver, epoch = connection_->epoch()](ZooKeeperReply reply) {
    if (epoch != connection_->epoch()) return;
    --in_flight_;
    const bool notify = (this->*receiver)(id, std::move(reply));
    Pump();
    // Last: a subscriber may destroy the store.
    if (notify) NotifyAll(id);
  };
}

void ZooKeeperWatches::Arm(uint64_t id) {
  Entry& entry = entries_.find(id)->second;
  entry.state = State::kArming;
  if (entry.kind == ZooKeeperWatchKind::kNode) {
    connection_->session()->WatchNode(entry.path, id, Receive(id, &ZooKeeperWatches::OnArmed));
  } else {
    connection_->session()->WatchChildren(entry.path, id, Receive(id, &ZooKeeperWatches::OnArmed));
  }
}

bool ZooKeeperWatches::OnArmed(uint64_t id, ZooKeeperReply reply) {
  const Entry& entry = entries_.find(id)->second;
  if (reply.code == ZooKeeperCode::kOk) return SetArmed(id);
  if (reply.code != ZooKeeperCode::kNoNode) return TryAgain(id);
  if (entry.kind == ZooKeeperWatchKind::kNode) return SetArmed(id);
  // There can be no children before the node is there, so its creation is what is watched.
  connection_->session()->WatchNode(entry.path, id,
                                    Receive(id, &ZooKeeperWatches::OnArmedForCreation));
  return false;
}

bool ZooKeeperWatches::OnArmedForCreation(uint64_t id, ZooKeeperReply reply) {
  if (reply.code == ZooKeeperCode::kNoNode) return SetArmed(id);
  if (reply.code != ZooKeeperCode::kOk) return TryAgain(id);
  // It was created between the two requests. The watch on it that we have now is one too many; when
  // it fires, the subscribers look once too often.
  Arm(id);
  return false;
}

bool ZooKeeperWatches::SetArmed(uint64_t id) {
  Entry& entry = entries_.find(id)->second;
  entry.state = State::kArmed;
  if (!entry.subscriptions.empty()) return true;
  waiting_.push_back(id);
  return false;
}

bool ZooKeeperWatches::TryAgain(uint64_t id) {
  Entry& entry = entries_.find(id)->second;
  entry.state = State::kIdle;
  if (entry.subscriptions.empty()) {
    Erase(id);
    return false;
  }
  failed_.push_back(id);
  if (retry_timer_ == nullptr) {
    retry_timer_ = clock_->CallAt(clock_->Now() + kRetryDelay, [this] { RetryFailed(); });
  }
  return false;
}

void ZooKeeperWatches::RetryFailed() {
  retry_timer_ = nullptr;
  for (const uint64_t id : std::exchange(failed_, {})) waiting_.push_back(id);
  Pump();
}

void ZooKeeperWatches::Disarm(uint64_t id) {
  Entry& entry = entries_.find(id)->second;
  entry.state = State::kDisarming;
  connection_->session()->Unwatch(entry.kind, entry.path, id,
                                  Receive(id, &ZooKeeperWatches::OnDisarmed));
}

bool ZooKeeperWatches::OnDisarmed(uint64_t id, ZooKeeperReply reply) {
  Entry& entry = entries_.find(id)->second;
  if (!entry.subscriptions.empty()) {
    // Somebody has come meanwhile, and waits for the first call.
    entry.state = State::kIdle;
    waiting_.push_back(id);
  } else if (reply.code == ZooKeeperCode::kLost) {
    entry.state = State::kArmed;  // OnConnected() tries again.
  } else {
    Erase(id);
  }
  return false;
}

void ZooKeeperWatches::OnWatch(uint64_t id) {
  const auto found = entries_.find(id);
  // While a request is on its way, its reply says what to do next.
  if (found == entries_.end() || found->second.state != State::kArmed) return;
  found->second.state = State::kIdle;
  if (found->second.subscriptions.empty()) {
    Erase(id);
  } else {
    Schedule(id);
  }
}

void ZooKeeperWatches::NotifyAll(uint64_t id) {
  const std::shared_ptr<Subscriptions<>> subscriptions = subscriptions_;
  const absl::btree_set<uint64_t> ids = entries_.find(id)->second.subscriptions;
  for (const uint64_t subscription : ids) subscriptions->Notify(subscription);
}

}  // namespace stele::metadata
