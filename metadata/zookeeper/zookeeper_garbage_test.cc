// Something that is no ZooKeeper at the address of one: the driver tries again, and works as soon
// as a ZooKeeper answers.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/strings.h"
#include "common/real/shard.h"
#include "common/real/unique_fd.h"
#include "integration_tests/zookeeper_server.h"
#include "metadata/zookeeper/zookeeper_store.h"

namespace stele::metadata {
namespace {

using namespace std::string_literals;
using real::UniqueFd;

sockaddr_in Loopback(uint16_t port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

// Gives each of its first connections one of the answers, whatever it asks, and closes it when the
// peer has read it; passes the later ones on to a server.
class GarbageServer {
 public:
  GarbageServer(std::vector<std::string> answers, uint16_t real_port)
      : answers_(std::move(answers)),
        real_port_(real_port),
        listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address = Loopback(0);
    socklen_t size = sizeof(address);
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(listen(listener_.get(), 16), 0);
    EXPECT_EQ(getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Run(); });
  }
  ~GarbageServer() {
    shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }
  uint16_t port() const { return port_; }
  size_t garbage_given() const { return given_; }

 private:
  void Run() {
    for (;;) {
      UniqueFd peer(accept(listener_.get(), nullptr, nullptr));
      if (!peer.IsOpen()) return;
      if (given_ < answers_.size()) {
        GiveGarbage(peer, answers_[given_]);
        ++given_;
      } else {
        PassOn(std::move(peer));
      }
    }
  }

  static void GiveGarbage(const UniqueFd& peer, const std::string& answer) {
    char question[4096];
    if (recv(peer.get(), question, sizeof(question), 0) <= 0) return;
    send(peer.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
    shutdown(peer.get(), SHUT_WR);
    while (recv(peer.get(), question, sizeof(question), 0) > 0) {
    }
  }

  // Until one of the two, or the test, ends it. One at a time: a driver has one connection.
  void PassOn(UniqueFd peer) {
    const UniqueFd server(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_in address = Loopback(real_port_);
    if (connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
      return;
    }
    pollfd both[2] = {{.fd = peer.get(), .events = POLLIN, .revents = 0},
                      {.fd = server.get(), .events = POLLIN, .revents = 0}};
    while (poll(both, 2, -1) > 0) {
      for (int from = 0; from < 2; ++from) {
        if (both[from].revents == 0) continue;
        char bytes[4096];
        const ssize_t size = recv(both[from].fd, bytes, sizeof(bytes), 0);
        if (size <= 0) return;
        send(both[1 - from].fd, bytes, static_cast<size_t>(size), MSG_NOSIGNAL);
      }
    }
  }

  const std::vector<std::string> answers_;
  const uint16_t real_port_;
  UniqueFd listener_;
  uint16_t port_ = 0;
  std::atomic<size_t> given_ = 0;
  std::thread thread_;
};

TEST(ZooKeeperGarbageTest, Row53TheDriverOutlivesPeersThatAreNoZooKeeper) {
  integration::ZooKeeperServer zookeeper;
  const std::string text =
      "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"
      "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
  const std::vector<std::vector<std::string>> cases = {
      {text, text},
      {""s, ""s, ""s},                           // closes at once
      {"\0"s, "\0"s, "\0"s},                     // and after a byte
      {"\x7f\xff\xff\xff", "\xff\xff\xff\xff"},  // lengths of 2 GiB and -1
      {std::string(4096, '\0')},
      {"\0\0\0\1x"s, "\0\0\x27\x10"s + std::string(10'000, 'y')},
      // A timeout of -5 ms.
      {"\0\0\0\x25\0\0\0\0\xff\xff\xff\xfb\0\0\0\0\0\0\0\1\0\0\0\x10"s + std::string(17, 'p')},
  };
  for (const std::vector<std::string>& answers : cases) {
    SCOPED_TRACE(answers.front().substr(0, 8));
    GarbageServer garbage(answers, zookeeper.port());
    real::Shard shard;
    auto store = MakeZooKeeperStore(
        {.servers = StrCat("127.0.0.1:", garbage.port()), .session_timeout = absl::Seconds(1)},
        shard.executor(), shard.env().clock);
    ASSERT_TRUE(store.ok()) << store.status();
    // Waits for a session and gets it within its time.
    const absl::Status created = shard.RunUntil(
        (*store)->Create(StrCat("/garbage-", garbage.port()), "", NodeKind::kPersistent));
    EXPECT_TRUE(created.ok()) << created;
    EXPECT_EQ(garbage.garbage_given(), answers.size());
    shard.RunUntil((*store)->Close());
  }
}

}  // namespace
}  // namespace stele::metadata
