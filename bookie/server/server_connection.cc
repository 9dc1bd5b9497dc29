#include "bookie/server/server_connection.h"

#include <optional>
#include <utility>
#include <variant>

#include "common/base/errors.h"
#include "common/wire/reply_codec.h"
#include "common/wire/request_codec.h"

namespace stele::bookie {

ServerConnection::ServerConnection(Executor* executor, RequestRouter* router,
                                   ConnectionLimits limits, const PeerRequirements* requirements,
                                   RequestMetrics* metrics, std::unique_ptr<Connection> connection,
                                   absl::AnyInvocable<void(ServerConnection*)> on_closed)
    : executor_(executor),
      router_(router),
      limits_(limits),
      requirements_(requirements),
      metrics_(metrics),
      gate_(requirements),
      connection_(std::move(connection)),
      on_closed_(std::move(on_closed)) {}

void ServerConnection::Start() { connection_->Start(this); }

bool ServerConnection::CanTakeWork() const {
  return !router_->is_overloaded() && add_bytes_in_flight_ < limits_.add_bytes_in_flight_max &&
         requests_in_flight_ < limits_.requests_in_flight_max &&
         ExpectedReplyBytes() < limits_.reply_bytes_expected_max &&
         connection_->queued_bytes() < limits_.reply_bytes_queued_max;
}

void ServerConnection::OnFrames(std::span<Buffer> frames) {
  const std::shared_ptr<ServerConnection> keep = shared_from_this();
  size_t taken = 0;
  taken_at_ = metrics_->Now();
  if (held_frames_.empty()) {
    while (taken < frames.size() && !closed_ && CanTakeWork()) {
      const Buffer& frame = frames[taken++];
      TakeFrame(frame, taken == frames.size());
    }
  }
  if (closed_) return;
  for (; taken < frames.size(); ++taken) held_frames_.push_back(std::move(frames[taken]));
  Update();
}

void ServerConnection::Update() {
  const std::shared_ptr<ServerConnection> keep = shared_from_this();
  if (!held_frames_.empty()) taken_at_ = metrics_->Now();
  while (!closed_ && !held_frames_.empty() && CanTakeWork()) {
    const Buffer frame = std::move(held_frames_.front());
    held_frames_.pop_front();
    TakeFrame(frame, held_frames_.empty());
  }
  if (closed_) return;
  const bool pause = !held_frames_.empty() || !CanTakeWork();
  if (pause != paused_) {
    paused_ = pause;
    if (pause) {
      connection_->PauseReading();
    } else {
      connection_->ResumeReading();
    }
  }
  const bool idle = held_frames_.empty() && adds_in_flight_ == 0 && requests_in_flight_ == 0;
  if (peer_finished_ && idle) {
    connection_->CloseAfterSending();
  }
}

// Answers come in bursts: one look at the end of the turn serves them all.
void ServerConnection::UpdateLater() {
  if (update_posted_ || closed_) return;
  update_posted_ = true;
  executor_->PostAtTurnEnd([self = shared_from_this()] {
    self->update_posted_ = false;
    if (!self->closed_) self->Update();
  });
}

namespace {

bool IsLongPoll(const wire::Request& request) {
  const auto* read = std::get_if<wire::ReadRequest>(&request.body);
  return read != nullptr && read->previous_lac.has_value() && !read->fence_key.has_value();
}

bool IsFencing(const wire::Request& request) {
  const auto* read = std::get_if<wire::ReadRequest>(&request.body);
  return read != nullptr && read->fence_key.has_value();
}

}  // namespace

size_t ServerConnection::ExpectedReplyBytes() const {
  const auto batches = static_cast<size_t>(batches_in_flight_);
  const auto others = static_cast<size_t>(requests_in_flight_ - batches_in_flight_);
  return batches * batch_size_.bytes() + others * reply_size_.bytes();
}

void ServerConnection::TakeFrame(const Buffer& frame, bool is_last) {
  wire::DecodedRequest decoded = wire::DecodeRequest(frame);
  if (auto* request = std::get_if<wire::Request>(&decoded); request != nullptr) [[likely]] {
    const PeerGate::Verdict verdict = gate_.Judge(request->header.operation, is_last);
    if (verdict == PeerGate::Verdict::kServe) [[likely]] {
      TakeRequest(*std::move(request));
    } else {
      Refuse(*request, verdict);
    }
  } else if (const auto* refused = std::get_if<wire::RefusedRequest>(&decoded);
             refused != nullptr) {
    router_->OnBadInput(refused->reason, peer());
    SendFrame(refused->reply);
  } else {
    CloseBecauseOf(std::get<wire::UnreadableFrame>(decoded).reason);
  }
}

void ServerConnection::TakeRequest(wire::Request request) {
  request.header.arrived = taken_at_;
  if (const auto* add = std::get_if<wire::AddRequest>(&request.body); add != nullptr) {
    ++adds_in_flight_;
    add_bytes_in_flight_ += add->body.size();
  } else {
    // A long poll may wait for an hour: it must not keep its neighbours from being read. Their
    // number has a limit of its own (ReadLimits).
    request.header.is_long_poll = IsLongPoll(request);
    request.header.is_fencing = IsFencing(request);
    if (!request.header.is_long_poll) {
      ++requests_in_flight_;
      if (request.header.operation == wire::Operation::kBatchRead) ++batches_in_flight_;
    }
  }
  metrics_->OnRequest(request.header);
  router_->Route(shared_from_this(), std::move(request));
}

void ServerConnection::Refuse(const wire::Request& request, PeerGate::Verdict verdict) {
  switch (verdict) {
    case PeerGate::Verdict::kServe: return;
    case PeerGate::Verdict::kStartTls: return StartTls(request.header);
    case PeerGate::Verdict::kNoTls:
      return SendFrame(wire::EncodeStatusOnly(request.header, wire::ReplyCode::kBadRequest));
    case PeerGate::Verdict::kClose: return CloseBecauseOf("start_tls_out_of_place");
    case PeerGate::Verdict::kRefuse:
    case PeerGate::Verdict::kRefuseForGood: break;
  }
  const std::optional<wire::OutgoingFrame> refusal = wire::EncodeUnauthenticated(request);
  if (!refusal.has_value()) return CloseBecauseOf("unauthorized");
  router_->OnBadInput("unauthorized", this->peer());
  SendFrame(*refusal);
  if (verdict == PeerGate::Verdict::kRefuseForGood) connection_->CloseAfterSending();
}

void ServerConnection::StartTls(const wire::RequestHeader& header) {
  SendFrame(wire::EncodeReply(header, wire::ReplyCode::kOk, wire::StartTlsReply{}));
  gate_.OnTlsAsked();
  connection_->StartTls({.side = TlsUpgrade::Side::kServer,
                         .credentials = requirements_->tls,
                         .deadline = requirements_->handshake_deadline});
}

void ServerConnection::OnTlsStarted(const TlsPeer& peer) {
  gate_.OnTlsStarted(peer);
  if (!gate_.is_open()) router_->OnBadInput("no_authorized_role", this->peer());
}

void ServerConnection::CloseBecauseOf(std::string_view reason) {
  router_->OnBadInput(reason, peer());
  Close();
  on_closed_(this);
}

void ServerConnection::SendFrame(const wire::OutgoingFrame& frame) {
  if (!closed_) connection_->Send(frame.head, frame.body);
}

void ServerConnection::ReplyToAdd(const wire::RequestHeader& header, wire::ReplyCode code,
                                  LedgerId ledger, EntryId entry, size_t body_size) {
  --adds_in_flight_;
  add_bytes_in_flight_ -= body_size;
  metrics_->OnReply(header, code, body_size);
  if (closed_) return;
  SendFrame(wire::EncodeAddReply(header, code, ledger, entry));
  if (paused_ || peer_finished_) UpdateLater();
}

void ServerConnection::Reply(const wire::RequestHeader& header, wire::ReplyCode code,
                             wire::ReplyBody body) {
  const bool is_batch = header.operation == wire::Operation::kBatchRead;
  if (!header.is_long_poll) --requests_in_flight_;
  if (is_batch) --batches_in_flight_;
  if (closed_) return metrics_->OnReply(header, code, 0);
  const wire::OutgoingFrame frame = wire::EncodeReply(header, code, body);
  metrics_->OnReply(header, code, frame.body.size());
  (is_batch ? batch_size_ : reply_size_).OnReply(frame.head.size() + frame.body.size());
  SendFrame(frame);
  if (paused_ || peer_finished_) UpdateLater();
}

void ServerConnection::OnWritable() { Update(); }

void ServerConnection::OnPeerFinished() {
  peer_finished_ = true;
  Update();
}

namespace {

// Empty: the peer or the network ended it.
std::string_view BadInputBehind(const absl::Status& why) {
  switch (CodeOf(why)) {
    case ErrorCode::kCorruptData: return "frame_length";
    case ErrorCode::kDeadline: return "deadline";
    case ErrorCode::kUnauthorized: return "tls_refused";
    default: return {};
  }
}

}  // namespace

void ServerConnection::OnClosed(absl::Status why) {
  if (closed_) return;
  const std::string_view reason = BadInputBehind(why);
  if (!reason.empty()) router_->OnBadInput(reason, peer());
  const std::shared_ptr<ServerConnection> keep = shared_from_this();
  closed_ = true;
  held_frames_.clear();
  on_closed_(this);
}

void ServerConnection::Close() {
  if (closed_) return;
  closed_ = true;
  held_frames_.clear();
  connection_->Close();
}

}  // namespace stele::bookie
