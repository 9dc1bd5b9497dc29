#include "common/seams/contract/transport_contract.h"

#include <optional>
#include <utility>

#include "common/async/notification.h"
#include "common/async/task_scope.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/seams/clock.h"
#include "common/seams/contract/co_assert.h"

namespace stele {

void TransportContract::Run(Body body) {
  const std::unique_ptr<TransportWorld> world = GetParam().make();
  world->RunToEnd(body(world.get()));
}

namespace {

// When a Party sends back what it got.
enum class Echo { kNever, kAtOnce, kAtFinish };

// One end of a connection that keeps what it is told. When its peer has finished, it closes.
class Party : public ConnectionHandler {
 public:
  Party(Executor* executor, std::unique_ptr<Connection> connection, Echo echo = Echo::kNever)
      : connection_(std::move(connection)), changed_(executor), echo_(echo) {}
  void Start() { connection_->Start(this); }
  Connection* connection() { return connection_.get(); }

  void OnFrames(std::span<Buffer> frames) override {
    ++calls_;
    EXPECT_FALSE(frames.empty());
    EXPECT_FALSE(finished_) << "no frame follows OnPeerFinished";
    EXPECT_FALSE(closed_.has_value()) << "nothing follows OnClosed";
    for (const Buffer& frame : frames) {
      bytes_ += frame.size();
      frames_.push_back(frame.ToString());
      if (echo_ == Echo::kAtOnce) connection_->Send("", frame);
    }
    if (destroy_on_frames_) connection_.reset();
    changed_.NotifyAll();
  }
  void OnWritable() override {
    ++writable_;
    changed_.NotifyAll();
  }
  void OnPeerFinished() override {
    EXPECT_FALSE(finished_) << "OnPeerFinished comes once";
    EXPECT_FALSE(closed_.has_value()) << "nothing follows OnClosed";
    finished_ = true;
    if (echo_ == Echo::kAtFinish) {
      for (const std::string& frame : frames_) connection_->Send(frame, Buffer());
    }
    connection_->CloseAfterSending();
    changed_.NotifyAll();
  }
  void OnClosed(absl::Status why) override {
    EXPECT_FALSE(closed_.has_value()) << "OnClosed comes once";
    closed_ = std::move(why);
    changed_.NotifyAll();
  }

  void set_destroy_on_frames() { destroy_on_frames_ = true; }
  const std::vector<std::string>& frames() const { return frames_; }
  size_t bytes() const { return bytes_; }
  int calls() const { return calls_; }
  int writable() const { return writable_; }
  bool finished() const { return finished_; }
  const std::optional<absl::Status>& closed() const { return closed_; }

  Task<void> WaitForFrames(size_t count) {
    while (frames_.size() < count && !closed_.has_value()) co_await changed_.Wait();
    EXPECT_EQ(frames_.size(), count);
  }
  Task<void> WaitForSomeFrames() {
    while (frames_.empty() && !closed_.has_value()) co_await changed_.Wait();
  }
  Task<void> WaitForBytes(size_t count) {
    while (bytes_ < count && !closed_.has_value()) co_await changed_.Wait();
    EXPECT_EQ(bytes_, count);
  }
  Task<void> WaitForWritable() {
    while (writable_ == 0 && !closed_.has_value()) co_await changed_.Wait();
  }
  Task<void> WaitForFinish() {
    while (!finished_ && !closed_.has_value()) co_await changed_.Wait();
  }
  Task<void> WaitForClose() {
    while (!closed_.has_value()) co_await changed_.Wait();
  }

 private:
  std::unique_ptr<Connection> connection_;
  Notification changed_;
  const Echo echo_;
  bool destroy_on_frames_ = false;
  std::vector<std::string> frames_;
  size_t bytes_ = 0;
  int calls_ = 0;
  int writable_ = 0;
  bool finished_ = false;
  std::optional<absl::Status> closed_;
};

// Accepts, and starts a Party for each connection.
class Server : public AcceptHandler {
 public:
  enum class Accept { kStart, kWait, kRefuse };

