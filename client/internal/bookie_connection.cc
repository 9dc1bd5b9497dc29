#include "client/internal/bookie_connection.h"

#include <algorithm>
#include <string>
#include <utility>

#include "client/internal/next_turn.h"
#include "common/base/try.h"

namespace stele::client {

BookieConnection::BookieConnection(const Env& env, BookieId bookie, ConnectionOptions options,
                                   BookieAddresses* addresses, Owner* owner)
    : env_(env),
      bookie_(std::move(bookie)),
      options_(options),
      addresses_(addresses),
      owner_(owner),
      backoff_(options.backoff_min),
      tasks_(env.executor) {}

BookieConnection::~BookieConnection() = default;

void BookieConnection::Send(std::string_view head, Buffer body) {
  if (state_ == State::kOpen) {
    connection_->Send(head, std::move(body));
    return;
  }
  if (state_ == State::kRefusing) return;
  if (state_ == State::kClosed && env_.clock->Now() < not_before_) {
    state_ = State::kRefusing;
    tasks_.Spawn(RefuseLater());
    return;
  }
  waiting_bytes_ += head.size() + body.size();
  waiting_.push_back({std::string(head), std::move(body)});
  if (state_ == State::kClosed) {
    state_ = State::kConnecting;
    ++attempt_;
    tasks_.Spawn(Connect());
  }
}

size_t BookieConnection::queued_bytes() const {
  return waiting_bytes_ + (connection_ != nullptr ? connection_->queued_bytes() : 0);
}

void BookieConnection::Drop() { Discard(); }

void BookieConnection::Discard() {
  state_ = State::kClosed;
  waiting_.clear();
  waiting_bytes_ = 0;
  if (connection_ == nullptr) return;
  connection_->Close();
  // We may be inside one of its callbacks.
  env_.executor->Post([connection = std::move(connection_)] {});
}

void BookieConnection::OnPeerFinished() {
  Discard();
  owner_->OnConnectionLost(/*was_open=*/true);
}

void BookieConnection::OnClosed(absl::Status why) {
  Discard();
  owner_->OnConnectionLost(/*was_open=*/true);
}

Task<void> BookieConnection::RefuseLater() {
  co_await NextTurn(env_.executor);
  if (state_ != State::kRefusing) co_return;
  state_ = State::kClosed;
  owner_->OnConnectionLost(/*was_open=*/false);
}

Task<absl::StatusOr<std::unique_ptr<Connection>>> BookieConnection::TryConnect() {
  STELE_CO_TRY(Endpoint endpoint, co_await addresses_->resolve(bookie_));
  co_return co_await env_.transport->Connect(std::move(endpoint), options_.limits,
                                             options_.connect_timeout);
}

Task<void> BookieConnection::Connect() {
  const uint64_t attempt = attempt_;
  co_await NextTurn(env_.executor);
  absl::StatusOr<std::unique_ptr<Connection>> connection = co_await TryConnect();
  if (attempt != attempt_ || state_ != State::kConnecting) co_return;
  if (!connection.ok()) {
    addresses_->on_unreachable(bookie_);
    not_before_ = env_.clock->Now() + backoff_;
    backoff_ = std::min(backoff_ * 2, options_.backoff_max);
    Discard();
    owner_->OnConnectionLost(/*was_open=*/false);
    co_return;
  }
  backoff_ = options_.backoff_min;
  connection_ = *std::move(connection);
  state_ = State::kOpen;
  connection_->Start(this);
  std::vector<wire::OutgoingFrame> waiting = std::exchange(waiting_, {});
  waiting_bytes_ = 0;
  for (wire::OutgoingFrame& frame : waiting) {
    connection_->Send(frame.head, std::move(frame.body));
  }
}

}  // namespace stele::client
