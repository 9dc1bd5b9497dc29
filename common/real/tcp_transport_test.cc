#include "common/real/tcp_transport.h"

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/manual_clock.h"
#include "common/real/raw_peer.h"
#include "common/real/real_seam_world.h"

namespace stele::real {
namespace {

// What happened on one accepted connection, readable from the test's thread.
class Seen {
 public:
  void Add(std::string event) {
    const std::lock_guard lock(mutex_);
    events_.push_back(std::move(event));
    ++count_;
    count_.notify_all();
  }
  // The events, when there are at least `count`.
  std::vector<std::string> WaitFor(size_t count) {
    for (size_t now = count_; now < count; now = count_) count_.wait(now);
    const std::lock_guard lock(mutex_);
    return events_;
  }
  size_t count() const { return count_; }

 private:
  std::mutex mutex_;
  std::vector<std::string> events_;
  std::atomic<size_t> count_ = 0;
};

using Events = std::vector<std::string>;

struct ServerOptions {
  bool echo = false;
  bool starts_paused = false;
};

// A shard with a thread of its own that listens, and notes what each connection does.
class Server : public AcceptHandler {
 public:
  explicit Server(ServerOptions options = {}) : options_(options) {
    auto listener = shard_.env().transport->Listen({"127.0.0.1", 0}, {}, this);
    EXPECT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
    shard_.Start();
  }
  ~Server() override {
    shard_.Stop();
    listener_.reset();
    ends_.clear();
  }

  void OnAccept(std::unique_ptr<Connection> connection) override {
    ends_.push_back(std::make_unique<End>(this, std::move(connection)));
  }

  Endpoint endpoint() const { return listener_->endpoint(); }
  Seen& seen() { return seen_; }
  Shard* shard() { return &shard_; }

  // On the shard, with the first connection, when there is one; returns when it is done.
  void OnFirst(std::function<void(Connection*)> call) {
    for (bool done = false; !done;) {
      std::promise<bool> promise;
      std::future<bool> answer = promise.get_future();
      shard_.executor()->PostFromAnyThread([this, &call, answering = std::move(promise)]() mutable {
        if (!ends_.empty()) call(ends_[0]->connection.get());
        answering.set_value(!ends_.empty());
      });
      done = answer.get();
    }
  }

 private:
  struct End : ConnectionHandler {
    End(Server* in, std::unique_ptr<Connection> accepted)
        : server(in), connection(std::move(accepted)) {
      connection->Start(this);
      if (server->options_.starts_paused) connection->PauseReading();
    }
    void OnFrames(std::span<Buffer> frames) override {
      for (Buffer& frame : frames) {
        server->seen_.Add(frame.size() < 100 ? frame.ToString() : StrCat(frame.size(), " bytes"));
        if (server->options_.echo) connection->Send("", std::move(frame));
      }
    }
    void OnWritable() override { server->seen_.Add("<writable>"); }
    void OnPeerFinished() override {
      server->seen_.Add("<finished>");
      connection->CloseAfterSending();
    }
    void OnClosed(absl::Status why) override {
      server->seen_.Add(StrCat("<", NameOf(CodeOf(why)), ">"));
    }
    Server* server;
    std::unique_ptr<Connection> connection;
  };

