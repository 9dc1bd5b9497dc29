#include "client/internal/bookie_connection.h"

#include <algorithm>
#include <string>
#include <utility>

#include "common/async/yield.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/observe/log.h"
#include "common/wire/reply_codec.h"
#include "common/wire/request_codec.h"

namespace stele::client {
namespace {

// The lanes count from 1.
constexpr uint64_t kStartTlsId = 0;

// What a bookie says to the wish for TLS.
absl::Status JudgeStartTlsReply(std::span<Buffer> frames) {
  const absl::StatusOr<wire::Reply> reply =
      wire::DecodeReply(wire::ProtocolVersion::kV3, frames.front());
  if (!reply.ok()) return reply.status();
  if (reply->operation != wire::Operation::kStartTls || reply->code != wire::ReplyCode::kOk) {
    return MakeError(ErrorCode::kUnauthorized, "the bookie has no TLS");
  }
  if (frames.size() > 1) {
    return MakeError(ErrorCode::kUnauthorized, "bytes in clear behind the reply to START_TLS");
  }
  return absl::OkStatus();
}

}  // namespace

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
  tls_timer_.reset();
  waiting_.clear();
  waiting_bytes_ = 0;
  if (connection_ == nullptr) return;
  connection_->Close();
  // We may be inside one of its callbacks.
  env_.executor->Post([connection = std::move(connection_)] {});
}

void BookieConnection::OnPeerFinished() {
  OnClosed(MakeError(ErrorCode::kConnectionLost, "closed by the bookie"));
}

void BookieConnection::OnClosed(absl::Status why) {
  if (state_ == State::kStartingTls) return FailAttempt(why);
  Discard();
  owner_->OnConnectionLost(/*was_open=*/true);
}

Task<void> BookieConnection::RefuseLater() {
  co_await Yield(env_.executor);
  if (state_ != State::kRefusing) co_return;
  state_ = State::kClosed;
  owner_->OnConnectionLost(/*was_open=*/false);
}

Task<absl::StatusOr<std::unique_ptr<Connection>>> BookieConnection::TryConnect() {
  STELE_CO_TRY(Endpoint endpoint, co_await addresses_->resolve(bookie_));
  host_ = endpoint.host;
  co_return co_await env_.transport->Connect(std::move(endpoint), options_.limits,
                                             options_.connect_timeout);
}

Task<void> BookieConnection::Connect() {
  const uint64_t attempt = attempt_;
  co_await Yield(env_.executor);
  absl::StatusOr<std::unique_ptr<Connection>> connection = co_await TryConnect();
  if (attempt != attempt_ || state_ != State::kConnecting) co_return;
  if (!connection.ok()) {
    FailAttempt(connection.status());
    co_return;
  }
  connection_ = *std::move(connection);
  connection_->Start(this);
  if (options_.tls != nullptr) {
    AskForTls();
  } else {
    Open();
  }
}

void BookieConnection::FailAttempt(const absl::Status& why) {
  if (state_ == State::kStartingTls && options_.log != nullptr &&
      backoff_ == options_.backoff_min) {
    options_.log->Write(
        observe::LogLevel::kWarning, "no TLS with a bookie",
        {{"bookie", std::string_view(bookie_.value())}, {"error", ToStd(why.message())}});
  }
  addresses_->on_unreachable(bookie_);
  not_before_ = env_.clock->Now() + backoff_;
  backoff_ = std::min(backoff_ * 2, options_.backoff_max);
  Discard();
  owner_->OnConnectionLost(/*was_open=*/false);
}

void BookieConnection::Open() {
  backoff_ = options_.backoff_min;
  state_ = State::kOpen;
  std::vector<wire::OutgoingFrame> waiting = std::exchange(waiting_, {});
  waiting_bytes_ = 0;
  for (wire::OutgoingFrame& frame : waiting) {
    connection_->Send(frame.head, std::move(frame.body));
  }
}

// ---- TLS

void BookieConnection::AskForTls() {
  state_ = State::kStartingTls;
  tls_timer_ = env_.clock->CallAt(env_.clock->Now() + options_.connect_timeout, [this] {
    FailAttempt(MakeError(ErrorCode::kDeadline, "TLS did not come about in time"));
  });
  const wire::RequestHeader header{.version = wire::ProtocolVersion::kV3,
                                   .txn_id = kStartTlsId,
                                   .operation = wire::Operation::kStartTls};
  const absl::StatusOr<wire::OutgoingFrame> frame =
      wire::EncodeRequest({header, wire::StartTlsRequest{}});
  STELE_CHECK(frame.ok());
  connection_->Send(frame->head, frame->body);
}

void BookieConnection::OnStartTlsReply(std::span<Buffer> frames) {
  const absl::Status judged = JudgeStartTlsReply(frames);
  if (!judged.ok()) return FailAttempt(judged);
  connection_->StartTls({.side = TlsUpgrade::Side::kClient,
                         .credentials = options_.tls,
                         .server_name = options_.tls_verifies_name ? host_ : "",
                         .deadline = options_.connect_timeout});
}

void BookieConnection::OnTlsStarted(const TlsPeer& peer) {
  tls_timer_.reset();
  Open();
}

}  // namespace stele::client
