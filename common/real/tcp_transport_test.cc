#include "common/real/tcp_transport.h"

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/async/notification.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/blocking_pool.h"
#include "common/real/real_seam_world.h"
#include "common/seams/contract/co_assert.h"
#include "common/seams/contract/transport_contract.h"

namespace stele {
namespace real {
namespace {

std::string Framed(std::string_view frame) {
  std::string bytes;
  AppendBigEndian<uint32_t>(bytes, static_cast<uint32_t>(frame.size()));
  bytes += frame;
  return bytes;
}

// A plain blocking socket, to play peers that do what a Connection never would.
class RawPeer {
 public:
  explicit RawPeer(const Endpoint& to, int receive_buffer_bytes = 0)
      : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (receive_buffer_bytes > 0) {
      setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer_bytes, sizeof(int));
    }
    // Sanitizers and busy machines: nobody waits for ever.
    const timeval timeout{.tv_sec = 20, .tv_usec = 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(to.port);
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  }

  void Send(std::string_view bytes) {
    EXPECT_EQ(send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  void Finish() { shutdown(fd_.get(), SHUT_WR); }
  void Reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    fd_.Close();
  }
  // Everything until the peer closes or resets.
  std::string ReceiveAll() {
    std::string bytes;
    char block[65536];
    for (;;) {
      const ssize_t size = recv(fd_.get(), block, sizeof(block), 0);
      if (size <= 0) return bytes;
      bytes.append(block, static_cast<size_t>(size));
    }
  }

 private:
  UniqueFd fd_;
};

std::vector<std::string> SplitFrames(const std::string& bytes) {
  std::vector<std::string> frames;
  size_t at = 0;
  while (bytes.size() - at >= 4) {
    const auto size = LoadBigEndian<uint32_t>(bytes.data() + at);
    if (bytes.size() - at - 4 < size) break;
    frames.push_back(bytes.substr(at + 4, size));
    at += 4 + size;
  }
  EXPECT_EQ(at, bytes.size());
  return frames;
}

class RealTransportWorld final : public TransportWorld {
 public:
  RealTransportWorld() : world_(FileBackend::kThreads, testing::TempDir()) {}
  Env env() override { return world_.env(); }
  std::string scratch_directory() override { return world_.scratch_directory(); }
  void RunToEnd(Task<void> task) override { world_.RunToEnd(std::move(task)); }
  std::string host() override { return "127.0.0.1"; }
  Task<std::vector<std::string>> ExchangeHalfClosed(Endpoint to,
                                                    std::vector<std::string> frames) override {
    return peers_.Run(env().executor, [to, frames] {
      RawPeer peer(to);
      for (const std::string& frame : frames) peer.Send(Framed(frame));
      peer.Finish();
      return SplitFrames(peer.ReceiveAll());
    });
  }
  BlockingPool* peers() { return &peers_; }

 private:
  RealSeamWorld world_;
  BlockingPool peers_{4};
};

std::unique_ptr<TransportWorld> MakeRealTransportWorld() {
  return std::make_unique<RealTransportWorld>();
}

}  // namespace
}  // namespace real

INSTANTIATE_TEST_SUITE_P(Real, TransportContract,
                         testing::Values(TransportWorldKind{"Tcp", real::MakeRealTransportWorld}),
                         SeamWorldName());

}  // namespace stele
