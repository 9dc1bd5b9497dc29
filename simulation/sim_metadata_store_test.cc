#include "simulation/sim_metadata_store.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "common/async/task_scope.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/seams/contract/co_assert.h"
#include "metadata/contract/metadata_store_contract.h"
#include "simulation/world.h"

namespace stele::metadata {
namespace {

class SimMetadataWorld : public MetadataWorld {
 public:
  explicit SimMetadataWorld(uint64_t seed)
      : world_({.seed = seed}), process_(world_.AddProcess(world_.AddMachine("m"), "p")) {}

  Executor* executor() override { return process_->executor(); }
  Task<absl::StatusOr<std::unique_ptr<MetadataStore>>> Open() override {
    co_return world_.NewMetadataStore(process_);
  }
  std::string root() override { return "/test"; }
  void RunToEnd(Task<void> task) override {
    const absl::Status status = world_.RunToEnd(process_, std::move(task));
    EXPECT_TRUE(status.ok()) << status;
  }

 private:
  simulation::World world_;
  simulation::SimProcess* process_;
};

template <uint64_t kSeed>
std::unique_ptr<MetadataWorld> MakeWorld() {
  return std::make_unique<SimMetadataWorld>(kSeed);
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Simulated, MetadataStoreContract,
                         testing::Values(MetadataWorldKind{"Seed1", MakeWorld<1>},
                                         MetadataWorldKind{"Seed2", MakeWorld<2>},
                                         MetadataWorldKind{"Seed3", MakeWorld<3>}),
                         MetadataWorldName());

}  // namespace stele::metadata

namespace stele::simulation {
namespace {

using metadata::kAnyVersion;
using metadata::MetadataStore;
using metadata::Node;
using metadata::NodeKind;
using metadata::SessionState;

// Two processes, a and b, each with a store.
struct Rig {
  explicit Rig(uint64_t seed = 1)
      : world({.seed = seed}),
        machine(world.AddMachine("m")),
        a(world.AddProcess(machine, "a")),
        b(world.AddProcess(machine, "b")),
        store_a(a->Own(world.NewMetadataStore(a))),
        store_b(b->Own(world.NewMetadataStore(b))) {}

  void Run(absl::Duration duration) { EXPECT_TRUE(world.scheduler().RunFor(duration).ok()); }
  void RunToEnd(SimProcess* process, Task<void> task) {
    const absl::Status status = world.RunToEnd(process, std::move(task));
    EXPECT_TRUE(status.ok()) << status;
  }
  SimMetadataServer& server() { return world.metadata(); }