  Server(TransportWorld* world, Echo echo, TransportLimits limits = {},
         Accept accept = Accept::kStart)
      : executor_(world->env().executor), changed_(executor_), echo_(echo), accept_(accept) {
    absl::StatusOr<std::unique_ptr<Listener>> listener =
        world->env().transport->Listen({world->host(), 0}, limits, this);
    EXPECT_TRUE(listener.ok()) << listener.status();
    if (listener.ok()) listener_ = *std::move(listener);
  }

  void OnAccept(std::unique_ptr<Connection> connection) override {
    ++accepted_;
    if (accept_ != Accept::kRefuse) {
      parties_.push_back(std::make_unique<Party>(executor_, std::move(connection), echo_));
      if (accept_ == Accept::kStart) parties_.back()->Start();
    }
    changed_.NotifyAll();
  }

  Endpoint endpoint() const { return listener_->endpoint(); }
  void StopListening() { listener_.reset(); }
  Party* party(size_t index) { return parties_.at(index).get(); }
  size_t accepted() const { return accepted_; }
  Task<void> WaitForAccepted(size_t count) {
    while (accepted_ < count) co_await changed_.Wait();
  }

 private:
  Executor* executor_;
  Notification changed_;
  const Echo echo_;
  const Accept accept_;
  size_t accepted_ = 0;
  std::vector<std::unique_ptr<Party>> parties_;
  std::unique_ptr<Listener> listener_;
};

constexpr absl::Duration kTimeout = absl::Seconds(20);

Task<absl::StatusOr<std::unique_ptr<Connection>>> Dial(TransportWorld* world, Endpoint to,
                                                       TransportLimits limits = {}) {
  return world->env().transport->Connect(std::move(to), limits, kTimeout);
}

std::string NumberedFrame(int i) {
  return StrCat(i, ":", std::string(static_cast<size_t>(i * 131 % 3'000), 'x'));
}

// ---- Frames

Task<void> BothWays(TransportWorld* world) {
  Server server(world, Echo::kNever);
  STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, server.endpoint()));
  EXPECT_FALSE(dialled->peer().empty());
  Party client(world->env().executor, std::move(dialled));
  client.Start();
  co_await server.WaitForAccepted(1);
  EXPECT_FALSE(server.party(0)->connection()->peer().empty());
  for (int i = 0; i < 500; ++i) {
    const std::string frame = NumberedFrame(i);
    // All ways to split a frame into head and body.
    const size_t cut = i % 3 == 0 ? 0 : i % 3 == 1 ? frame.size() : frame.size() / 2;
    client.connection()->Send(std::string_view(frame).substr(0, cut),
                              Buffer::CopyOf(std::string_view(frame).substr(cut)));
    server.party(0)->connection()->Send("reply to ", Buffer::CopyOf(frame));
    if (i % 100 == 99)
      co_await SleepFor(world->env().executor, world->env().clock, absl::Milliseconds(1));
  }
  co_await server.party(0)->WaitForFrames(500);
  co_await client.WaitForFrames(500);
  for (int i = 0; i < 500; ++i) {
    STELE_CO_ASSERT(server.party(0)->frames()[i] == NumberedFrame(i));
    STELE_CO_ASSERT(client.frames()[i] == "reply to " + NumberedFrame(i));
  }
}
TEST_P(TransportContract, FramesArriveWholeAndInOrderBothWays) { Run(BothWays); }

Task<void> Batches(TransportWorld* world) {
  Server server(world, Echo::kNever);
  STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, server.endpoint()));
  Party client(world->env().executor, std::move(dialled));
  client.Start();
  co_await server.WaitForAccepted(1);
  for (int i = 0; i < 1'000; ++i) client.connection()->Send("0123456789", Buffer());
  EXPECT_GT(client.connection()->queued_bytes(), 0u) << "Send never sends inside the call";
  co_await server.party(0)->WaitForFrames(1'000);
  EXPECT_LT(server.party(0)->calls(), 500);
}
TEST_P(TransportContract, FramesOfOneTurnArriveInBatches) { Run(Batches); }

Task<void> Large(TransportWorld* world) {
  Server server(world, Echo::kAtOnce);
  STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, server.endpoint()));
  Party client(world->env().executor, std::move(dialled));
  client.Start();
  std::string frame(5 * 1024 * 1024 - 4, 'x');
  for (size_t i = 0; i < frame.size(); i += 997) frame[i] = static_cast<char>(i / 997);
  client.connection()->Send("", Buffer::CopyOf(frame));
  client.connection()->Send("after", Buffer());
  co_await client.WaitForFrames(2);
  STELE_CO_ASSERT(client.frames().size() == 2);
  EXPECT_TRUE(client.frames()[0] == frame);
  EXPECT_EQ(client.frames()[1], "after");
}
TEST_P(TransportContract, AFrameOfTheDefaultLimitPassesBothWays) { Run(Large); }

Task<void> BeforeStart(TransportWorld* world) {
  Server server(world, Echo::kNever, {}, Server::Accept::kWait);
  STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, server.endpoint()));
  dialled->Send("early", Buffer());
  co_await server.WaitForAccepted(1);
  server.party(0)->connection()->Send("early too", Buffer());
  co_await SleepFor(world->env().executor, world->env().clock, absl::Milliseconds(20));
  EXPECT_TRUE(server.party(0)->frames().empty());
  Party client(world->env().executor, std::move(dialled));
  client.Start();
  server.party(0)->Start();
  co_await server.party(0)->WaitForFrames(1);
  co_await client.WaitForFrames(1);
}
TEST_P(TransportContract, FramesMayBeSentBeforeStartAndWaitForIt) { Run(BeforeStart); }

