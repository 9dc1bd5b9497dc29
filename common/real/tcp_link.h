// TcpLink: one TCP connection. It is shared by the Connection that its owner holds and by the calls
// that the loop still has for it, so that it may be closed and dropped at any time, also inside its
// own callbacks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/base/buffer.h"
#include "common/real/event_loop.h"
#include "common/real/fd_watcher.h"
#include "common/real/frame_reader.h"
#include "common/real/link_limits.h"
#include "common/real/send_queue.h"
#include "common/real/tls_session.h"
#include "common/real/unique_fd.h"
#include "common/seams/clock.h"
#include "common/seams/transport.h"

namespace stele::real {

class TcpLink;

// What the links of one shard share.
struct LinkContext {
  EventLoop* loop = nullptr;
  Clock* clock = nullptr;
  ArrivalBlock arrival;
  MutableBuffer encrypted;  // what TLS connections read, until it is decrypted; made when needed
  SendBlockPool send_blocks;
  std::vector<Buffer> frames;                      // of the read being delivered
  std::vector<std::shared_ptr<TcpLink>> to_flush;  // at the end of this turn
  // Takes a socket that has sent everything and whose peer may still be sending.
  std::function<void(UniqueFd)> linger;

  LinkLimits limits;
  // Parts of frames that are not whole yet, in all links; those that are not read until there are
  // fewer, in order; and the one that is read all the same.
  size_t partial_bytes = 0;
  std::deque<std::weak_ptr<TcpLink>> starved;
  const TcpLink* privileged = nullptr;
};

class TcpLink final : public std::enable_shared_from_this<TcpLink>, private ReadinessHandler {
 public:
  // Above this, OnWritable tells when the queue has shrunk to it again.
  static constexpr size_t kLowWaterBytes = 384 * 1024;

  TcpLink(LinkContext* context, UniqueFd fd, TransportLimits limits, std::string peer);
  TcpLink(const TcpLink&) = delete;
  TcpLink& operator=(const TcpLink&) = delete;

  // Before Start: the peer has connected, so it is for the peer to say something.
  void ExpectFirstByte() { must_speak_first_ = true; }

  // The calls of Connection.
  void Start(ConnectionHandler* handler);
  void Send(std::string_view head, Buffer body);
  void StartTls(TlsUpgrade upgrade);
  size_t queued_bytes() const {
    return queue_.size_bytes() + (tls_ == nullptr ? 0 : tls_->outgoing().size());
  }
  void PauseReading() { paused_ = true; }
  void ResumeReading();
  void Close();
  void CloseAfterSending();
  const std::string& peer() const { return peer_; }

  // Hands what is queued to the system. For the transport, at the end of a turn.
  void Flush();

 private:
  void OnReadable() override;
  void OnWritable() override;
  bool Read(const iovec* places, int count, size_t* size);
  bool WantsToRead() const;
  // Waits for bytes, or first for the memory to keep them in.
  void WaitToRead();
  bool MustStarve();
  void SetPartialBytes(size_t bytes);
  void WakeStarved();
  void SendFront();
  // A system call took `taken` of `offered` bytes.
  void OnSent(size_t taken, size_t offered);
  bool HasToSend() const;

  // tcp_link_tls.cc
  bool IsShakingHands() const { return tls_ != nullptr && !tls_->is_established(); }
  void ReadInTls();
  void GoOnInTls();
  absl::Status Decrypt();
  void Encrypt();
  void SendEncrypted();
  void OnTlsDeadline();

  void MarkToFlush();
  void OnQueueShrunk();
  void WatchFirstByte();
  void WatchDeadline(bool is_new_frame);
  void OnDeadline();
  void WatchStall(bool is_new);
  void OnStall();
  // Ends the connection; the handler is told from a job of its own.
  void End(absl::Status why);
  void ReportEnd();

  LinkContext* const context_;
  UniqueFd fd_;
  const TransportLimits limits_;
  const std::string peer_;
  std::optional<FdWatcher> watcher_;  // none when the connection has ended
  ConnectionHandler* handler_ = nullptr;
  FrameReader reader_;
  SendQueue queue_;

  bool started_ = false;
  bool paused_ = false;
  bool peer_finished_ = false;
  bool closes_after_sending_ = false;
  bool send_blocked_ = false;  // the system takes no more until OnWritable
  bool is_marked_ = false;     // in to_flush
  bool above_low_water_ = false;
  absl::Status why_ended_;

  std::unique_ptr<TlsSession> tls_;  // since StartTls
  // Of what is queued; the rest goes through tls_.
  size_t clear_bytes_left_ = SIZE_MAX;
  std::unique_ptr<Timer> tls_timer_;

  MonotonicTime frame_begun_;  // valid inside a frame
  std::unique_ptr<Timer> deadline_timer_;
  size_t partial_bytes_ = 0;     // our part of the context's
  bool starved_ = false;         // in the context's list
  MonotonicTime stalled_since_;  // valid while sending is blocked
  std::unique_ptr<Timer> stall_timer_;
  bool must_speak_first_ = false;
  std::unique_ptr<Timer> first_byte_timer_;
};

// What the owner of a link holds.
class TcpConnection final : public Connection {
 public:
  explicit TcpConnection(std::shared_ptr<TcpLink> link) : link_(std::move(link)) {}
  ~TcpConnection() override { link_->Close(); }

  void Start(ConnectionHandler* handler) override { link_->Start(handler); }
  void Send(std::string_view head, Buffer body) override { link_->Send(head, std::move(body)); }
  void StartTls(TlsUpgrade upgrade) override { link_->StartTls(std::move(upgrade)); }
  size_t queued_bytes() const override { return link_->queued_bytes(); }
  void PauseReading() override { link_->PauseReading(); }
  void ResumeReading() override { link_->ResumeReading(); }
  void Close() override { link_->Close(); }
  void CloseAfterSending() override { link_->CloseAfterSending(); }
  const std::string& peer() const override { return link_->peer(); }

 private:
  const std::shared_ptr<TcpLink> link_;
};

}  // namespace stele::real