  World world;
  SimMachine* machine;
  SimProcess* a;
  SimProcess* b;
  MetadataStore* store_a;
  MetadataStore* store_b;
};

// An operation's outcome, for one that a test lets wait.
struct Outcome {
  std::optional<ErrorCode> code;
  Effect effect = Effect::kNone;
  std::string value;
};

Task<void> Create(MetadataStore* store, std::string path, std::string value, NodeKind kind,
                  Outcome* outcome) {
  const absl::Status status = co_await store->Create(path, value, kind);
  *outcome = {CodeOf(status), EffectOf(status)};
}

Task<void> Get(MetadataStore* store, std::string path, Outcome* outcome) {
  const absl::StatusOr<Node> node = co_await store->Get(path);
  *outcome = {CodeOf(node.status()), EffectOf(node.status()), node.ok() ? node->value : ""};
}

Task<void> Put(MetadataStore* store, std::string path, std::string value, Outcome* outcome) {
  const absl::Status status = (co_await store->Put(path, value, kAnyVersion)).status();
  *outcome = {CodeOf(status), EffectOf(status)};
}

Outcome Create(Rig& rig, SimProcess* process, MetadataStore* store, std::string path,
               NodeKind kind = NodeKind::kPersistent) {
  Outcome outcome;
  rig.RunToEnd(process, Create(store, std::move(path), "value", kind, &outcome));
  return outcome;
}

ErrorCode GetCode(Rig& rig, SimProcess* process, MetadataStore* store, std::string path) {
  Outcome outcome;
  rig.RunToEnd(process, Get(store, std::move(path), &outcome));
  return *outcome.code;
}

TEST(SimMetadataTest, ReadsMayFailAndWritesGoOn) {
  Rig rig;
  rig.server().FailReads(rig.a, 1'000);
  EXPECT_EQ(Create(rig, rig.a, rig.store_a, "/x").code, ErrorCode::kOk);
  EXPECT_EQ(GetCode(rig, rig.a, rig.store_a, "/x"), ErrorCode::kMetadataUnavailable);
  EXPECT_EQ(GetCode(rig, rig.b, rig.store_b, "/x"), ErrorCode::kOk);
  rig.server().Heal();
  EXPECT_EQ(GetCode(rig, rig.a, rig.store_a, "/x"), ErrorCode::kOk);
}

TEST(SimMetadataTest, ALostReplyHidesAWriteThatWasApplied) {
  Rig rig;
  rig.server().LoseReplies(rig.a, 1);
  const Outcome outcome = Create(rig, rig.a, rig.store_a, "/x");
  EXPECT_EQ(outcome.code, ErrorCode::kMetadataUnavailable);
  EXPECT_EQ(outcome.effect, Effect::kUnknown);
  EXPECT_EQ(GetCode(rig, rig.b, rig.store_b, "/x"), ErrorCode::kOk);
  EXPECT_EQ(Create(rig, rig.a, rig.store_a, "/x").code, ErrorCode::kKeyExists);
}

TEST(SimMetadataTest, ALostRequestIsNeverApplied) {
  Rig rig;
  rig.server().LoseRequests(rig.a, 1);
  const Outcome outcome = Create(rig, rig.a, rig.store_a, "/x");
  EXPECT_EQ(outcome.code, ErrorCode::kMetadataUnavailable);
  EXPECT_EQ(outcome.effect, Effect::kUnknown);
  rig.Run(absl::Minutes(1));
  EXPECT_EQ(GetCode(rig, rig.b, rig.store_b, "/x"), ErrorCode::kNoSuchKey);
  EXPECT_EQ(Create(rig, rig.a, rig.store_a, "/x").code, ErrorCode::kOk);
}

// As with a real connection: the caller knows soon, the session stays, and so do its watches.
TEST(SimMetadataTest, WhatIsLostIsLostWithItsConnectionOnly) {
  Rig rig;
  EXPECT_EQ(Create(rig, rig.a, rig.store_a, "/mine", NodeKind::kEphemeral).code, ErrorCode::kOk);
  std::vector<SessionState> states;
  const auto watch =
      rig.store_a->WatchSession([&states](SessionState state) { states.push_back(state); });
  rig.server().LoseReplies(rig.a, 1);
  const MonotonicTime begin = rig.world.scheduler().Now();
  EXPECT_EQ(Create(rig, rig.a, rig.store_a, "/x").effect, Effect::kUnknown);
  EXPECT_LT(rig.world.scheduler().Now() - begin, absl::Milliseconds(100));
  rig.Run(absl::Minutes(1));
  EXPECT_EQ(states, (std::vector{SessionState::kDisconnected, SessionState::kConnected}));
  EXPECT_EQ(GetCode(rig, rig.b, rig.store_b, "/mine"), ErrorCode::kOk);
}

TEST(SimMetadataTest, OperationsWaitForTheReconnect) {
  Rig rig;
  rig.server().Disconnect(rig.a);
  rig.Run(absl::Seconds(1));
  Outcome created;
  Outcome got;
  rig.a->Spawn(Create(rig.store_a, "/x", "v", NodeKind::kPersistent, &created));
  rig.a->Spawn(Get(rig.store_a, "/y", &got));
  rig.Run(absl::Seconds(2));
  EXPECT_FALSE(created.code.has_value());
  EXPECT_FALSE(got.code.has_value());
  rig.server().Reconnect(rig.a);
  rig.Run(absl::Seconds(1));
  EXPECT_EQ(created.code, ErrorCode::kOk);
  EXPECT_EQ(got.code, ErrorCode::kNoSuchKey);
}

TEST(SimMetadataTest, OperationsThatWereNotSentFailWithoutEffect) {
  Rig rig;
  rig.server().Disconnect(rig.a);
  rig.Run(absl::Seconds(1));
  const Outcome outcome = Create(rig, rig.a, rig.store_a, "/x");
  EXPECT_EQ(outcome.code, ErrorCode::kMetadataUnavailable);
  EXPECT_EQ(outcome.effect, Effect::kNone);
}

TEST(SimMetadataTest, AWriteInFlightWhenTheLinkBreaksMayHaveBeenApplied) {
  int applied = 0;
  int answered = 0;
  for (uint64_t seed = 0; seed < 60; ++seed) {
    Rig rig(seed);
    Outcome created;
    Outcome got;
    rig.a->Spawn(Create(rig.store_a, "/x", "v", NodeKind::kPersistent, &created));
    rig.a->Spawn(Get(rig.store_a, "/y", &got));
    rig.Run(absl::Microseconds(SimRandom(seed).Child("cut").Below(3'000)));
    rig.server().Disconnect(rig.a);
    rig.Run(absl::Seconds(1));
    rig.server().Reconnect(rig.a);
    rig.Run(absl::Seconds(1));
    EXPECT_EQ(got.code, ErrorCode::kNoSuchKey) << "reads are asked again";
    ASSERT_TRUE(created.code.has_value());
    if (created.code == ErrorCode::kOk) {
      ++answered;
      continue;
    }
    EXPECT_EQ(created.code, ErrorCode::kMetadataUnavailable);
    EXPECT_EQ(created.effect, Effect::kUnknown);
    if (GetCode(rig, rig.b, rig.store_b, "/x") == ErrorCode::kOk) ++applied;
  }
  EXPECT_GT(applied, 0);
  EXPECT_GT(answered, 0);
  EXPECT_LT(applied + answered, 60);
}

TEST(SimMetadataTest, ACrashLeavesEphemeralNodesUntilTheSessionTimesOut) {
  Rig rig;
  ASSERT_EQ(Create(rig, rig.a, rig.store_a, "/x", NodeKind::kEphemeral).code, ErrorCode::kOk);
  rig.a->Crash();
  rig.a->Restart();
  MetadataStore* again = rig.a->Own(rig.world.NewMetadataStore(rig.a));
  EXPECT_EQ(Create(rig, rig.a, again, "/x", NodeKind::kEphemeral).code, ErrorCode::kKeyExists)
      << "its own old session is in its way";
  rig.Run(absl::Seconds(9));
  EXPECT_EQ(GetCode(rig, rig.b, rig.store_b, "/x"), ErrorCode::kOk);
  rig.Run(absl::Seconds(2));
  EXPECT_EQ(GetCode(rig, rig.b, rig.store_b, "/x"), ErrorCode::kNoSuchKey);
  EXPECT_EQ(Create(rig, rig.a, again, "/x", NodeKind::kEphemeral).code, ErrorCode::kOk);
}

struct SessionLog {
  explicit SessionLog(MetadataStore* store)
      : watch(store->WatchSession([this](SessionState state) { states.push_back(state); })) {}
  std::vector<SessionState> states;
  std::unique_ptr<metadata::Watch> watch;
};

TEST(SimMetadataTest, AShortDisconnectKeepsTheSession) {
  Rig rig;
  SessionLog log(rig.store_a);
  ASSERT_EQ(Create(rig, rig.a, rig.store_a, "/x", NodeKind::kEphemeral).code, ErrorCode::kOk);
  rig.server().Disconnect(rig.a);
  rig.Run(absl::Seconds(9));
  EXPECT_EQ(log.states, std::vector<SessionState>{SessionState::kDisconnected});
  EXPECT_EQ(GetCode(rig, rig.b, rig.store_b, "/x"), ErrorCode::kOk);
  rig.server().Reconnect(rig.a);
  rig.Run(absl::Minutes(1));
  EXPECT_EQ(log.states,
            (std::vector<SessionState>{SessionState::kDisconnected, SessionState::kConnected}));
  EXPECT_EQ(GetCode(rig, rig.b, rig.store_b, "/x"), ErrorCode::kOk);
}

TEST(SimMetadataTest, ALongDisconnectEndsTheSessionBeforeTheClientKnows) {
  Rig rig;
  SessionLog log(rig.store_a);
  ASSERT_EQ(Create(rig, rig.a, rig.store_a, "/x", NodeKind::kEphemeral).code, ErrorCode::kOk);
  rig.server().Disconnect(rig.a);
  rig.Run(absl::Seconds(30));
  EXPECT_EQ(log.states, std::vector<SessionState>{SessionState::kDisconnected});
  EXPECT_EQ(GetCode(rig, rig.b, rig.store_b, "/x"), ErrorCode::kNoSuchKey);
  rig.server().Reconnect(rig.a);
  rig.Run(absl::Seconds(1));
  EXPECT_EQ(log.states,
            (std::vector<SessionState>{SessionState::kDisconnected, SessionState::kExpired,
                                       SessionState::kConnected}));
  EXPECT_EQ(Create(rig, rig.a, rig.store_a, "/x", NodeKind::kEphemeral).code, ErrorCode::kOk);
  EXPECT_EQ(rig.server().open_sessions(), 2u);
}

TEST(SimMetadataTest, ExpireTakesEphemeralNodesAtOnceAndGivesANewSession) {
  Rig rig;
  SessionLog log(rig.store_a);
  ASSERT_EQ(Create(rig, rig.a, rig.store_a, "/x", NodeKind::kEphemeral).code, ErrorCode::kOk);
  rig.server().Expire(rig.a);
  EXPECT_EQ(GetCode(rig, rig.b, rig.store_b, "/x"), ErrorCode::kNoSuchKey);
  rig.Run(absl::Seconds(1));
  ASSERT_GE(log.states.size(), 2u);
  EXPECT_EQ(log.states[log.states.size() - 2], SessionState::kExpired);
  EXPECT_EQ(log.states.back(), SessionState::kConnected);
  EXPECT_EQ(Create(rig, rig.a, rig.store_a, "/x", NodeKind::kEphemeral).code, ErrorCode::kOk);
}

TEST(SimMetadataTest, WatchesMissNothingAcrossDisconnectsAndExpiries) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rig rig(seed);
    int rings = 0;
    const auto watch = rig.store_a->WatchNode("/x", [&rings] { ++rings; });
    const auto children = rig.store_a->WatchChildren("/", [&rings] { ++rings; });
    rig.Run(absl::Seconds(1));
    EXPECT_EQ(rings, 2);
    rig.server().Disconnect(rig.a);
    ASSERT_EQ(Create(rig, rig.b, rig.store_b, "/x").code, ErrorCode::kOk);
    rig.Run(absl::Seconds(seed % 2 == 0 ? 1 : 20));
    EXPECT_EQ(rings, 2);
    rig.server().Reconnect(rig.a);
    rig.Run(absl::Seconds(1));
    EXPECT_GE(rings, 4);
    const int before = rings;
    rig.server().Expire(rig.a);
    Outcome created;
    rig.b->Spawn(Create(rig.store_b, "/x/y", "", NodeKind::kPersistent, &created));
    rig.b->Spawn(Create(rig.store_b, "/z", "", NodeKind::kPersistent, &created));
    rig.Run(absl::Seconds(1));
    EXPECT_GT(rings, before);
  }
}

TEST(SimMetadataTest, AnEventThatIsLostWithItsLinkDoesNotSilenceTheWatch) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rig rig(seed);
    int rings = 0;
    const auto watch = rig.store_a->WatchNode("/x", [&rings] { ++rings; });
    rig.Run(absl::Seconds(1));
    ASSERT_EQ(Create(rig, rig.b, rig.store_b, "/x").code, ErrorCode::kOk);
    rig.server().Disconnect(rig.a);  // perhaps with the event under way
    rig.Run(absl::Seconds(1));
    rig.server().Reconnect(rig.a);
    rig.Run(absl::Seconds(1));
    EXPECT_GE(rings, 2);
    const int before = rings;
    Outcome put;
    rig.RunToEnd(rig.b, Put(rig.store_b, "/x", "new", &put));
    rig.Run(absl::Seconds(1));
    EXPECT_EQ(rings, before + 1);
  }
}

// Reads until the node has `value`; by then the watch must have rung.
Task<void> ReadUntil(MetadataStore* store, std::string path, std::string value, const int* rings) {
  const int before = *rings;
  for (;;) {
    STELE_CO_ASSIGN(const Node node, co_await store->Get(path));
    if (node.value == value) break;
  }
  EXPECT_GT(*rings, before);
}

TEST(SimMetadataTest, AnEventComesBeforeTheReadThatShowsTheChange) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    Rig rig(seed);
    ASSERT_EQ(Create(rig, rig.a, rig.store_a, "/x").code, ErrorCode::kOk);
    int rings = 0;
    const auto watch = rig.store_a->WatchNode("/x", [&rings] { ++rings; });
    rig.Run(absl::Seconds(1));
    Outcome put;
    rig.b->Spawn(Put(rig.store_b, "/x", "new", &put));
    rig.RunToEnd(rig.a, ReadUntil(rig.store_a, "/x", "new", &rings));
  }
}

Task<void> PutInOrder(SimProcess* process, MetadataStore* store) {
  TaskScope scope(process->executor());
  std::vector<Outcome> outcomes(10);
  for (size_t i = 0; i < outcomes.size(); ++i) {
    scope.Spawn(Put(store, "/x", StrCat(i), &outcomes[i]));
  }
  co_await scope.Join();
  STELE_CO_ASSIGN(const Node node, co_await store->Get("/x"));
  EXPECT_EQ(node.value, "9");
}

TEST(SimMetadataTest, RequestsOfOneSessionAreAppliedInTheOrderOfTheirCalls) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    Rig rig(seed);
    ASSERT_EQ(Create(rig, rig.a, rig.store_a, "/x").code, ErrorCode::kOk);
    rig.RunToEnd(rig.a, PutInOrder(rig.a, rig.store_a));
  }
}