// ---- Limits

Task<void> Oversize(TransportWorld* world) {
  Server server(world, Echo::kNever, {.frame_size_max_bytes = 1'000});
  STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, server.endpoint()));
  Party client(world->env().executor, std::move(dialled));
  client.Start();
  co_await server.WaitForAccepted(1);
  Party* party = server.party(0);
  client.connection()->Send(std::string(996, 'x'), Buffer());
  co_await party->WaitForFrames(1);
  EXPECT_FALSE(party->closed().has_value()) << "996 bytes and the prefix are 1000";
  client.connection()->Send(std::string(997, 'x'), Buffer());
  client.connection()->Send("never seen", Buffer());
  co_await party->WaitForClose();
  STELE_CO_EXPECT_CODE(ErrorCode::kCorruptData, *party->closed());
  EXPECT_EQ(party->frames().size(), 1u);
  co_await client.WaitForClose();
}
TEST_P(TransportContract, AFrameAboveTheLimitClosesWithCorruptData) { Run(Oversize); }

Task<void> OversizeReply(TransportWorld* world) {
  Server server(world, Echo::kAtOnce);
  STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled,
                  co_await Dial(world, server.endpoint(), {.frame_size_max_bytes = 100}));
  Party client(world->env().executor, std::move(dialled));
  client.Start();
  client.connection()->Send(std::string(96, 'x'), Buffer());
  client.connection()->Send(std::string(97, 'x'), Buffer());
  co_await client.WaitForClose();
  EXPECT_EQ(client.frames().size(), 1u);
  STELE_CO_EXPECT_CODE(ErrorCode::kCorruptData, *client.closed());
}
TEST_P(TransportContract, TheLimitHoldsForTheConnectingEndToo) { Run(OversizeReply); }

Task<void> Empty(TransportWorld* world) {
  Server server(world, Echo::kNever);
  STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, server.endpoint()));
  Party client(world->env().executor, std::move(dialled));
  client.Start();
  co_await server.WaitForAccepted(1);
  client.connection()->Send("before", Buffer());
  client.connection()->Send("", Buffer());
  co_await server.party(0)->WaitForClose();
  EXPECT_EQ(server.party(0)->frames(), std::vector<std::string>{"before"});
  STELE_CO_EXPECT_CODE(ErrorCode::kCorruptData, *server.party(0)->closed());
  co_await client.WaitForClose();
}
TEST_P(TransportContract, AnEmptyFrameClosesWithCorruptData) { Run(Empty); }

