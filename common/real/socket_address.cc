#include "common/real/socket_address.h"

#include <cerrno>
#include <cstring>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/errno_error.h"

namespace stele::real {

std::string SocketAddress::ToString() const {
  char text[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET6) {
    const auto* const v6 = reinterpret_cast<const sockaddr_in6*>(&storage);
    inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof(text));
    return StrCat("[", text, "]:", port());
  }
  const auto* const v4 = reinterpret_cast<const sockaddr_in*>(&storage);
  inet_ntop(AF_INET, &v4->sin_addr, text, sizeof(text));
  return StrCat(text, ":", port());
}

uint16_t SocketAddress::port() const {
  if (storage.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&storage)->sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in*>(&storage)->sin_port);
}

std::string ToString(const Endpoint& endpoint) { return StrCat(endpoint.host, ":", endpoint.port); }

absl::StatusOr<std::vector<SocketAddress>> Resolve(const Endpoint& endpoint, Names names) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  if (endpoint.host.empty()) hints.ai_flags |= AI_PASSIVE;
  if (names == Names::kNone) hints.ai_flags |= AI_NUMERICHOST;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(endpoint.host.empty() ? nullptr : endpoint.host.c_str(),
                                StrCat(endpoint.port).c_str(), &hints, &found);
  if (error != 0) {
    return MakeError(ErrorCode::kConnectionLost,
                     StrCat("look up ", endpoint.host, ": ", gai_strerror(error)));
  }
  std::vector<SocketAddress> addresses;
  for (const addrinfo* info = found; info != nullptr; info = info->ai_next) {
    SocketAddress address;
    std::memcpy(&address.storage, info->ai_addr, info->ai_addrlen);
    address.size = info->ai_addrlen;
    addresses.push_back(address);
  }
  freeaddrinfo(found);
  if (addresses.empty()) {
    return MakeError(ErrorCode::kConnectionLost, StrCat("look up ", endpoint.host, ": no address"));
  }
  return addresses;
}

absl::StatusOr<UniqueFd> MakeSocket(int family) {
  UniqueFd fd(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.IsOpen()) return SocketError(errno, "open", "socket");
  return fd;
}

// A peer that vanished without a word is noticed after ten minutes of silence and four probes.
constexpr int kKeepAliveIdleSeconds = 600;
constexpr int kKeepAliveProbeSeconds = 15;
constexpr int kKeepAliveProbes = 4;

void SetConnectionOptions(int fd) {
  // They fail only on a socket that is dead already, which its next use tells.
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  const auto keep_alive = [fd](int option, int value) {
    setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value));
  };
  keep_alive(TCP_KEEPIDLE, kKeepAliveIdleSeconds);
  keep_alive(TCP_KEEPINTVL, kKeepAliveProbeSeconds);
  keep_alive(TCP_KEEPCNT, kKeepAliveProbes);
}

namespace {

template <typename Call>
SocketAddress Ask(Call call, int fd) {
  SocketAddress address;
  address.size = sizeof(address.storage);
  if (call(fd, reinterpret_cast<sockaddr*>(&address.storage), &address.size) != 0) {
    return SocketAddress{};
  }
  return address;
}

}  // namespace

SocketAddress LocalAddress(int fd) { return Ask(getsockname, fd); }

SocketAddress PeerAddress(int fd) { return Ask(getpeername, fd); }

}  // namespace stele::real