TEST(SimMetadataTest, NoSessionTimesOutWhileTheServerIsDown) {
  Rig rig;
  ASSERT_EQ(Create(rig, rig.a, rig.store_a, "/x", NodeKind::kEphemeral).code, ErrorCode::kOk);
  rig.server().Stop();
  rig.a->Crash();
  rig.Run(absl::Minutes(5));
  rig.server().Start();
  rig.Run(absl::Seconds(9));
  EXPECT_EQ(GetCode(rig, rig.b, rig.store_b, "/x"), ErrorCode::kOk);
  rig.Run(absl::Seconds(2));
  EXPECT_EQ(GetCode(rig, rig.b, rig.store_b, "/x"), ErrorCode::kNoSuchKey);
}

TEST(SimMetadataTest, AServerThatComesBackHasEverythingAndEverySession) {
  Rig rig;
  SessionLog log(rig.store_a);
  ASSERT_EQ(Create(rig, rig.a, rig.store_a, "/x", NodeKind::kEphemeral).code, ErrorCode::kOk);
  rig.server().Stop();
  rig.Run(absl::Minutes(5));
  Outcome got;
  rig.b->Spawn(Get(rig.store_b, "/x", &got));
  rig.Run(absl::Seconds(1));
  EXPECT_FALSE(got.code.has_value());
  rig.server().Start();
  rig.Run(absl::Seconds(1));
  EXPECT_EQ(got.code, ErrorCode::kOk);
  EXPECT_EQ(log.states,
            (std::vector<SessionState>{SessionState::kDisconnected, SessionState::kConnected}));
  rig.Run(absl::Minutes(5));
  EXPECT_EQ(GetCode(rig, rig.b, rig.store_b, "/x"), ErrorCode::kOk);
}

TEST(SimMetadataTest, AStoreMadeWhileCutOffBeginsItsSessionLater) {
  Rig rig;
  rig.server().Disconnect(rig.a);
  MetadataStore* late = rig.a->Own(rig.world.NewMetadataStore(rig.a));
  SessionLog log(late);
  Outcome created;
  rig.a->Spawn(Create(late, "/x", "", NodeKind::kEphemeral, &created));
  rig.Run(absl::Seconds(5));
  EXPECT_FALSE(created.code.has_value());
  rig.server().Reconnect(rig.a);
  rig.Run(absl::Seconds(1));
  EXPECT_EQ(created.code, ErrorCode::kOk);
  EXPECT_EQ(log.states, std::vector<SessionState>{SessionState::kConnected});
}

Task<void> CloseAndMark(MetadataStore* store, bool* closed) {
  co_await store->Close();
  *closed = true;
}

TEST(SimMetadataTest, CloseEndsAlsoWithoutAServer) {
  Rig rig;
  rig.server().Stop();
  bool closed = false;
  rig.a->Spawn(CloseAndMark(rig.store_a, &closed));
  rig.Run(absl::Seconds(11));
  EXPECT_TRUE(closed);
}

}  // namespace
}  // namespace stele::simulation
