// BookieConnection: one connection to one bookie that opens itself when something is to be sent and
// waits a little after a failure. With TLS it asks the bookie for it before anything else is sent.
// Otherwise it knows frames, not what is in them.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/seams/env.h"
#include "common/wire/bookie_messages.h"

namespace stele::observe {
class Log;
}  // namespace stele::observe

namespace stele::client {

// Where bookies are.
struct BookieAddresses {
  absl::AnyInvocable<Task<absl::StatusOr<Endpoint>>(BookieId)> resolve;
  // Nobody could be reached at the address: it may be out of date.
  absl::AnyInvocable<void(const BookieId&)> on_unreachable;
};

struct ConnectionOptions {
  TransportLimits limits;
  absl::Duration connect_timeout = absl::Seconds(10);
  // After a failed attempt nothing is tried for this time, doubled by each further failure.
  absl::Duration backoff_min = absl::Milliseconds(50);
  absl::Duration backoff_max = absl::Seconds(1);
  // When there are any: nothing is sent in clear but the wish for TLS.
  std::shared_ptr<const TlsCredentials> tls;
  bool tls_verifies_name = true;  // the bookie's certificate is for its address
  observe::Log* log = nullptr;    // may be null
};

class BookieConnection : private ConnectionHandler {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void OnFrames(std::span<Buffer> frames) = 0;
    // The connection is gone, or was not to be had: no frame sent before will be answered. Never
    // called from within Send.
    //   was_open    it stood, and the peer or the network ended it
    virtual void OnConnectionLost(bool was_open) = 0;
  };

  // `owner` and `addresses` outlive this object.
  BookieConnection(const Env& env, BookieId bookie, ConnectionOptions options,
                   BookieAddresses* addresses, Owner* owner);
  ~BookieConnection() override;

  // Sends the frame as soon as the connection is open. OnConnectionLost follows when that fails,
  // also when an attempt failed so short ago that none is made now.
  void Send(std::string_view head, Buffer body);

  // Bytes that wait here or in the connection.
  size_t queued_bytes() const;

  // Gives the connection up as lost, for reasons that the owner knows. OnConnectionLost does not
  // follow.
  void Drop();

 private:
  enum class State { kClosed, kConnecting, kStartingTls, kOpen, kRefusing };

  void OnFrames(std::span<Buffer> frames) override {
    if (state_ == State::kOpen) [[likely]]
      return owner_->OnFrames(frames);
    OnStartTlsReply(frames);
  }
  void OnTlsStarted(const TlsPeer& peer) override;
  void OnPeerFinished() override;
  void OnClosed(absl::Status why) override;

  Task<void> Connect();
  Task<absl::StatusOr<std::unique_ptr<Connection>>> TryConnect();
  void AskForTls();
  void OnStartTlsReply(std::span<Buffer> frames);
  // The connection can be used.
  void Open();
  // The attempt to get one has failed.
  void FailAttempt(const absl::Status& why);
  Task<void> RefuseLater();
  void Discard();

  const Env env_;
  const BookieId bookie_;
  const ConnectionOptions options_;
  BookieAddresses* const addresses_;
  Owner* const owner_;
  State state_ = State::kClosed;
  std::unique_ptr<Connection> connection_;
  std::vector<wire::OutgoingFrame> waiting_;  // for the connection to open
  size_t waiting_bytes_ = 0;
  absl::Duration backoff_;
  MonotonicTime not_before_;
  // The attempt that runs now; an earlier one that was dropped meanwhile sees another number.
  uint64_t attempt_ = 0;
  std::string host_;  // of the attempt
  std::unique_ptr<Timer> tls_timer_;
  TaskScope tasks_;
};

}  // namespace stele::client
