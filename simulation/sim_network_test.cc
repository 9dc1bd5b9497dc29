#include "simulation/sim_network.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/seams/clock.h"
#include "common/seams/contract/co_assert.h"
#include "common/seams/contract/transport_contract.h"
#include "simulation/sim_seam_world.h"

namespace stele {
INSTANTIATE_TEST_SUITE_P(Simulated, TransportContract,
                         testing::ValuesIn(simulation::kSimTransportWorlds), SeamWorldName());
}  // namespace stele

namespace stele::simulation {
namespace {

// What one end was told. Belongs to the test, so that it outlives a crash of its process.
struct Log {
  std::vector<std::string> frames;
  bool finished = false;
  std::optional<ErrorCode> closed;
};

class End : public ConnectionHandler {
 public:
  End(std::unique_ptr<Connection> connection, Log* log)
      : connection_(std::move(connection)), log_(log) {
    connection_->Start(this);
  }
  Connection* connection() { return connection_.get(); }

  void OnFrames(std::span<Buffer> frames) override {
    for (const Buffer& frame : frames) log_->frames.push_back(frame.ToString());
  }
  void OnPeerFinished() override { log_->finished = true; }
  void OnClosed(absl::Status why) override { log_->closed = CodeOf(why); }

 private:
  std::unique_ptr<Connection> connection_;
  Log* log_;
};

// Listens on port 3181 of its host and keeps one End for each connection.
class Server : public AcceptHandler {
 public:
  Server(Env env, Log* log) : log_(log) {
    absl::StatusOr<std::unique_ptr<Listener>> listener =
        env.transport->Listen({"", 3181}, {}, this);
    EXPECT_TRUE(listener.ok()) << listener.status();
    listener_ = *std::move(listener);
  }
  void OnAccept(std::unique_ptr<Connection> connection) override {
    ends_.push_back(std::make_unique<End>(std::move(connection), log_));
  }
  End* end(size_t i) { return ends_.at(i).get(); }

 private:
  Log* log_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<End>> ends_;
};

Task<void> Dial(Env env, SimProcess* owner, Log* log, End** end, absl::Duration timeout,
                ErrorCode* code) {
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      co_await env.transport->Connect({"server", 3181}, {}, timeout);
  *code = CodeOf(connection.status());
  if (connection.ok()) *end = owner->Own(std::make_unique<End>(*std::move(connection), log));
}

struct Rig {
  explicit Rig(uint64_t seed)
      : world({.seed = seed}),
        server_process(world.AddProcess(world.AddMachine("server"), "server")),
        client_process(world.AddProcess(world.AddMachine("client"), "client")) {
    StartServer();
  }
  void StartServer() {
    server = server_process->Own(std::make_unique<Server>(world.env(server_process), &server_log));
  }
  ErrorCode Connect(absl::Duration timeout = absl::Seconds(5)) {
    ErrorCode code = ErrorCode::kForeign;
    const absl::Status status = world.RunToEnd(
        client_process,
        Dial(world.env(client_process), client_process, &client_log, &client, timeout, &code));
    EXPECT_TRUE(status.ok()) << status;
    Run(absl::Milliseconds(10));
    return code;
  }
  void Run(absl::Duration duration) { EXPECT_TRUE(world.scheduler().RunFor(duration).ok()); }
  void SendNumbers(End* from, int count) {
    for (int i = 0; i < count; ++i) from->connection()->Send(StrCat(i), Buffer());
  }

