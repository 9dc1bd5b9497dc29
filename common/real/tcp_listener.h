// TcpListener: accepts connections on one port.
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "common/real/accept_rate.h"
#include "common/real/event_loop.h"
#include "common/real/fd_watcher.h"
#include "common/real/unique_fd.h"
#include "common/seams/clock.h"
#include "common/seams/transport.h"

namespace stele::real {

// A socket that listens at `at`; kIoError.
absl::StatusOr<UniqueFd> OpenListeningSocket(const Endpoint& at);

class TcpTransport;

class TcpListener final : public Listener, private ReadinessHandler {
 public:
  // `fd` listens; `at` has its port. `handler` may destroy the listener inside its call.
  TcpListener(TcpTransport* transport, EventLoop* loop, Clock* clock, UniqueFd fd, Endpoint at,
              TransportLimits limits, AcceptHandler* handler);
  ~TcpListener() override;

  Endpoint endpoint() const override { return at_; }

 private:
  void OnReadable() override;
  // For a while new connections wait in the system's queue.
  void Pause();

  TcpTransport* const transport_;
  Clock* const clock_;
  UniqueFd fd_;
  const Endpoint at_;
  const TransportLimits limits_;
  AcceptHandler* const handler_;
  bool* destroyed_ = nullptr;  // set while connections are being handed over
  FdWatcher watcher_;
  AcceptRate rate_;
  std::unique_ptr<Timer> retry_;
};

}  // namespace stele::real
