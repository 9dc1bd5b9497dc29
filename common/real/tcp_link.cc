#include "common/real/tcp_link.h"

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

#include <sys/socket.h>
#include <sys/uio.h>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/errno_error.h"

namespace stele::real {
namespace {

// Pieces of the queue that one system call gets: at least a megabyte, as far as there is so much.
constexpr size_t kPiecesPerCallMax = 256;

}  // namespace

TcpLink::TcpLink(LinkContext* context, UniqueFd fd, TransportLimits limits, std::string peer)
    : context_(context),
      fd_(std::move(fd)),
      limits_(limits),
      peer_(std::move(peer)),
      watcher_(std::in_place, context->loop, fd_.get(), static_cast<ReadinessHandler*>(this)),
      reader_(limits.frame_size_max_bytes),
      queue_(&context->send_blocks) {}

// ---- Receiving

void TcpLink::Start(ConnectionHandler* handler) {
  STELE_CHECK(!started_);
  started_ = true;
  handler_ = handler;
  if (watcher_.has_value()) {
    if (!paused_) WaitToRead();
    if (must_speak_first_) WatchFirstByte();
  } else if (!why_ended_.ok()) {
    // Sending had failed before anybody listened.
    context_->loop->Post([self = shared_from_this()] { self->ReportEnd(); });
  }
}

bool TcpLink::WantsToRead() const {
  return watcher_.has_value() && started_ && !peer_finished_ && (!paused_ || IsShakingHands());
}

void TcpLink::ResumeReading() {
  if (!std::exchange(paused_, false) || !WantsToRead()) return;
  // While nothing was read, the peer could not finish its frame.
  WatchDeadline(true);
  WaitToRead();
}

void TcpLink::WaitToRead() {
  if (!MustStarve()) return watcher_->WaitReadable();
  if (std::exchange(starved_, true)) return;
  context_->starved.push_back(weak_from_this());
}

// One link is read whatever the others hold, so that somebody gets done.
bool TcpLink::MustStarve() {
  if (partial_bytes_ <= FrameReader::kStepBytes ||
      context_->partial_bytes < context_->limits.partial_frames_max_bytes) {
    return false;
  }
  if (context_->privileged == nullptr) context_->privileged = this;
  return context_->privileged != this;
}

void TcpLink::SetPartialBytes(size_t bytes) {
  const size_t before = std::exchange(partial_bytes_, bytes);
  context_->partial_bytes += bytes - before;
  if (bytes >= before) return;
  if (context_->privileged == this) context_->privileged = nullptr;
  if (!context_->starved.empty()) WakeStarved();
}

// As many as there is room for, and at least one.
void TcpLink::WakeStarved() {
  const size_t limit = context_->limits.partial_frames_max_bytes;
  const size_t room = limit - std::min(limit, context_->partial_bytes);
  size_t count = std::min(context_->starved.size(), 1 + room / FrameReader::kStepBytes);
  for (; count > 0; --count) {
    const std::shared_ptr<TcpLink> link = context_->starved.front().lock();
    context_->starved.pop_front();
    if (link == nullptr) continue;
    link->starved_ = false;
    if (link->WantsToRead()) link->WaitToRead();
  }
}

// One read per connection and turn; what is left has its turn after the others.
void TcpLink::OnReadable() {
  if (!WantsToRead()) return;
  const std::shared_ptr<TcpLink> self = shared_from_this();
  if (tls_ != nullptr) return ReadInTls();
  iovec places[2];
  const int count = reader_.Prepare(&context_->arrival, places);
  size_t size = 0;
  if (!Read(places, count, &size)) return;
  first_byte_timer_.reset();
  if (size == 0) {
    peer_finished_ = true;
    deadline_timer_.reset();
    handler_->OnPeerFinished();
    return;
  }
  std::vector<Buffer>& frames = context_->frames;
  const bool was_inside = reader_.IsInsideFrame();
  absl::Status status = reader_.Take(&context_->arrival, size, &frames);
  SetPartialBytes(reader_.held_bytes());
  const size_t frames_completed = frames.size();
  if (!frames.empty()) handler_->OnFrames(std::span<Buffer>(frames));
  frames.clear();
  if (!watcher_.has_value()) return;
  if (!status.ok()) return End(WithContext(status, peer_));
  WatchDeadline(frames_completed > 0 || !was_inside);
  if (!paused_) WaitToRead();
}

// False when there is nothing to read now or the connection has ended; 0 bytes at the peer's end.
bool TcpLink::Read(const iovec* places, int count, size_t* size) {
  for (;;) {
    const ssize_t result = readv(fd_.get(), places, count);
    if (result >= 0) {
      *size = static_cast<size_t>(result);
      return true;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN) {
      watcher_->WaitReadable();
    } else {
      End(SocketError(errno, "receive from", peer_, Effect::kUnknown));
    }
    return false;
  }
}

void TcpLink::WatchFirstByte() {
  const absl::Duration time = context_->limits.first_byte_max;
  if (time == absl::InfiniteDuration()) return;
  first_byte_timer_ = context_->clock->CallAt(context_->clock->Now() + time, [this] {
    // Nobody looked whether it has spoken.
    if (!WantsToRead()) return WatchFirstByte();
    End(MakeError(ErrorCode::kDeadline, Effect::kUnknown, StrCat(peer_, ": the peer is silent")));
  });
}

// One timer for many frames: it rings at the earliest deadline that may have passed and looks which
// frame is open by then.
void TcpLink::WatchDeadline(bool is_new_frame) {
  if (!reader_.IsInsideFrame()) return;
  if (is_new_frame) frame_begun_ = context_->clock->Now();
  if (deadline_timer_ == nullptr) {
    deadline_timer_ =
        context_->clock->CallAt(frame_begun_ + limits_.frame_deadline, [this] { OnDeadline(); });
  }
}

void TcpLink::OnDeadline() {
  deadline_timer_.reset();
  if (!reader_.IsInsideFrame() || !WantsToRead()) return;
  const MonotonicTime deadline = frame_begun_ + limits_.frame_deadline;
  if (context_->clock->Now() >= deadline) {
    return End(MakeError(ErrorCode::kDeadline, Effect::kUnknown,
                         StrCat(peer_, ": a frame was begun and not finished in time")));
  }
  deadline_timer_ = context_->clock->CallAt(deadline, [this] { OnDeadline(); });
}

// ---- Sending

void TcpLink::Send(std::string_view head, Buffer body) {
  if (!watcher_.has_value() || closes_after_sending_) return;
  queue_.PushFrame(head, std::move(body));
  if (queue_.size_bytes() > kLowWaterBytes) above_low_water_ = true;
  MarkToFlush();
}

void TcpLink::MarkToFlush() {
  if (send_blocked_ || is_marked_) return;
  is_marked_ = true;
  context_->to_flush.push_back(shared_from_this());
}

void TcpLink::CloseAfterSending() {
  if (!watcher_.has_value()) return;
  closes_after_sending_ = true;
  MarkToFlush();
}

void TcpLink::Flush() {
  is_marked_ = false;
  if (watcher_.has_value() && !send_blocked_) SendFront();
}

void TcpLink::OnWritable() {
  if (watcher_.has_value()) SendFront();
}

void TcpLink::SendFront() {
  if (clear_bytes_left_ == 0) {
    Encrypt();
    if (watcher_.has_value()) SendEncrypted();
    return;
  }
  if (queue_.empty()) return OnSent(0, 0);
  iovec places[kPiecesPerCallMax];
  msghdr message = {};
  message.msg_iov = places;
  message.msg_iovlen = queue_.Front(places, kPiecesPerCallMax);
  size_t offered = 0;
  for (size_t i = 0; i < message.msg_iovlen; ++i) {
    places[i].iov_len = std::min(places[i].iov_len, clear_bytes_left_ - offered);
    offered += places[i].iov_len;
  }
  ssize_t sent = -1;
  do {
    sent = sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && errno != EAGAIN) {
    return End(SocketError(errno, "send to", peer_, Effect::kUnknown));
  }
  const size_t taken = sent < 0 ? 0 : static_cast<size_t>(sent);
  queue_.Pop(taken);
  if (tls_ != nullptr) clear_bytes_left_ -= taken;
  OnSent(taken, offered);
}

void TcpLink::OnSent(size_t taken, size_t offered) {
  const bool was_blocked = std::exchange(send_blocked_, taken < offered);
  if (send_blocked_) {
    watcher_->WaitWritable();
    WatchStall(taken > 0 || !was_blocked);
  } else if (HasToSend()) {
    // More than one call takes. The others first; the empty job keeps the loop awake.
    MarkToFlush();
    context_->loop->Post([] {});
  }
  OnQueueShrunk();
}

bool TcpLink::HasToSend() const {
  if (clear_bytes_left_ > 0) return !queue_.empty();
  return !tls_->outgoing().empty() || (tls_->is_established() && !queue_.empty());
}

// One timer for many stalls, as for deadlines: it rings and looks when the last one began.
void TcpLink::WatchStall(bool is_new) {
  if (context_->limits.send_stall_max == absl::InfiniteDuration()) return;
  if (is_new) stalled_since_ = context_->clock->Now();
  if (stall_timer_ != nullptr) return;
  stall_timer_ = context_->clock->CallAt(stalled_since_ + context_->limits.send_stall_max,
                                         [this] { OnStall(); });
}

void TcpLink::OnStall() {
  stall_timer_.reset();
  if (!send_blocked_) return;
  const MonotonicTime deadline = stalled_since_ + context_->limits.send_stall_max;
  if (context_->clock->Now() >= deadline) {
    return End(MakeError(ErrorCode::kDeadline, Effect::kUnknown,
                         StrCat(peer_, ": the peer does not take what is sent to it")));
  }
  stall_timer_ = context_->clock->CallAt(deadline, [this] { OnStall(); });
}

void TcpLink::OnQueueShrunk() {
  if (closes_after_sending_ && queued_bytes() == 0) return End(absl::OkStatus());
  if (!above_low_water_ || queued_bytes() >= kLowWaterBytes) return;
  above_low_water_ = false;
  context_->loop->Post([self = shared_from_this()] {
    if (self->watcher_.has_value() && self->handler_ != nullptr) self->handler_->OnWritable();
  });
}

// ---- The end

void TcpLink::Close() {
  handler_ = nullptr;
  why_ended_ = absl::OkStatus();
  deadline_timer_.reset();
  tls_timer_.reset();
  stall_timer_.reset();
  first_byte_timer_.reset();
  watcher_.reset();
  SetPartialBytes(0);
  queue_.Clear();
  fd_.Close();
}

void TcpLink::End(absl::Status why) {
  deadline_timer_.reset();
  tls_timer_.reset();
  stall_timer_.reset();
  first_byte_timer_.reset();
  watcher_.reset();
  SetPartialBytes(0);
  queue_.Clear();
  if ((why.ok() || CodeOf(why) == ErrorCode::kUnauthorized) && !peer_finished_) {
    // Closing a socket with unread input would reset it, and the peer could lose what it was sent:
    // replies, or why TLS is refused.
    shutdown(fd_.get(), SHUT_WR);
    context_->linger(std::move(fd_));
  }
  fd_.Close();
  why_ended_ = std::move(why);
  if (handler_ != nullptr) {
    context_->loop->Post([self = shared_from_this()] { self->ReportEnd(); });
  }
}

void TcpLink::ReportEnd() {
  ConnectionHandler* const handler = std::exchange(handler_, nullptr);
  if (handler != nullptr) handler->OnClosed(why_ended_);
}

}  // namespace stele::real
