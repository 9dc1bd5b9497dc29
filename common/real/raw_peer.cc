#include "common/real/raw_peer.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <system_error>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "common/base/endian.h"

namespace stele::real {
namespace {

// Whatever goes wrong, no test waits for ever.
constexpr int kTimeoutMilliseconds = 20'000;

// A thread that made an io_uring is interrupted once when the kernel takes the ring apart, some
// time after it was closed.
template <typename Call>
auto Uninterrupted(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0 || errno != EINTR) return result;
  }
}

}  // namespace

std::string Framed(std::string_view frame) {
  std::string bytes;
  AppendBigEndian<uint32_t>(bytes, static_cast<uint32_t>(frame.size()));
  bytes += frame;
  return bytes;
}

std::vector<std::string> SplitFrames(const std::string& bytes) {
  std::vector<std::string> frames;
  size_t at = 0;
  while (bytes.size() - at >= 4) {
    const auto size = LoadBigEndian<uint32_t>(bytes.data() + at);
    if (bytes.size() - at - 4 < size) break;
    frames.push_back(bytes.substr(at + 4, size));
    at += 4 + size;
  }
  EXPECT_EQ(at, bytes.size()) << "the stream ends inside a frame";
  return frames;
}

RawPeer::RawPeer(Unconnected) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  const timeval timeout{.tv_sec = kTimeoutMilliseconds / 1000, .tv_usec = 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
}

void RawPeer::Connect(const Endpoint& to) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(to.port);
  int result = connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address));
  if (result != 0 && errno == EINTR) {
    // The attempt goes on without us.
    pollfd writable{.fd = fd_.get(), .events = POLLOUT, .revents = 0};
    Uninterrupted([&] { return poll(&writable, 1, kTimeoutMilliseconds); });
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    errno = error;
    result = error == 0 ? 0 : -1;
  }
  EXPECT_EQ(result, 0) << std::generic_category().message(errno);
}

void RawPeer::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent =
        Uninterrupted([&] { return send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL); });
    ASSERT_GT(sent, 0) << std::generic_category().message(errno);
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

void RawPeer::Finish() { shutdown(fd_.get(), SHUT_WR); }

void RawPeer::Reset() {
  const linger now{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  fd_.Close();
}

std::string RawPeer::Receive(size_t size) {
  std::string bytes;
  char block[65536];
  while (bytes.size() < size) {
    const size_t wanted = std::min(sizeof(block), size - bytes.size());
    const ssize_t got = Uninterrupted([&] { return recv(fd_.get(), block, wanted, 0); });
    EXPECT_FALSE(got < 0 && errno == EAGAIN) << "the other end neither sends nor closes";
    if (got <= 0) break;
    bytes.append(block, static_cast<size_t>(got));
  }
  return bytes;
}

std::string RawPeer::ReceiveAll() { return Receive(std::numeric_limits<size_t>::max()); }

}  // namespace stele::real