  Log server_log;
  Log client_log;
  World world;
  SimProcess* server_process;
  SimProcess* client_process;
  Server* server = nullptr;
  End* client = nullptr;
};

std::vector<std::string> Numbers(size_t count) {
  std::vector<std::string> result;
  for (size_t i = 0; i < count; ++i) result.push_back(StrCat(i));
  return result;
}

TEST(SimNetworkTest, ACrashIsALostConnectionForThePeer) {
  std::set<size_t> delivered;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Rig rig(seed);
    ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
    rig.SendNumbers(rig.client, 10);
    rig.Run(absl::Microseconds(1));  // into the network
    rig.client_process->Crash();
    rig.Run(absl::Seconds(1));
    EXPECT_EQ(rig.server_log.closed, ErrorCode::kConnectionLost);
    EXPECT_FALSE(rig.server_log.finished);
    EXPECT_EQ(rig.server_log.frames, Numbers(rig.server_log.frames.size())) << "a prefix";
    delivered.insert(rig.server_log.frames.size());
    EXPECT_EQ(rig.world.network().open_connections(), 0u);
  }
  EXPECT_TRUE(delivered.contains(0));
  EXPECT_TRUE(delivered.contains(10));
}

TEST(SimNetworkTest, ARestartedServerCanBeReachedAgain) {
  Rig rig(1);
  ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
  rig.server_process->Crash();
  rig.Run(absl::Seconds(1));
  EXPECT_EQ(rig.client_log.closed, ErrorCode::kConnectionLost);
  EXPECT_EQ(rig.Connect(), ErrorCode::kConnectionLost) << "refused: nobody listens";
  rig.server_process->Restart();
  rig.StartServer();
  rig.client_log = {};
  ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
  rig.SendNumbers(rig.client, 3);
  rig.Run(absl::Seconds(1));
  EXPECT_EQ(rig.server_log.frames, Numbers(3));
}

TEST(SimNetworkTest, APartitionHoldsBackAndLosesNothing) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rig rig(seed);
    ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
    rig.world.network().Partition("client", "server");
    rig.SendNumbers(rig.client, 100);
    rig.SendNumbers(rig.server->end(0), 100);
    rig.client->connection()->CloseAfterSending();
    rig.Run(absl::Minutes(1));
    EXPECT_TRUE(rig.server_log.frames.empty());
    EXPECT_TRUE(rig.client_log.frames.empty());
    EXPECT_FALSE(rig.server_log.finished);
    EXPECT_EQ(rig.Connect(absl::Seconds(3)), ErrorCode::kDeadline);
    rig.world.network().HealAll();
    rig.Run(absl::Seconds(1));
    EXPECT_EQ(rig.server_log.frames, Numbers(100));
    EXPECT_TRUE(rig.server_log.finished);
    EXPECT_EQ(rig.Connect(), ErrorCode::kOk);
  }
}

TEST(SimNetworkTest, AConnectWaitsForTheHealWithinItsTimeout) {
  Rig rig(1);
  rig.world.network().Block("server", "client");
  ErrorCode code = ErrorCode::kForeign;
  rig.client_process->Spawn(Dial(rig.world.env(rig.client_process), rig.client_process,
                                 &rig.client_log, &rig.client, absl::Seconds(10), &code));
  rig.Run(absl::Seconds(5));
  EXPECT_EQ(code, ErrorCode::kForeign);
  rig.world.network().HealAll();
  rig.Run(absl::Seconds(1));
  EXPECT_EQ(code, ErrorCode::kOk);
}

