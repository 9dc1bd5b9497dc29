// What the contract says of StartTls.
#include <optional>
#include <utility>

#include "common/async/notification.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "common/seams/clock.h"
#include "common/seams/contract/co_assert.h"
#include "common/seams/contract/transport_contract.h"

namespace stele {
namespace {

constexpr absl::Duration kTimeout = absl::Seconds(20);

// One end of a connection that starts TLS, if it has an upgrade, when its cue arrives.
class TlsParty : public ConnectionHandler {
 public:
  TlsParty(Executor* executor, std::unique_ptr<Connection> connection, std::string cue,
           std::optional<TlsUpgrade> upgrade)
      : connection_(std::move(connection)),
        changed_(executor),
        cue_(std::move(cue)),
        upgrade_(std::move(upgrade)) {
    connection_->Start(this);
  }
  Connection* connection() { return connection_.get(); }

  // Answers `cue`, then starts TLS, then says `first` inside it.
  void AnswerAndSay(std::string answer, std::string first) {
    answer_ = std::move(answer);
    first_ = std::move(first);
  }

  void OnFrames(std::span<Buffer> frames) override {
    EXPECT_FALSE(closed_.has_value());
    for (const Buffer& frame : frames) frames_.push_back(frame.ToString());
    if (frames_.back() == cue_ && upgrade_.has_value()) {
      if (!answer_.empty()) connection_->Send(answer_, Buffer());
      connection_->StartTls(*std::exchange(upgrade_, std::nullopt));
      if (!first_.empty()) connection_->Send(first_, Buffer());
    }
    changed_.NotifyAll();
  }
  void OnTlsStarted(const TlsPeer& peer) override {
    EXPECT_FALSE(peer_.has_value()) << "OnTlsStarted comes once";
    peer_ = peer;
    changed_.NotifyAll();
  }
  void OnPeerFinished() override {
    finished_ = true;
    connection_->CloseAfterSending();
    changed_.NotifyAll();
  }
  void OnClosed(absl::Status why) override {
    EXPECT_FALSE(closed_.has_value()) << "OnClosed comes once";
    closed_ = std::move(why);
    changed_.NotifyAll();
  }

  const std::vector<std::string>& frames() const { return frames_; }
  const std::optional<TlsPeer>& peer() const { return peer_; }
  bool finished() const { return finished_; }
  ErrorCode closed() const { return CodeOf(*closed_); }

  Task<void> WaitForFrames(size_t count) {
    while (frames_.size() < count && !closed_.has_value()) co_await changed_.Wait();
    EXPECT_EQ(frames_.size(), count);
  }
  Task<void> WaitForTls() {
    while (!peer_.has_value() && !closed_.has_value()) co_await changed_.Wait();
  }
  Task<void> WaitForClose() {
    while (!closed_.has_value()) co_await changed_.Wait();
  }

 private:
  std::unique_ptr<Connection> connection_;
  Notification changed_;
  const std::string cue_;
  std::optional<TlsUpgrade> upgrade_;
  std::string answer_;
  std::string first_;
  std::vector<std::string> frames_;
  std::optional<TlsPeer> peer_;
  bool finished_ = false;
  std::optional<absl::Status> closed_;
};

class Accepting : public AcceptHandler {
 public:
  explicit Accepting(Executor* executor) : changed_(executor) {}
  void OnAccept(std::unique_ptr<Connection> connection) override {
    accepted = std::move(connection);
    changed_.NotifyAll();
  }
  Task<void> Wait() {
    while (accepted == nullptr) co_await changed_.Wait();
  }
  std::unique_ptr<Connection> accepted;

