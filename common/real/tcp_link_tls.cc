// TcpLink from StartTls on: what is read is decrypted before it is cut into frames, and what is
// queued is encrypted when the system can take it.
#include <algorithm>
#include <cerrno>
#include <utility>

#include <sys/socket.h>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/errno_error.h"
#include "common/real/tcp_link.h"

namespace stele::real {
namespace {

// Four records of TLS. One read per connection and turn, as without TLS.
constexpr size_t kEncryptedReadBytes = 64 * 1024;

constexpr size_t kEncryptedAtOnceBytes = 64 * 1024;

}  // namespace

void TcpLink::StartTls(TlsUpgrade upgrade) {
  if (!watcher_.has_value()) return;
  STELE_CHECK(started_ && tls_ == nullptr);
  if (reader_.IsInsideFrame()) {
    return End(MakeError(ErrorCode::kUnauthorized, Effect::kUnknown,
                         StrCat(peer_, ": bytes in clear behind the last frame before TLS")));
  }
  absl::StatusOr<std::unique_ptr<TlsSession>> session = TlsSession::Create(upgrade);
  if (!session.ok()) return End(session.status());
  tls_ = *std::move(session);
  clear_bytes_left_ = queue_.size_bytes();
  deadline_timer_.reset();
  tls_timer_ = context_->clock->CallAt(context_->clock->Now() + upgrade.deadline,
                                       [this] { OnTlsDeadline(); });
  // A client has the first word.
  const absl::StatusOr<bool> done = tls_->Handshake();
  STELE_CHECK(done.ok() && !*done);
  MarkToFlush();
  if (!peer_finished_) watcher_->WaitReadable();
}

void TcpLink::OnTlsDeadline() {
  tls_timer_.reset();
  End(MakeError(ErrorCode::kDeadline, Effect::kUnknown,
                StrCat(peer_, ": a TLS handshake was begun and not finished in time")));
}

// ---- Receiving

void TcpLink::ReadInTls() {
  MutableBuffer& block = context_->encrypted;
  if (block.size() == 0) block = MutableBuffer(kEncryptedReadBytes);
  const iovec place = {.iov_base = block.data(), .iov_len = block.size()};
  size_t size = 0;
  if (!Read(&place, 1, &size)) return;
  if (size == 0) {
    // Anybody in between can end a connection; only the peer can say that nothing follows.
    return End(MakeError(ErrorCode::kConnectionLost, Effect::kUnknown,
                         StrCat(peer_, ": the connection ended inside TLS")));
  }
  tls_->Feed({block.data(), size});
  GoOnInTls();
}

void TcpLink::GoOnInTls() {
  absl::Status status;
  if (!tls_->is_established()) {
    const absl::StatusOr<bool> done = tls_->Handshake();
    status = done.status();
    if (status.ok() && *done) {
      tls_timer_.reset();
      handler_->OnTlsStarted(tls_->peer());
      if (!watcher_.has_value()) return;
    }
  }
  if (tls_->is_established()) {
    const bool was_inside = reader_.IsInsideFrame();
    status = Decrypt();
    std::vector<Buffer>& frames = context_->frames;
    SetPartialBytes(reader_.held_bytes());
    const size_t frames_completed = frames.size();
    if (!frames.empty()) handler_->OnFrames(std::span<Buffer>(frames));
    frames.clear();
    if (!watcher_.has_value()) return;
    if (status.ok()) WatchDeadline(frames_completed > 0 || !was_inside);
  }
  if (!status.ok()) {
    SendEncrypted();  // why
    if (watcher_.has_value()) End(WithContext(status, peer_));
    return;
  }
  if (tls_->peer_has_finished()) {
    peer_finished_ = true;
    deadline_timer_.reset();
    handler_->OnPeerFinished();
    return;
  }
  // A handshake goes on, or has ended and what was held back may go.
  if (queued_bytes() > 0) MarkToFlush();
  if (WantsToRead()) WaitToRead();
}

// All that is here, as frames of the context; also those before an error.
absl::Status TcpLink::Decrypt() {
  for (;;) {
    iovec places[2];
    reader_.Prepare(&context_->arrival, places);
    const absl::StatusOr<size_t> size =
        tls_->Read(static_cast<char*>(places[0].iov_base), places[0].iov_len);
    if (!size.ok() || *size == 0) return size.status();
    const absl::Status status = reader_.Take(&context_->arrival, *size, &context_->frames);
    if (!status.ok()) return status;
  }
}

// ---- Sending

void TcpLink::Encrypt() {
  while (tls_->is_established() && !queue_.empty() &&
         tls_->outgoing().size() < TlsSession::kOutgoingBytesMax) {
    iovec place;
    queue_.Front(&place, 1);
    const size_t size = std::min(place.iov_len, kEncryptedAtOnceBytes);
    const absl::Status status = tls_->Write({static_cast<const char*>(place.iov_base), size});
    if (!status.ok()) return End(WithContext(status, peer_));
    queue_.Pop(size);
  }
  if (closes_after_sending_ && queue_.empty()) tls_->Finish();
}

void TcpLink::SendEncrypted() {
  const std::string_view bytes = tls_->outgoing();
  if (bytes.empty()) return OnSent(0, 0);
  ssize_t sent = -1;
  do {
    sent = send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0 && errno != EAGAIN) {
    return End(SocketError(errno, "send to", peer_, Effect::kUnknown));
  }
  const size_t offered = bytes.size();
  const size_t taken = sent < 0 ? 0 : static_cast<size_t>(sent);
  tls_->PopOutgoing(taken);
  OnSent(taken, offered);
}

}  // namespace stele::real