TEST(SimNetworkTest, ABlockedDirectionLeavesTheOtherUntilTheWindowIsFull) {
  Rig rig(1);
  ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
  rig.world.network().Block("server", "client");
  rig.SendNumbers(rig.client, 10);
  rig.SendNumbers(rig.server->end(0), 10);
  rig.Run(absl::Seconds(1));
  EXPECT_EQ(rig.server_log.frames, Numbers(10));
  EXPECT_TRUE(rig.client_log.frames.empty());
  // Acknowledgements do not come back: the queue stops moving.
  const Buffer body = Buffer::FromString(std::string(100'000, 'x'));
  for (int i = 0; i < 20; ++i) rig.client->connection()->Send("", body);
  rig.Run(absl::Minutes(1));
  EXPECT_GT(rig.client->connection()->queued_bytes(), 1'000'000u);
  rig.world.network().Unblock("server", "client");
  rig.Run(absl::Seconds(1));
  EXPECT_EQ(rig.server_log.frames.size(), 30u);
  EXPECT_EQ(rig.client_log.frames, Numbers(10));
  EXPECT_EQ(rig.client->connection()->queued_bytes(), 0u);
}

TEST(SimNetworkTest, AResetCutsBothPipesAndTellsBothEnds) {
  std::set<size_t> delivered;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Rig rig(seed);
    ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
    rig.SendNumbers(rig.client, 10);
    rig.SendNumbers(rig.server->end(0), 10);
    rig.Run(absl::Microseconds(1));
    rig.world.network().ResetConnections("server", "client");
    rig.SendNumbers(rig.client, 10);
    rig.Run(absl::Seconds(1));
    EXPECT_EQ(rig.server_log.closed, ErrorCode::kConnectionLost);
    EXPECT_EQ(rig.client_log.closed, ErrorCode::kConnectionLost);
    EXPECT_EQ(rig.server_log.frames, Numbers(rig.server_log.frames.size()));
    EXPECT_EQ(rig.client_log.frames, Numbers(rig.client_log.frames.size()));
    delivered.insert(rig.server_log.frames.size());
    EXPECT_EQ(rig.world.network().open_connections(), 0u);
  }
  EXPECT_GT(delivered.size(), 5u);
}

TEST(SimNetworkTest, BetweenConnectionsThereIsNoOrder) {
  bool in_order = false;
  bool out_of_order = false;
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Rig rig(seed);
    ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
    End* first = rig.client;
    ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
    first->connection()->Send("first", Buffer());
    rig.client->connection()->Send("second", Buffer());
    rig.Run(absl::Seconds(1));
    ASSERT_EQ(rig.server_log.frames.size(), 2u);
    (rig.server_log.frames[0] == "first" ? in_order : out_of_order) = true;
  }
  EXPECT_TRUE(in_order);
  EXPECT_TRUE(out_of_order);
}

TEST(SimNetworkTest, SendingToAnEndThatHasGoneGivesALostConnection) {
  int finished = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rig rig(seed);
    ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
    rig.client->connection()->Close();
    rig.Run(absl::Seconds(1));
    if (!rig.server_log.finished) continue;
    ++finished;
    EXPECT_FALSE(rig.server_log.closed.has_value());
    rig.server->end(0)->connection()->Send("anybody?", Buffer());
    rig.Run(absl::Seconds(1));
    EXPECT_EQ(rig.server_log.closed, ErrorCode::kConnectionLost);
  }
  EXPECT_GT(finished, 0);
  EXPECT_LT(finished, 20);
}

TEST(SimNetworkTest, ZombiesArriveAfterANewerConnectionWorks) {
  int late = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rig rig(seed);
    ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
    rig.SendNumbers(rig.client, 3);
    rig.Run(absl::Microseconds(1));
    rig.world.network().ResetWithZombies("client", "server", absl::Seconds(120));
    rig.Run(absl::Milliseconds(50));
    EXPECT_EQ(rig.client_log.closed, ErrorCode::kConnectionLost) << "the sender knows";
    const bool zombies_later = rig.server_log.frames.empty();
    ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
    rig.client->connection()->Send("newer", Buffer());
    rig.Run(absl::Milliseconds(10));
    if (zombies_later && rig.server_log.frames.size() == 1) {
      ++late;
      EXPECT_EQ(rig.server_log.frames[0], "newer");
      EXPECT_FALSE(rig.server_log.closed.has_value());
    }
    rig.Run(absl::Seconds(121));
    EXPECT_EQ(rig.server_log.frames.size(), 4u) << "nothing that was sent is lost";
    EXPECT_EQ(rig.server_log.closed, ErrorCode::kConnectionLost);
    EXPECT_EQ(rig.world.scheduler().faults().of("network.zombie"), 1u);
  }
  EXPECT_GT(late, 15);
}