 private:
  Notification changed_;
};

// A connection whose client has asked "start" and whose server has not yet heard it.
struct Pair {
  std::unique_ptr<Accepting> accepting;
  std::unique_ptr<Listener> listener;
  std::unique_ptr<TlsParty> client;
  std::unique_ptr<TlsParty> server;
};

std::optional<TlsUpgrade> Upgrade(TransportWorld* world, TlsUpgrade::Side side,
                                  const TlsTestParty& party) {
  return TlsUpgrade{.side = side,
                    .credentials = world->MakeTls(party),
                    .server_name = side == TlsUpgrade::Side::kClient ? world->host() : "",
                    .deadline = kTimeout};
}
std::optional<TlsUpgrade> ClientUpgrade(TransportWorld* world, const TlsTestParty& party) {
  return Upgrade(world, TlsUpgrade::Side::kClient, party);
}
std::optional<TlsUpgrade> ServerUpgrade(TransportWorld* world, const TlsTestParty& party) {
  return Upgrade(world, TlsUpgrade::Side::kServer, party);
}

Task<absl::StatusOr<Pair>> MakePair(TransportWorld* world, std::optional<TlsUpgrade> client,
                                    std::optional<TlsUpgrade> server) {
  Executor* const executor = world->env().executor;
  Pair pair;
  pair.accepting = std::make_unique<Accepting>(executor);
  STELE_CO_TRY(pair.listener,
               world->env().transport->Listen({world->host(), 0}, {}, pair.accepting.get()));
  STELE_CO_TRY(auto dialled,
               co_await world->env().transport->Connect(pair.listener->endpoint(), {}, kTimeout));
  co_await pair.accepting->Wait();
  pair.client = std::make_unique<TlsParty>(executor, std::move(dialled), "go", std::move(client));
  pair.server = std::make_unique<TlsParty>(executor, std::move(pair.accepting->accepted), "start",
                                           std::move(server));
  pair.server->AnswerAndSay("go", "");
  pair.client->connection()->Send("start", Buffer());
  co_return pair;
}

// ---- Connections that come about

Task<void> Upgraded(TransportWorld* world) {
  STELE_CO_ASSIGN(
      Pair pair, co_await MakePair(world, ClientUpgrade(world, {.organizational_unit = "0:writer"}),
                                   ServerUpgrade(world, {.organizational_unit = "0:bookie",
                                                         .requires_client_certificate = true})));
  // Not in answer to anything: both wait for the handshake.
  pair.client->AnswerAndSay("", "client's first");
  pair.server->AnswerAndSay("go", "server's first");
  co_await pair.client->WaitForFrames(2);
  co_await pair.server->WaitForFrames(2);
  EXPECT_EQ(pair.client->frames(), (std::vector<std::string>{"go", "server's first"}));
  EXPECT_EQ(pair.server->frames(), (std::vector<std::string>{"start", "client's first"}));
  STELE_CO_ASSERT(pair.client->peer().has_value() && pair.server->peer().has_value());
  EXPECT_EQ(pair.server->peer()->organizational_units, std::vector<std::string>{"0:writer"});
  EXPECT_EQ(pair.client->peer()->organizational_units, std::vector<std::string>{"0:bookie"});

  const Buffer large = Buffer::FromString(std::string(100'000, 'x'));
  for (int i = 0; i < 100; ++i) {
    for (TlsParty* party : {pair.client.get(), pair.server.get()}) {
      party->connection()->Send(StrCat(i), i % 10 == 0 ? large : Buffer());
    }
  }
  co_await pair.client->WaitForFrames(102);
  co_await pair.server->WaitForFrames(102);
  for (int i = 0; i < 100; ++i) {
    const std::string expected = StrCat(i, i % 10 == 0 ? large.ToString() : "");
    STELE_CO_ASSERT(pair.client->frames()[i + 2] == expected);
    STELE_CO_ASSERT(pair.server->frames()[i + 2] == expected);
  }
  EXPECT_EQ(pair.client->connection()->queued_bytes(), 0u);
}
TEST_P(TransportContract, TlsCarriesFramesBothWaysAndTellsWhoThePeerIs) { Run(Upgraded); }

Task<void> Nameless(TransportWorld* world) {
  STELE_CO_ASSIGN(Pair pair, co_await MakePair(world, ClientUpgrade(world, {.authority = ""}),
                                               ServerUpgrade(world, {.trusted_authority = ""})));
  pair.client->AnswerAndSay("", "hello");
  co_await pair.server->WaitForFrames(2);
  STELE_CO_ASSERT(pair.server->peer().has_value());
  EXPECT_FALSE(pair.server->peer()->has_certificate);
}
TEST_P(TransportContract, TlsNeedsNoCertificateOfTheClientUnlessAsked) { Run(Nameless); }

Task<void> FlushInTls(TransportWorld* world) {
  STELE_CO_ASSIGN(Pair pair,
                  co_await MakePair(world, ClientUpgrade(world, {}), ServerUpgrade(world, {})));
  const Buffer body = Buffer::FromString(std::string(10'000, 'x'));
  pair.client->AnswerAndSay("", "first");
  co_await pair.server->WaitForFrames(2);
  for (int i = 0; i < 300; ++i) pair.client->connection()->Send("head", body);
  pair.client->connection()->CloseAfterSending();
  co_await pair.server->WaitForClose();
  co_await pair.client->WaitForClose();
  EXPECT_EQ(pair.server->frames().size(), 302u);
  EXPECT_TRUE(pair.server->finished());
  EXPECT_EQ(pair.client->closed(), ErrorCode::kOk);
}
TEST_P(TransportContract, CloseAfterSendingSendsEverythingFirstInTlsToo) { Run(FlushInTls); }

Task<void> PausedInTls(TransportWorld* world) {
  STELE_CO_ASSIGN(Pair pair,
                  co_await MakePair(world, ClientUpgrade(world, {}), ServerUpgrade(world, {})));
  pair.client->AnswerAndSay("", "first");
  co_await pair.server->WaitForFrames(1);
  pair.server->connection()->PauseReading();
  co_await pair.server->WaitForTls();
  pair.server->connection()->ResumeReading();
  co_await pair.server->WaitForFrames(2);
  pair.server->connection()->PauseReading();
  const Buffer body = Buffer::FromString(std::string(1 << 20, 'x'));
  for (int i = 0; i < 24; ++i) pair.client->connection()->Send("", body);
  co_await SleepFor(world->env().executor, world->env().clock, absl::Milliseconds(50));
  EXPECT_GT(pair.client->connection()->queued_bytes(), size_t{8} << 20);
  pair.server->connection()->ResumeReading();
  co_await pair.server->WaitForFrames(26);
}
TEST_P(TransportContract, APausedReaderStopsTheSenderInTlsToo) { Run(PausedInTls); }

// ---- Connections that are refused

Task<void> ExpectRefusal(TransportWorld* world, TlsTestParty client, TlsTestParty server,
                         TlsUpgrade::Side refuses, std::string name) {
  std::optional<TlsUpgrade> client_upgrade = ClientUpgrade(world, client);
  if (!name.empty()) client_upgrade->server_name = name;
  STELE_CO_ASSIGN(
      Pair pair, co_await MakePair(world, std::move(client_upgrade), ServerUpgrade(world, server)));
  pair.client->AnswerAndSay("", "secret");
  co_await pair.client->WaitForClose();
  co_await pair.server->WaitForClose();
  const bool by_client = refuses == TlsUpgrade::Side::kClient;
  EXPECT_EQ((by_client ? pair.client : pair.server)->closed(), ErrorCode::kUnauthorized);
  EXPECT_EQ(pair.server->frames(), std::vector<std::string>{"start"});
  EXPECT_FALSE(pair.server->peer().has_value());
}

Task<void> ForeignServer(TransportWorld* world) {
  return ExpectRefusal(world, {.trusted_authority = "another house"}, {}, TlsUpgrade::Side::kClient,
                       "");
}
TEST_P(TransportContract, TlsRefusesAServerOfAnAuthorityThatIsNotTrusted) { Run(ForeignServer); }

Task<void> ExpiredServer(TransportWorld* world) {
  return ExpectRefusal(world, {}, {.is_expired = true}, TlsUpgrade::Side::kClient, "");
}
TEST_P(TransportContract, TlsRefusesAnExpiredServer) { Run(ExpiredServer); }

Task<void> WrongName(TransportWorld* world) {
  return ExpectRefusal(world, {}, {}, TlsUpgrade::Side::kClient, "another.example");
}
TEST_P(TransportContract, TlsRefusesAServerOfAnotherName) { Run(WrongName); }

Task<void> NamelessClient(TransportWorld* world) {
  return ExpectRefusal(world, {.authority = ""}, {.requires_client_certificate = true},
                       TlsUpgrade::Side::kServer, "");
}
TEST_P(TransportContract, TlsRefusesAClientWithoutCertificateWhenAsked) { Run(NamelessClient); }

Task<void> ForeignClient(TransportWorld* world) {
  return ExpectRefusal(world, {.authority = "another house"}, {.requires_client_certificate = true},
                       TlsUpgrade::Side::kServer, "");
}
TEST_P(TransportContract, TlsRefusesAClientOfAnAuthorityThatIsNotTrusted) { Run(ForeignClient); }

Task<void> ExpiredClient(TransportWorld* world) {
  return ExpectRefusal(world, {.is_expired = true}, {.requires_client_certificate = true},
                       TlsUpgrade::Side::kServer, "");
}
TEST_P(TransportContract, TlsRefusesAnExpiredClient) { Run(ExpiredClient); }

Task<void> ClearBehind(TransportWorld* world) {
  STELE_CO_ASSIGN(Pair pair, co_await MakePair(world, std::nullopt, ServerUpgrade(world, {})));
  co_await pair.client->WaitForFrames(1);
  pair.client->connection()->Send("in clear, where a handshake is due", Buffer());
  co_await pair.server->WaitForClose();
  EXPECT_EQ(pair.server->closed(), ErrorCode::kUnauthorized);
  EXPECT_EQ(pair.server->frames(), std::vector<std::string>{"start"});
  co_await pair.client->WaitForClose();
}
TEST_P(TransportContract, ClearFramesAfterStartTlsEndTheConnection) { Run(ClearBehind); }

Task<void> Unexpected(TransportWorld* world) {
  STELE_CO_ASSIGN(Pair pair, co_await MakePair(world, ClientUpgrade(world, {}), std::nullopt));
  co_await pair.server->WaitForFrames(1);
  pair.server->connection()->Send("go", Buffer());
  co_await pair.server->WaitForClose();
  EXPECT_EQ(pair.server->closed(), ErrorCode::kCorruptData);
  co_await pair.client->WaitForClose();
}
TEST_P(TransportContract, AHandshakeThatNobodyExpectsIsBadInput) { Run(Unexpected); }

Task<void> Stalled(TransportWorld* world) {
  std::optional<TlsUpgrade> server = ServerUpgrade(world, {});
  server->deadline = absl::Milliseconds(20);
  STELE_CO_ASSIGN(Pair pair, co_await MakePair(world, std::nullopt, std::move(server)));
  co_await pair.server->WaitForClose();
  EXPECT_EQ(pair.server->closed(), ErrorCode::kDeadline);
  co_await pair.client->WaitForClose();
}
TEST_P(TransportContract, AHandshakeThatStallsEndsTheConnection) { Run(Stalled); }

Task<void> CloseInside(TransportWorld* world) {
  for (int steps = 0; steps < 6; ++steps) {
    STELE_CO_ASSIGN(Pair pair,
                    co_await MakePair(world, ClientUpgrade(world, {}), ServerUpgrade(world, {})));
    pair.client->AnswerAndSay("", "hello");
    co_await pair.client->WaitForFrames(1);
    co_await SleepFor(world->env().executor, world->env().clock, absl::Microseconds(300 * steps));
    pair.client->connection()->Close();
    co_await pair.server->WaitForClose();
  }
}
TEST_P(TransportContract, AConnectionMayBeClosedInsideTheHandshake) { Run(CloseInside); }

}  // namespace
}  // namespace stele
