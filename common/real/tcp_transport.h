// TcpTransport: the network of one shard.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "common/real/blocking_pool.h"
#include "common/real/event_loop.h"
#include "common/real/fd_watcher.h"
#include "common/real/socket_address.h"
#include "common/real/tcp_link.h"
#include "common/real/unique_fd.h"
#include "common/seams/clock.h"
#include "common/seams/transport.h"

namespace stele::real {

class TcpTransport final : public Transport, private Flusher {
 public:
  // Both must outlive the transport.
  TcpTransport(EventLoop* loop, Clock* clock);
  TcpTransport(const TcpTransport&) = delete;
  TcpTransport& operator=(const TcpTransport&) = delete;
  // Connections and listeners must be gone. Waits for look-ups of names that run.
  ~TcpTransport() override;

  // Tries the addresses of a name in the order of the resolver, each for its share of the time that
  // is left.
  Task<absl::StatusOr<std::unique_ptr<Connection>>> Connect(Endpoint to, TransportLimits limits,
                                                            absl::Duration timeout) override;

  // A name is looked up in this call; give an address where that may take long. kIoError when the
  // port is taken or the address is not this machine's. A port is shared with nobody.
  absl::StatusOr<std::unique_ptr<Listener>> Listen(Endpoint at, TransportLimits limits,
                                                   AcceptHandler* handler) override;

  void SetLinkLimits(LinkLimits limits) { context_.limits = limits; }
  const LinkLimits& link_limits() const { return context_.limits; }

  // The connection of a socket whose peer has connected.
  std::unique_ptr<Connection> Accept(UniqueFd fd, TransportLimits limits);

 private:
  class Lingering;

  void Flush() override;
  Task<absl::StatusOr<std::vector<SocketAddress>>> LookUp(Endpoint endpoint,
                                                          MonotonicTime deadline);
  Task<absl::StatusOr<UniqueFd>> ConnectTo(SocketAddress address, MonotonicTime deadline);
  void Linger(UniqueFd fd);
  std::shared_ptr<TcpLink> MakeLink(UniqueFd fd, TransportLimits limits);

  EventLoop* const loop_;
  Clock* const clock_;
  LinkContext context_;
  std::vector<std::shared_ptr<TcpLink>> flushing_;
  std::map<int, std::unique_ptr<Lingering>> lingering_;  // by descriptor
  BlockingPool resolver_;
};

}  // namespace stele::real