// ---- The end of a connection

Task<void> PeerCloses(TransportWorld* world) {
  for (int round = 0; round < 8; ++round) {
    Server server(world, Echo::kNever);
    STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, server.endpoint()));
    Party client(world->env().executor, std::move(dialled));
    client.Start();
    co_await server.WaitForAccepted(1);
    if (round % 2 == 0) {
      client.connection()->Send("hello", Buffer());
      co_await server.party(0)->WaitForFrames(1);
    }
    client.connection()->Close();
    co_await server.party(0)->WaitForClose();  // at once, or after OnPeerFinished
    if (!server.party(0)->finished()) {
      STELE_CO_EXPECT_CODE(ErrorCode::kConnectionLost, *server.party(0)->closed());
    }
    EXPECT_FALSE(client.closed().has_value());
    EXPECT_FALSE(client.finished());
  }
}
TEST_P(TransportContract, ThePeersCloseIsSeen) { Run(PeerCloses); }

Task<void> SilentAfterClose(TransportWorld* world) {
  for (int round = 0; round < 4; ++round) {
    Server server(world, Echo::kNever);
    STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, server.endpoint()));
    Party client(world->env().executor, std::move(dialled));
    client.Start();
    co_await server.WaitForAccepted(1);
    for (int i = 0; i < 100; ++i) {
      server.party(0)->connection()->Send("for nobody", Buffer());
      client.connection()->Send("dropped or not", Buffer());
    }
    if (round % 2 == 0) {
      co_await SleepFor(world->env().executor, world->env().clock, absl::Milliseconds(1));
    }
    const size_t before = client.frames().size();
    client.connection()->Close();
    client.connection()->Close();
    client.connection()->Send("ignored", Buffer());
    client.connection()->CloseAfterSending();
    co_await server.party(0)->WaitForClose();
    co_await SleepFor(world->env().executor, world->env().clock, absl::Milliseconds(5));
    EXPECT_EQ(client.frames().size(), before);
    EXPECT_FALSE(client.closed().has_value());
    EXPECT_FALSE(client.finished());
  }
}
TEST_P(TransportContract, NoCallbackFollowsClose) { Run(SilentAfterClose); }

