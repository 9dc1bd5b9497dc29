// Addresses of TCP sockets, and the socket calls that need them.
#pragma once

#include <string>
#include <vector>

#include <sys/socket.h>

#include "absl/status/statusor.h"
#include "common/real/unique_fd.h"
#include "common/seams/transport.h"

namespace stele::real {

struct SocketAddress {
  sockaddr_storage storage = {};
  socklen_t size = 0;
  // "192.0.2.1:3181", "[2001:db8::1]:3181"
  std::string ToString() const;
  uint16_t port() const;
};

// "host:port", for messages.
std::string ToString(const Endpoint& endpoint);

enum class Names {
  kNone,    // addresses only; never blocks
  kLookUp,  // asks the resolver, which may block for long
};

// The addresses of `endpoint`, never none. kConnectionLost when it is unknown, or when it is a name
// and only addresses are asked for. An empty host stands for all addresses of this machine.
absl::StatusOr<std::vector<SocketAddress>> Resolve(const Endpoint& endpoint, Names names);

// A non-blocking TCP socket; kConnectionLost.
absl::StatusOr<UniqueFd> MakeSocket(int family);

// Sends at once what is sent, and notices dead peers.
void SetConnectionOptions(int fd);

SocketAddress LocalAddress(int fd);
SocketAddress PeerAddress(int fd);

}  // namespace stele::real