  const ServerOptions options_;
  Seen seen_;
  Shard shard_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<End>> ends_;
};

// ---- Frames and their limits

TEST(TcpTransportTest, AFrameThatArrivesByteByByte) {
  Server server;
  RawPeer peer(server.endpoint());
  for (const char byte : Framed("hello") + Framed("world")) peer.Send({&byte, 1});
  EXPECT_EQ(server.seen().WaitFor(2), (Events{"hello", "world"}));
}

TEST(TcpTransportTest, AnImpossibleLengthClosesAtItsFourthByte) {
  for (const uint32_t announced : {UINT32_MAX, uint32_t{5 * 1024 * 1024 - 3}, uint32_t{0}}) {
    std::string length;
    AppendBigEndian(length, announced);
    Server server;
    RawPeer peer(server.endpoint());
    peer.Send(Framed("good"));
    peer.Send(length);
    EXPECT_EQ(server.seen().WaitFor(2), (Events{"good", "<CorruptData>"}));
    EXPECT_EQ(peer.ReceiveAll(), "");
  }
}

// ---- The end

TEST(TcpTransportTest, AResetIsALoss) {
  Server server;
  RawPeer peer(server.endpoint());
  peer.Send(Framed("hello") + std::string(1, 0));
  server.seen().WaitFor(1);
  peer.Reset();
  EXPECT_EQ(server.seen().WaitFor(2), (Events{"hello", "<ConnectionLost>"}));
}

TEST(TcpTransportTest, APeerThatFinishesInsideAFrameHasFinished) {
  Server server;
  RawPeer peer(server.endpoint());
  peer.Send(Framed("hello") + std::string(2, 0));
  peer.Finish();
  EXPECT_EQ(peer.ReceiveAll(), "");
  EXPECT_EQ(server.seen().WaitFor(3), (Events{"hello", "<finished>", "<Ok>"}));
}

TEST(TcpTransportTest, SendingToAPeerThatIsGoneIsALossAndNoSignal) {
  Server server({.starts_paused = true});
  RawPeer peer(server.endpoint());
  peer.Send(Framed("unread"));
  server.OnFirst([](Connection*) {});
  peer.Reset();
  // The first may still be taken; nobody reads, so only sending can tell.
  while (server.seen().count() == 0) {
    server.OnFirst([](Connection* connection) { connection->Send("reply", Buffer()); });
  }
  EXPECT_EQ(server.seen().WaitFor(1), (Events{"<ConnectionLost>"}));
}

// ---- Back-pressure

TEST(TcpTransportTest, ASlowReaderMakesTheQueueGrowAndOnWritableComesOnce) {
  Server server;
  RawPeer peer(server.endpoint());
  peer.Send(Framed("go"));
  server.seen().WaitFor(1);
  constexpr size_t kFrames = 400;
  const Buffer body = Buffer::FromString(std::string(100'000, 'x'));
  size_t queued = 0;
  server.OnFirst([&](Connection* connection) {
    for (size_t i = 0; i < kFrames; ++i) connection->Send("", body);
  });
  server.OnFirst([&](Connection* connection) { queued = connection->queued_bytes(); });
  EXPECT_GT(queued, size_t{20} << 20) << "the system takes no more than its buffers hold";
  EXPECT_EQ(server.seen().count(), 1u);
  EXPECT_EQ(peer.Receive(kFrames * 100'004).size(), kFrames * 100'004);
  EXPECT_EQ(server.seen().WaitFor(2), (Events{"go", "<writable>"}));
  server.OnFirst([&](Connection* connection) { queued = connection->queued_bytes(); });
  EXPECT_EQ(queued, 0u);
}

TEST(TcpTransportTest, MorePiecesThanOneCallTakes) {
  Server server;
  RawPeer peer(server.endpoint());
  // Each frame is two pieces of the queue.
  const Buffer body = Buffer::FromString(std::string(SendQueue::kCopiedBodyMaxBytes + 1, 'x'));
  server.OnFirst([&](Connection* connection) {
    for (int i = 0; i < 2'000; ++i) connection->Send("head", body);
    connection->CloseAfterSending();
  });
  EXPECT_EQ(peer.ReceiveAll().size(), 2'000 * (4 + 4 + body.size()));
}

// ---- Connecting and accepting

TEST(TcpTransportTest, ShardsOnTwoThreadsTalk) {
  Server server({.echo = true});
  Shard client_shard;
  struct Client : ConnectionHandler {
    void OnFrames(std::span<Buffer> frames) override { count += frames.size(); }
    void OnPeerFinished() override {}
    void OnClosed(absl::Status why) override { ADD_FAILURE() << why; }
    size_t count = 0;
  } client;
  auto connection = client_shard.RunUntil(
      client_shard.env().transport->Connect(server.endpoint(), {}, absl::Seconds(10)));
  ASSERT_TRUE(connection.ok()) << connection.status();
  EXPECT_EQ((*connection)->peer(), StrCat("127.0.0.1:", server.endpoint().port));
  (*connection)->Start(&client);
  for (int i = 0; i < 5'000; ++i) (*connection)->Send("head", Buffer::CopyOf("body"));
  client_shard.loop()->RunUntil([&] { return client.count == 5'000; });
}

TEST(TcpTransportTest, NamesAreLookedUp) {
  Server server;
  Shard shard;
  const auto known = shard.RunUntil(
      shard.env().transport->Connect({"localhost", server.endpoint().port}, {}, absl::Seconds(10)));
  EXPECT_TRUE(known.ok()) << known.status();
  // No label of a name is that long, so nobody needs to be asked.
  const auto unknown = shard.RunUntil(
      shard.env().transport->Connect({std::string(70, 'x'), 1}, {}, absl::Seconds(10)));
  EXPECT_EQ(CodeOf(unknown.status()), ErrorCode::kConnectionLost) << unknown.status();
}

TEST(TcpTransportTest, AnAnswerThatDoesNotComeIsADeadline) {
  // A listener whose queue is full answers nobody.
  const UniqueFd full(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in any = {};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(full.get(), reinterpret_cast<sockaddr*>(&any), sizeof(any)), 0);
  ASSERT_EQ(listen(full.get(), 0), 0);
  const Endpoint at{"127.0.0.1", LocalAddress(full.get()).port()};
  Shard shard;
  std::vector<std::unique_ptr<Connection>> connections;
  absl::Status status;
  for (int i = 0; i < 10 && status.ok(); ++i) {
    auto connection =
        shard.RunUntil(shard.env().transport->Connect(at, {}, absl::Milliseconds(50)));
    status = connection.status();
    if (connection.ok()) connections.push_back(*std::move(connection));
  }
  EXPECT_EQ(CodeOf(status), ErrorCode::kDeadline) << status;
}

struct CountsAccepts : AcceptHandler {
  void OnAccept(std::unique_ptr<Connection> connection) override {
    ++count;
    if (close_listener) listener.reset();
  }
  int count = 0;
  bool close_listener = false;
  std::unique_ptr<Listener> listener;
};

// No descriptor can be opened while this lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    // The lowest number that is free.
    const UniqueFd probe(dup(STDERR_FILENO));
    rlimit limit = before_;
    limit.rlim_cur = static_cast<rlim_t>(probe.get());
    setrlimit(RLIMIT_NOFILE, &limit);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_ = {};
};

TEST(TcpTransportTest, WithoutDescriptorsAcceptingPausesAndGoesOn) {
  EventLoop loop;
  ManualClock clock;
  TcpTransport transport(&loop, &clock);
  CountsAccepts accepts;
  auto listener = transport.Listen({"127.0.0.1", 0}, {}, &accepts);
  ASSERT_TRUE(listener.ok()) << listener.status();
  RawPeer peer(RawPeer::Unconnected{});
  {
    const NoDescriptors limit;
    peer.Connect((*listener)->endpoint());
    // It does not try again at once: it sets a timer.
    loop.RunUntil([&] { return clock.pending() > 0; });
    clock.Advance(absl::Seconds(1));
    EXPECT_EQ(clock.pending(), 1u);
    EXPECT_EQ(accepts.count, 0);
  }
  clock.Advance(absl::Seconds(1));
  EXPECT_EQ(accepts.count, 1);
}

TEST(TcpTransportTest, ListeningWhereOneCannotIsAnError) {
  Shard shard;
  Server server;
  EXPECT_EQ(CodeOf(shard.env().transport->Listen(server.endpoint(), {}, &server).status()),
            ErrorCode::kIoError);
  // An address of the documentation, of no machine.
  EXPECT_EQ(CodeOf(shard.env().transport->Listen({"192.0.2.1", 0}, {}, &server).status()),
            ErrorCode::kIoError);
}

TEST(TcpTransportTest, AListenerMayBeDestroyedInsideOnAccept) {
  Shard shard;
  CountsAccepts accepts;
  accepts.close_listener = true;
  accepts.listener = *shard.env().transport->Listen({"127.0.0.1", 0}, {}, &accepts);
  const Endpoint at = accepts.listener->endpoint();
  const RawPeer one(at);
  const RawPeer two(at);
  shard.loop()->RunUntil([&] { return accepts.count > 0; });
  EXPECT_EQ(accepts.count, 1);
}

TEST(TcpTransportTest, ListeningOnAllAddressesOfTheMachine) {
  Shard shard;
  CountsAccepts accepts;
  auto listener = shard.env().transport->Listen({"", 0}, {}, &accepts);
  ASSERT_TRUE(listener.ok()) << listener.status();
  const RawPeer peer((*listener)->endpoint());
  shard.loop()->RunUntil([&] { return accepts.count == 1; });
}

TEST(TcpTransportTest, AShardEndsWithConnectionsInUse) {
  for (int round = 0; round < 5; ++round) {
    Server server({.echo = true});
    Shard shard;
    struct Client : ConnectionHandler {
      void OnFrames(std::span<Buffer>) override {}
      void OnPeerFinished() override {}
      void OnClosed(absl::Status) override {}
    } client;
    auto connection =
        shard.RunUntil(shard.env().transport->Connect(server.endpoint(), {}, absl::Seconds(10)));
    ASSERT_TRUE(connection.ok()) << connection.status();
    (*connection)->Start(&client);
    for (int i = 0; i < 1'000; ++i)
      (*connection)->Send("", Buffer::CopyOf(std::string(5'000, 'x')));
    shard.Start();
    server.seen().WaitFor(10);
    if (round % 2 == 0) shard.Stop();
    if (round % 2 == 1) {
      shard.executor()->PostFromAnyThread([&] {
        (*connection)->CloseAfterSending();
        shard.RequestStop();
      });
      shard.Stop();
    }
  }
}

}  // namespace
}  // namespace stele::real
