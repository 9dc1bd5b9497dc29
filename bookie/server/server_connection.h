// ServerConnection: one peer. Decodes its frames, hands the requests to the services, sends the
// answers, and stops reading when too much of this peer's work is in progress: a flood waits in the
// peer's own queue and costs nobody else.
//
// Owned by the Server and by the requests in progress; lives on the shard.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "bookie/server/peer_gate.h"
#include "bookie/server/reply_sink.h"
#include "bookie/server/request_metrics.h"
#include "common/async/executor.h"
#include "common/base/buffer.h"
#include "common/seams/transport.h"
#include "common/wire/bookie_messages.h"

namespace stele::bookie {

struct ConnectionLimits {
  size_t add_bytes_in_flight_max =
      16 << 20;                      // entry packets of this peer that are not yet acknowledged
  int requests_in_flight_max = 256;  // reads and all others but adds and long polls
  size_t reply_bytes_queued_max = 1 << 20;  // replies that the peer has not taken
  // Replies that are being made, each thought to be as large as those before it.
  size_t reply_bytes_expected_max = 8 << 20;
};

// How large the next replies of a kind may be, by those before: follows growth at once, and
// shrinking slowly.
class ReplySizeGuess {
 public:
  explicit ReplySizeGuess(size_t first) : bytes_(first) {}
  size_t bytes() const { return bytes_; }
  void OnReply(size_t size) { bytes_ = size > bytes_ ? size : bytes_ - (bytes_ - size + 15) / 16; }

 private:
  size_t bytes_;
};

// Where a connection's requests go; the node implements it.
class RequestRouter {
 public:
  virtual ~RequestRouter() = default;
  virtual void Route(const ReplySinkPtr& sink, wire::Request request) = 0;
  // True: take no new work from any socket for now. Server::OnOverload(false) follows.
  virtual bool is_overloaded() const = 0;
  // A frame that broke the rules; `reason` is a constant in snake_case, the label of a counter.
  virtual void OnBadInput(std::string_view reason, std::string_view peer) = 0;
};

class ServerConnection final : public ConnectionHandler,
                               public ReplySink,
                               public std::enable_shared_from_this<ServerConnection> {
 public:
  // `requirements` and `metrics` outlive the connection.
  // on_closed: the peer is gone; called once, from the ready queue or a transport callback.
  ServerConnection(Executor* executor, RequestRouter* router, ConnectionLimits limits,
                   const PeerRequirements* requirements, RequestMetrics* metrics,
                   std::unique_ptr<Connection> connection,
                   absl::AnyInvocable<void(ServerConnection*)> on_closed);

  void Start();
  // Looks again whether work may be taken: the node's overload began or ended.
  void Update();
  // Drops the peer without on_closed.
  void Close();
  const std::string& peer() const { return connection_->peer(); }

  void ReplyToAdd(const wire::RequestHeader& header, wire::ReplyCode code, LedgerId ledger,
                  EntryId entry, size_t body_size) override;
  void Reply(const wire::RequestHeader& header, wire::ReplyCode code,
             wire::ReplyBody body) override;
  bool IsClosed() const override { return closed_; }

 private:
  // Before the first reply: few at a time until it is known how large they are.
  static constexpr size_t kReplySizeFirstGuess = 1 << 20;
  static constexpr size_t kBatchSizeFirstGuess = 4 << 20;

  void OnFrames(std::span<Buffer> frames) override;
  void OnTlsStarted(const TlsPeer& peer) override;
  void OnWritable() override;
  void OnPeerFinished() override;
  void OnClosed(absl::Status why) override;

  bool CanTakeWork() const;
  size_t ExpectedReplyBytes() const;
  //   is_last   of those that have arrived
  void TakeFrame(const Buffer& frame, bool is_last);
  void TakeRequest(wire::Request request);
  void Refuse(const wire::Request& request, PeerGate::Verdict verdict);
  void StartTls(const wire::RequestHeader& header);
  void SendFrame(const wire::OutgoingFrame& frame);
  void UpdateLater();
  void CloseBecauseOf(std::string_view reason);

  Executor* executor_;
  RequestRouter* router_;
  ConnectionLimits limits_;
  const PeerRequirements* requirements_;
  RequestMetrics* metrics_;
  PeerGate gate_;
  std::unique_ptr<Connection> connection_;
  absl::AnyInvocable<void(ServerConnection*)> on_closed_;
  std::deque<Buffer>
      held_frames_;  // arrived but not taken; bounded by one read block, since reading is paused
  size_t add_bytes_in_flight_ = 0;
  int adds_in_flight_ = 0;
  int requests_in_flight_ = 0;
  MonotonicTime taken_at_;     // the frames that are being taken
  int batches_in_flight_ = 0;  // among them
  ReplySizeGuess batch_size_{kBatchSizeFirstGuess};
  ReplySizeGuess reply_size_{kReplySizeFirstGuess};
  bool paused_ = false;
  bool update_posted_ = false;
  bool peer_finished_ = false;
  bool closed_ = false;
};

}  // namespace stele::bookie