TEST(SimNetworkTest, ADeadSendersFramesMayBecomeZombies) {
  int late = 0;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rig rig(seed);
    ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
    rig.world.network().SetConditions("client", "server", {.zombies = 1'000});
    rig.SendNumbers(rig.client, 10);
    rig.Run(absl::Microseconds(1));
    rig.client_process->Crash();
    rig.Run(absl::Seconds(1));
    const size_t before = rig.server_log.frames.size();
    rig.Run(absl::Seconds(120));
    if (rig.server_log.frames.size() > before) ++late;
    EXPECT_EQ(rig.server_log.closed, ErrorCode::kConnectionLost);
  }
  EXPECT_GT(late, 5);
}

TEST(SimNetworkTest, TheOtherEndOfAHalfOpenConnectionLearnsWhenItSends) {
  Rig rig(1);
  ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
  rig.world.network().HalfOpen("client", "server", SimNetwork::Silence::kUntilItSends);
  rig.Run(absl::Minutes(10));
  EXPECT_EQ(rig.client_log.closed, ErrorCode::kConnectionLost);
  EXPECT_FALSE(rig.server_log.closed.has_value());
  rig.server->end(0)->connection()->Send("anybody?", Buffer());
  rig.Run(absl::Seconds(1));
  EXPECT_EQ(rig.server_log.closed, ErrorCode::kConnectionLost);
}

TEST(SimNetworkTest, TheOtherEndOfASilentConnectionNeverLearns) {
  Rig rig(1);
  ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
  rig.world.network().HalfOpen("client", "server", SimNetwork::Silence::kForever);
  const Buffer body = Buffer::FromString(std::string(100'000, 'x'));
  rig.Run(absl::Seconds(1));
  for (int i = 0; i < 20; ++i) rig.server->end(0)->connection()->Send("", body);
  rig.Run(absl::Minutes(10));
  EXPECT_EQ(rig.client_log.closed, ErrorCode::kConnectionLost);
  EXPECT_FALSE(rig.server_log.closed.has_value());
  EXPECT_GT(rig.server->end(0)->connection()->queued_bytes(), 1'000'000u)
      << "nothing is acknowledged";
}

TEST(SimNetworkTest, AShutWindowStopsTheReaderAndFillsTheQueueOfItsPeer) {
  Rig rig(1);
  ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
  rig.world.network().ShutWindow("server");
  const Buffer body = Buffer::FromString(std::string(100'000, 'x'));
  for (int i = 0; i < 20; ++i) rig.client->connection()->Send("", body);
  rig.Run(absl::Minutes(1));
  EXPECT_TRUE(rig.server_log.frames.empty());
  EXPECT_GT(rig.client->connection()->queued_bytes(), 1'000'000u);
  rig.world.network().OpenWindow("server");
  rig.Run(absl::Seconds(1));
  EXPECT_EQ(rig.server_log.frames.size(), 20u);
}

TEST(SimNetworkTest, ASlowLinkCarriesSoManyBytesInASecond) {
  Rig rig(1);
  ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
  rig.world.network().SetConditions("client", "server", {.bytes_per_second = 100'000});
  const Buffer body = Buffer::FromString(std::string(50'000, 'x'));
  for (int i = 0; i < 20; ++i) rig.client->connection()->Send("", body);
  rig.Run(absl::Seconds(5));
  EXPECT_GE(rig.server_log.frames.size(), 8u);
  EXPECT_LE(rig.server_log.frames.size(), 10u);
  rig.Run(absl::Seconds(6));
  EXPECT_EQ(rig.server_log.frames.size(), 20u);
}

TEST(SimNetworkTest, BadConditionsDelayAndKeepTheOrder) {
  for (uint64_t seed = 0; seed < 5; ++seed) {
    Rig rig(seed);
    ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
    rig.world.network().SetConditions(
        "client", "server", {.delay_tail = absl::Milliseconds(20), .spikes = 100, .stalls = 100});
    for (int i = 0; i < 100; ++i) {
      rig.client->connection()->Send(StrCat(i), Buffer());
      rig.Run(absl::Milliseconds(1));
    }
    rig.Run(absl::Minutes(1));
    EXPECT_EQ(rig.server_log.frames, Numbers(100));
    EXPECT_GT(rig.world.scheduler().faults().of("network.spike"), 0u);
    EXPECT_GT(rig.world.scheduler().faults().of("network.stall"), 0u);
  }
}

TEST(SimNetworkTest, FlippedBitsArrive) {
  Rig rig(1);
  ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
  rig.world.network().SetConditions("client", "server", {.flips = 500});
  for (int i = 0; i < 100; ++i) rig.client->connection()->Send("frame", Buffer());
  rig.Run(absl::Seconds(1));
  ASSERT_EQ(rig.server_log.frames.size(), 100u);
  const auto whole =
      std::count(rig.server_log.frames.begin(), rig.server_log.frames.end(), "frame");
  EXPECT_GT(whole, 20);
  EXPECT_LT(whole, 80);
}

TEST(SimNetworkTest, AFlakyLinkBreaksItsConnectionsBehindAFrame) {
  Rig rig(1);
  rig.world.network().SetConditions("client", "server", {.resets = 500});
  int broken = 0;
  for (int i = 0; i < 20; ++i) {
    rig.client_log.closed.reset();
    ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
    rig.client->connection()->Send("frame", Buffer());
    rig.Run(absl::Seconds(1));
    if (!rig.client_log.closed.has_value()) continue;
    EXPECT_EQ(*rig.client_log.closed, ErrorCode::kConnectionLost);
    ++broken;
  }
  EXPECT_GT(broken, 0);
  EXPECT_LT(broken, 20);
  EXPECT_LT(rig.server_log.frames.size(), 20u);
  EXPECT_GT(rig.server_log.frames.size(), 0u);
}

TEST(SimNetworkTest, AttemptsToConnectFailInTheWaysOfTheWorld) {
  using Connect = LinkConditions::Connect;
  Rig rig(1);
  const auto set = [&](Connect connect) {
    rig.world.network().SetConditions("client", "server", {.connect = connect});
  };
  set(Connect::kRefused);
  EXPECT_EQ(rig.Connect(), ErrorCode::kConnectionLost);
  set(Connect::kBlackholed);
  EXPECT_EQ(rig.Connect(absl::Seconds(3)), ErrorCode::kDeadline);
  set(Connect::kSlow);
  EXPECT_EQ(rig.Connect(absl::Milliseconds(100)), ErrorCode::kDeadline);
  EXPECT_EQ(rig.Connect(absl::Seconds(12)), ErrorCode::kOk);
  set(Connect::kAcceptedThenReset);
  rig.server_log = {};
  rig.Connect();
  rig.Run(absl::Seconds(1));
  EXPECT_EQ(rig.server_log.closed, ErrorCode::kConnectionLost);
  rig.world.network().HealAllFaults();
  EXPECT_EQ(rig.Connect(), ErrorCode::kOk);
}

TEST(SimNetworkTest, SwizzleClogBlocksAndFreesAll) {
  Rig rig(1);
  ASSERT_EQ(rig.Connect(), ErrorCode::kOk);
  rig.world.network().SwizzleClog({{"client", "server"}, {"server", "client"}}, absl::Seconds(10));
  rig.Run(absl::Seconds(5));
  rig.SendNumbers(rig.client, 5);
  rig.Run(absl::Microseconds(1));
  EXPECT_TRUE(rig.server_log.frames.empty());
  rig.Run(absl::Seconds(6));
  EXPECT_EQ(rig.server_log.frames, Numbers(5));
  EXPECT_EQ(rig.world.scheduler().faults().of("network.swizzle"), 2u);
}

}  // namespace
}  // namespace stele::simulation
