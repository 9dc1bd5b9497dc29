#include "metadata/zookeeper/zookeeper_connection.h"

#include <algorithm>
#include <utility>

namespace stele::metadata {
namespace {

// Between sessions of which none could be begun. (Within a session the client paces its
// reconnecting itself.)
constexpr absl::Duration kDelayMin = absl::Milliseconds(100);
constexpr absl::Duration kDelayMax = absl::Seconds(10);

}  // namespace

ZooKeeperConnection::ZooKeeperConnection(Executor* executor, Clock* clock,
                                         ZooKeeperSessionFactory factory,
                                         ZooKeeperConnectionListener* listener)
    : executor_(executor),
      clock_(clock),
      factory_(std::move(factory)),
      listener_(listener),
      closing_sessions_(executor) {}

void ZooKeeperConnection::Begin() { BeginSession(); }

void ZooKeeperConnection::BeginSession() {
  has_begun_ = false;
  session_ = factory_(this);
}

void ZooKeeperConnection::OnState(ZooKeeperSessionState state, std::string_view detail) {
  switch (state) {
    case ZooKeeperSessionState::kConnected: OnConnected(); return;
    case ZooKeeperSessionState::kDisconnected:
      connected_ = false;
      problem_ = std::string(detail);
      WakeWaiters();
      listener_->OnDisconnected();
      return;
    case ZooKeeperSessionState::kExpired:
    case ZooKeeperSessionState::kBroken:
      problem_ = std::string(detail);
      EndSession(NextDelay());
      return;
  }
}

void ZooKeeperConnection::OnConnected() {
  connected_ = true;
  failures_ = 0;
  const bool new_session = !std::exchange(has_begun_, true);
  WakeWaiters();
  listener_->OnConnected(new_session);
}

absl::Duration ZooKeeperConnection::NextDelay() {
  // A session that was good is replaced at once.
  if (has_begun_) return absl::ZeroDuration();
  constexpr int kDoublingsMax = 10;
  return std::min(kDelayMin * (1 << std::min(failures_++, kDoublingsMax)), kDelayMax);
}

void ZooKeeperConnection::Replace() { EndSession(absl::ZeroDuration()); }

void ZooKeeperConnection::EndSession(absl::Duration delay) {
  connected_ = false;
  ++epoch_;
  closing_sessions_.Spawn(CloseSession(std::move(session_)));
  // Not from here: the session that ends is our caller.
  begin_timer_ = clock_->CallAt(clock_->Now() + delay, [this] { BeginSession(); });
  WakeWaiters();
  listener_->OnSessionEnded(has_begun_);
}

Task<void> ZooKeeperConnection::CloseSession(std::unique_ptr<ZooKeeperSession> session) {
  co_await session->Close();
}

Task<void> ZooKeeperConnection::WaitForChange(MonotonicTime deadline) {
  // Forgets the waiter also when the task is destroyed.
  struct Entry {
    ZooKeeperConnection* connection;
    uint64_t id;
    ~Entry() { connection->waiters_.erase(id); }
  };
  Completion<bool> woken(executor_);
  const Entry entry{this, ++last_waiter_};
  waiters_.emplace(entry.id, woken.GetCompleter());
  const std::unique_ptr<Timer> timer = clock_->CallAt(
      deadline, [completer = woken.GetCompleter()]() mutable { completer.Set(false); });
  co_await woken;
}

void ZooKeeperConnection::WakeWaiters() {
  for (auto& [id, completer] : waiters_) completer.Set(true);
}

Task<void> ZooKeeperConnection::Close() {
  connected_ = false;
  ++epoch_;
  begin_timer_ = nullptr;
  WakeWaiters();
  if (session_ != nullptr) closing_sessions_.Spawn(CloseSession(std::move(session_)));
  co_await closing_sessions_.Join();
}

}  // namespace stele::metadata