Task<void> Flush(TransportWorld* world) {
  Server server(world, Echo::kNever);
  STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, server.endpoint()));
  Party client(world->env().executor, std::move(dialled));
  client.Start();
  co_await server.WaitForAccepted(1);
  const Buffer body = Buffer::FromString(std::string(10'000, 'x'));
  for (int i = 0; i < 1'000; ++i) client.connection()->Send("head", body);
  client.connection()->CloseAfterSending();
  client.connection()->Send("ignored", Buffer());
  co_await server.party(0)->WaitForBytes(1'000 * 10'004);
  co_await server.party(0)->WaitForFinish();
  EXPECT_TRUE(server.party(0)->finished());
  co_await server.party(0)->WaitForClose();
  co_await client.WaitForClose();
  STELE_CO_EXPECT_OK(*client.closed());
}
TEST_P(TransportContract, CloseAfterSendingSendsEverythingFirst) { Run(Flush); }

Task<void> FlushToATalker(TransportWorld* world) {
  Server server(world, Echo::kNever);
  STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, server.endpoint()));
  Party client(world->env().executor, std::move(dialled));
  client.Start();
  co_await server.WaitForAccepted(1);
  // The peer sends all the time; what it is sent must reach it nevertheless.
  for (int i = 0; i < 200; ++i) {
    client.connection()->Send("reply ", Buffer::CopyOf(std::string(1'000, 'x')));
    server.party(0)->connection()->Send("request ", Buffer::CopyOf(std::string(1'000, 'x')));
  }
  client.connection()->CloseAfterSending();
  for (int i = 0; i < 20; ++i) {
    server.party(0)->connection()->Send("another", Buffer());
    co_await SleepFor(world->env().executor, world->env().clock, absl::Microseconds(100));
  }
  co_await server.party(0)->WaitForFrames(200);
  co_await server.party(0)->WaitForClose();
}
TEST_P(TransportContract, CloseAfterSendingLosesNothingWhenThePeerIsSending) {
  Run(FlushToATalker);
}

Task<void> HalfClosed(TransportWorld* world) {
  Server server(world, Echo::kAtFinish);
  std::vector<std::string> frames;
  for (int i = 0; i < 50; ++i) frames.push_back(NumberedFrame(i));
  const std::vector<std::string> replies =
      co_await world->ExchangeHalfClosed(server.endpoint(), frames);
  EXPECT_TRUE(replies == frames);
  STELE_CO_ASSERT(server.accepted() == 1);
  EXPECT_TRUE(server.party(0)->finished());
  co_await server.party(0)->WaitForClose();
}
TEST_P(TransportContract, AHalfClosedPeerGetsItsReplies) { Run(HalfClosed); }

Task<void> DestroyInside(TransportWorld* world) {
  Server server(world, Echo::kNever);
  STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, server.endpoint()));
  Party client(world->env().executor, std::move(dialled));
  client.Start();
  client.set_destroy_on_frames();
  co_await server.WaitForAccepted(1);
  for (int i = 0; i < 10; ++i) server.party(0)->connection()->Send("frame", Buffer());
  co_await client.WaitForSomeFrames();
  co_await server.party(0)->WaitForClose();
  EXPECT_EQ(client.calls(), 1);
  EXPECT_FALSE(client.closed().has_value());
}
TEST_P(TransportContract, AConnectionMayBeDestroyedInsideOnFrames) { Run(DestroyInside); }

// ---- Back-pressure

Task<void> Pause(TransportWorld* world) {
  Server server(world, Echo::kNever);
  STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, server.endpoint()));
  Party client(world->env().executor, std::move(dialled));
  client.Start();
  co_await server.WaitForAccepted(1);
  Party* party = server.party(0);
  party->connection()->PauseReading();
  // More than any socket buffer takes.
  const Buffer body = Buffer::FromString(std::string(1 << 20, 'x'));
  for (int i = 0; i < 48; ++i) client.connection()->Send("", body);
  co_await SleepFor(world->env().executor, world->env().clock, absl::Milliseconds(100));
  EXPECT_GT(client.connection()->queued_bytes(), size_t{8} << 20) << "the sender feels the pause";
  const size_t delivered = party->bytes();
  EXPECT_LE(delivered, size_t{8} << 20);
  co_await SleepFor(world->env().executor, world->env().clock, absl::Milliseconds(50));
  EXPECT_EQ(party->bytes(), delivered) << "a paused connection delivers nothing";
  EXPECT_EQ(client.writable(), 0);
  party->connection()->ResumeReading();
  co_await client.WaitForWritable();
  co_await party->WaitForBytes(size_t{48} << 20);
  EXPECT_EQ(client.connection()->queued_bytes(), 0u);
  EXPECT_GE(client.writable(), 1);
}
TEST_P(TransportContract, APausedReaderStopsTheSender) { Run(Pause); }

Task<void> PauseWithin(TransportWorld* world) {
  Server server(world, Echo::kNever);
  STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, server.endpoint()));
  Party client(world->env().executor, std::move(dialled));
  client.Start();
  co_await server.WaitForAccepted(1);
  Party* party = server.party(0);
  for (int i = 0; i < 200; ++i) {
    client.connection()->Send("frame", Buffer());
    if (i % 2 == 0) {
      party->connection()->PauseReading();
    } else {
      party->connection()->ResumeReading();
    }
    if (i % 10 == 0)
      co_await SleepFor(world->env().executor, world->env().clock, absl::Microseconds(100));
  }
  co_await party->WaitForFrames(200);
}
TEST_P(TransportContract, NothingIsLostByPausingOften) { Run(PauseWithin); }

// ---- Connecting

Task<void> Refused(TransportWorld* world) {
  Endpoint nobody;
  {
    const Server server(world, Echo::kNever);
    nobody = server.endpoint();
    EXPECT_NE(nobody.port, 0);
  }
  STELE_CO_EXPECT_CODE(ErrorCode::kConnectionLost, co_await Dial(world, nobody));
}
TEST_P(TransportContract, ConnectIsRefusedWhereNobodyListens) { Run(Refused); }

Task<void> Dropped(TransportWorld* world) {
  Server server(world, Echo::kNever, {}, Server::Accept::kRefuse);
  absl::StatusOr<std::unique_ptr<Connection>> dialled = co_await Dial(world, server.endpoint());
  if (dialled.ok()) {
    Party client(world->env().executor, *std::move(dialled));
    client.Start();
    co_await client.WaitForClose();
  } else {
    STELE_CO_EXPECT_CODE(ErrorCode::kConnectionLost, dialled);
  }
  co_await server.WaitForAccepted(1);
}
TEST_P(TransportContract, AnAcceptedConnectionMayBeDropped) { Run(Dropped); }

Task<void> StopListening(TransportWorld* world) {
  Server server(world, Echo::kAtOnce);
  STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, server.endpoint()));
  Party client(world->env().executor, std::move(dialled));
  client.Start();
  co_await server.WaitForAccepted(1);
  const Endpoint endpoint = server.endpoint();
  server.StopListening();
  client.connection()->Send("still here", Buffer());
  co_await client.WaitForFrames(1);
  STELE_CO_EXPECT_CODE(ErrorCode::kConnectionLost, co_await Dial(world, endpoint));
}
TEST_P(TransportContract, AcceptedConnectionsOutliveTheListener) { Run(StopListening); }

Task<void> PortTaken(TransportWorld* world) {
  Server server(world, Echo::kNever);
  EXPECT_FALSE(world->env().transport->Listen(server.endpoint(), {}, &server).ok());
  const Server other(world, Echo::kNever);
  EXPECT_NE(other.endpoint().port, server.endpoint().port);
  co_return;
}
TEST_P(TransportContract, APortIsListenedToOnce) { Run(PortTaken); }

Task<void> DialAndDrop(TransportWorld* world, Endpoint to) {
  (co_await Dial(world, std::move(to))).status().IgnoreError();  // abandoned before it is told
}

Task<void> Abandon(TransportWorld* world) {
  Server server(world, Echo::kAtOnce);
  for (int i = 0; i < 10; ++i) {
    TaskScope scope(world->env().executor);
    scope.Spawn(DialAndDrop(world, server.endpoint()));
  }
  STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, server.endpoint()));
  Party client(world->env().executor, std::move(dialled));
  client.Start();
  client.connection()->Send("alive", Buffer());
  co_await client.WaitForFrames(1);
}
TEST_P(TransportContract, ConnectsMayBeAbandoned) { Run(Abandon); }

Task<void> EchoSome(TransportWorld* world, Endpoint to, int number, int* passed) {
  STELE_CO_ASSIGN(std::unique_ptr<Connection> dialled, co_await Dial(world, std::move(to)));
  Party client(world->env().executor, std::move(dialled));
  client.Start();
  for (int i = 0; i < 20; ++i) client.connection()->Send(StrCat(number, "/", i), Buffer());
  co_await client.WaitForFrames(20);
  STELE_CO_ASSERT(client.frames().size() == 20);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(client.frames()[i], StrCat(number, "/", i));
  ++*passed;
}

Task<void> Many(TransportWorld* world) {
  Server server(world, Echo::kAtOnce);
  int passed = 0;
  TaskScope scope(world->env().executor);
  for (int i = 0; i < 64; ++i) scope.Spawn(EchoSome(world, server.endpoint(), i, &passed));
  co_await scope.Join();
  EXPECT_EQ(passed, 64);
  EXPECT_EQ(server.accepted(), 64u);
}
TEST_P(TransportContract, SixtyFourConnectionsAtOnce) { Run(Many); }

}  // namespace
}  // namespace stele
