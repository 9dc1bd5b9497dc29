// The driver and a real server that dies, comes back, forgets sessions, and serves several
// processes.
#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <signal.h>

#include "common/async/task_scope.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/shard.h"
#include "integration_tests/child_process.h"
#include "integration_tests/zookeeper_server.h"
#include "metadata/drivers/testing/recorder.h"
#include "metadata/zookeeper/testing/session_thief.h"
#include "metadata/zookeeper/zookeeper_store.h"

namespace stele::metadata {
namespace {

using integration::ChildProcess;
using States = std::vector<SessionState>;
constexpr NodeKind kPersistent = NodeKind::kPersistent;
constexpr NodeKind kEphemeral = NodeKind::kEphemeral;

absl::Status StatusOf(absl::Status status) { return status; }
template <typename T>
absl::Status StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

// Operations under names: which of them have been handed to the store, and what each gave.
struct Operations {
  struct Ended {
    std::string name;
    absl::Status status;
  };
  explicit Operations(Executor* executor) : begun(executor), ended(executor) {}

  absl::Status Of(const std::string& name) const {
    for (const Ended& operation : ended.items()) {
      if (operation.name == name) return operation.status;
    }
    return MakeError(ErrorCode::kNoSuchKey, StrCat(name, " has not ended"));
  }

  Recorder<std::string> begun;
  Recorder<Ended> ended;
};

template <typename Result>
Task<void> Follow(std::string name, Task<Result> operation, Operations* all) {
  all->begun.Add(name);
  const Result result = co_await std::move(operation);
  all->ended.Add({name, StatusOf(result)});
}

class ZooKeeperOutageTest : public testing::Test {
 protected:
  explicit ZooKeeperOutageTest(integration::ZooKeeperServer::Options options = {})
      : server_(options), scope_(shard_.executor()) {}

  std::unique_ptr<MetadataStore> Open(ZooKeeperStoreOptions options = {}) {
    options.servers = server_.connect_string();
    auto store = MakeZooKeeperStore(std::move(options), shard_.executor(), shard_.env().clock);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  template <typename T>
  T Run(Task<T> task) {
    return shard_.RunUntil(std::move(task));
  }

  template <typename Result>
  void Begin(std::string name, Task<Result> operation, Operations* all) {
    shard_.executor()->PostFromAnyThread(
        [this, name = std::move(name), operation = std::move(operation), all]() mutable {
          scope_.Spawn(Follow(std::move(name), std::move(operation), all));
        });
  }

  std::unique_ptr<ChildProcess> Start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     StrCat(std::getenv("TEST_SRCDIR"), "/", std::getenv("TEST_WORKSPACE"),
                            "/metadata/drivers/store_test_process"));
    return ChildProcess::Start({.argv = std::move(arguments)});
  }
  std::string uri() const { return StrCat("zk://", server_.connect_string(), "/ledgers"); }

  // The id of the only session that owns an ephemeral node.
  int64_t SessionWithEphemerals() const {
    // "Sessions with Ephemerals (1):\n0x10000abc:\n\t/path\n"
    const std::string dump = server_.Ask("dump");
    const size_t start = dump.find("0x", dump.find("Sessions with Ephemerals (1)"));
    EXPECT_NE(start, std::string::npos) << dump;
    return static_cast<int64_t>(std::stoull(dump.substr(start), nullptr, 16));
  }

  integration::ZooKeeperServer server_;
  real::Shard shard_;
  TaskScope scope_;
};

// A server that stops in the middle of its requests, dies with them, and comes back: it has read
// none of them, and cannot have answered any.
class ZooKeeperDeathTest : public ZooKeeperOutageTest {
 protected:
  // Sessions of ten seconds: they survive the server's absence.
  ZooKeeperDeathTest()
      : ZooKeeperOutageTest({.tick = absl::Milliseconds(500)}),
        states_(shard_.executor()),
        all_(shard_.executor()) {}

  // Returns when the server is dead and the store knows it. In flight are then "get", "create",
  // "create ephemeral", "put" and "delete"; "late create" was begun without a connection.
  void DieWithOperationsInFlight(ZooKeeperStoreOptions options) {
    store_ = Open(std::move(options));
    session_ = store_->WatchSession([this](SessionState state) { states_.Add(state); });
    ASSERT_TRUE(Run(store_->Create("/read", "value", kPersistent)).ok());
    ASSERT_TRUE(Run(store_->Create("/written", "old", kPersistent)).ok());
    ASSERT_TRUE(Run(store_->Create("/deleted", "", kPersistent)).ok());
    ASSERT_TRUE(Run(store_->Create("/own", "", kEphemeral)).ok());
    server_.Pause();
    Begin("get", store_->Get("/read"), &all_);
    Begin("create", store_->Create("/created", "", kPersistent), &all_);
    Begin("create ephemeral", store_->Create("/own-too", "", kEphemeral), &all_);
    Begin("put", store_->Put("/written", "new", 0), &all_);
    Begin("delete", store_->Delete("/deleted", 0), &all_);
    Run(all_.begun.WaitForCount(5));
    server_.Kill();
    Run(states_.WaitForCount(2));
    EXPECT_EQ(states_.items(), (States{SessionState::kConnected, SessionState::kDisconnected}));
    Begin("late create", store_->Create("/late", "", kPersistent), &all_);
    Run(all_.begun.WaitForCount(6));
    EXPECT_TRUE(all_.ended.items().empty());
  }

  Recorder<SessionState> states_;
  Operations all_;
  std::unique_ptr<MetadataStore> store_;
  std::unique_ptr<Watch> session_;
};

TEST_F(ZooKeeperDeathTest, OperationsInFlightWaitForTheServerAndAreThenDoneOnce) {
  ASSERT_NO_FATAL_FAILURE(DieWithOperationsInFlight({}));
  Recorder<int> rings(shard_.executor());
  const auto watch = store_->WatchNode("/created", [&] { rings.Add(0); });
  server_.Restart();
  Run(all_.ended.WaitForCount(6));
  for (const Operations::Ended& operation : all_.ended.items()) {
    EXPECT_TRUE(operation.status.ok()) << operation.name << ": " << operation.status;
  }
  EXPECT_EQ(states_.items(), (States{SessionState::kConnected, SessionState::kDisconnected,
                                     SessionState::kConnected}));
  EXPECT_EQ(Run(store_->Get("/written"))->value, "new");
  EXPECT_EQ(Run(store_->Get("/written"))->version, 1);
  EXPECT_EQ(CodeOf(Run(store_->Get("/deleted")).status()), ErrorCode::kNoSuchKey);
  for (const char* created : {"/created", "/late"}) EXPECT_TRUE(Run(store_->Get(created)).ok());
  for (const char* own : {"/own", "/own-too"}) {
    EXPECT_EQ(Run(store_->Get(own))->owner, EphemeralOwner::kThisSession) << own;
  }
  Run(rings.WaitForCount(1));
  Run(store_->Close());
}

TEST_F(ZooKeeperDeathTest, OperationsFailWhenItStaysAwayAndSayWhetherTheyMayHaveHappened) {
  ASSERT_NO_FATAL_FAILURE(DieWithOperationsInFlight({.operation_timeout = absl::Seconds(5)}));
  Run(all_.ended.WaitForCount(6));
  for (const Operations::Ended& operation : all_.ended.items()) {
    EXPECT_EQ(CodeOf(operation.status), ErrorCode::kMetadataUnavailable)
        << operation.name << ": " << operation.status;
  }
  for (const char* write : {"create", "create ephemeral", "put", "delete"}) {
    EXPECT_EQ(EffectOf(all_.Of(write)), Effect::kUnknown) << write;
  }
  EXPECT_EQ(EffectOf(all_.Of("get")), Effect::kNone);
  EXPECT_EQ(EffectOf(all_.Of("late create")), Effect::kNone) << "it was never sent";

  // The store goes on when the server does, and what was never read by it has not happened.
  server_.Restart();
  Run(states_.WaitUntil([](const States& seen) {
    return seen.size() > 2 && seen.back() == SessionState::kConnected;
  }));
  EXPECT_EQ(Run(store_->Get("/written"))->value, "old");
  for (const char* never : {"/created", "/own-too", "/late"}) {
    EXPECT_EQ(CodeOf(Run(store_->Get(never)).status()), ErrorCode::kNoSuchKey) << never;
  }
  EXPECT_TRUE(Run(store_->Delete("/deleted", 0)).ok());
  Run(store_->Close());
}

TEST_F(ZooKeeperOutageTest, AWatchRingsForWhatHappensAfterTheServerCameBack) {
  const auto store = Open();
  Recorder<SessionState> states(shard_.executor());
  Recorder<int> rings(shard_.executor());
  Operations all(shard_.executor());
  const auto session = store->WatchSession([&](SessionState state) { states.Add(state); });
  ASSERT_TRUE(Run(store->Create("/e", "", kEphemeral)).ok());
  const auto watch = store->WatchNode("/waiting", [&] { rings.Add(0); });
  Run(rings.WaitForCount(1));

  server_.Kill();
  Run(states.WaitForCount(2));
  Begin("create", store->Create("/waiting", "", kPersistent), &all);
  Run(all.begun.WaitForCount(1));
  EXPECT_TRUE(all.ended.items().empty());
  server_.Restart();
  Run(all.ended.WaitForCount(1));
  EXPECT_TRUE(all.Of("create").ok()) << all.Of("create");
  Run(rings.WaitForCount(2));
  EXPECT_EQ(states.items(), (States{SessionState::kConnected, SessionState::kDisconnected,
                                    SessionState::kConnected}));
  EXPECT_EQ(Run(store->Get("/e"))->owner, EphemeralOwner::kThisSession);
  Run(store->Close());
}

TEST_F(ZooKeeperOutageTest, AfterAnExpiryThereIsANewSessionWithAllWatches) {
  const auto store = Open();
  const auto other = Open();
  Recorder<SessionState> states(shard_.executor());
  Recorder<int> node_rings(shard_.executor());
  Recorder<int> children_rings(shard_.executor());
  const auto session = store->WatchSession([&](SessionState state) { states.Add(state); });
  ASSERT_TRUE(Run(store->Create("/available/b1", "", kEphemeral)).ok());
  const auto node = store->WatchNode("/available/b1", [&] { node_rings.Add(0); });
  const auto children = store->WatchChildren("/available", [&] { children_rings.Add(0); });
  Run(node_rings.WaitForCount(1));
  Run(children_rings.WaitForCount(1));

  EndSessionAtServer(server_.connect_string(), SessionWithEphemerals());
  // It may have come back to its session once, before that was closed.
  const States end = {SessionState::kDisconnected, SessionState::kExpired,
                      SessionState::kConnected};
  Run(states.WaitUntil([end](const States& seen) {
    return seen.size() >= 4 && std::equal(end.rbegin(), end.rend(), seen.rbegin());
  }));
  EXPECT_EQ(CodeOf(Run(other->Get("/available/b1")).status()), ErrorCode::kNoSuchKey);
  // The watches live in the new session.
  const size_t node_before = node_rings.items().size();
  const size_t children_before = children_rings.items().size();
  ASSERT_TRUE(Run(store->Create("/available/b1", "", kEphemeral)).ok());
  ASSERT_TRUE(Run(other->Create("/available/b2", "", kEphemeral)).ok());
  Run(node_rings.WaitForCount(node_before + 1));
  Run(children_rings.WaitForCount(children_before + 1));
  EXPECT_EQ(Run(store->Get("/available/b1"))->owner, EphemeralOwner::kThisSession);
  Run(store->Close());
  Run(other->Close());
}

TEST_F(ZooKeeperOutageTest, MoreWatchesThanTheServerTakesInOneRequestSurviveAReconnect) {
  const auto store = Open();
  // The server cuts a connection that asks for more than 1 MiB at once, each time again.
  constexpr size_t kWatches = 400;
  const std::string long_name(3'000, 'x');
  Recorder<int> rings(shard_.executor());
  std::vector<std::unique_ptr<Watch>> watches;
  for (size_t i = 0; i < kWatches; ++i) {
    watches.push_back(store->WatchNode(StrCat("/", long_name, i), [&] { rings.Add(0); }));
  }
  Run(rings.WaitForCount(kWatches));
  server_.Kill();
  server_.Restart();
  Run(rings.WaitForCount(2 * kWatches));
  ASSERT_TRUE(Run(store->Create(StrCat("/", long_name, 7), "", kPersistent)).ok());
  Run(rings.WaitForCount(2 * kWatches + 1));
  Run(store->Close());
}

TEST_F(ZooKeeperOutageTest, EphemeralNodesOfAKilledProcessVanishWithItsSession) {
  const auto store = Open();
  const auto child = Start({"hold", uri(), "/available/b1"});
  EXPECT_EQ(child->ReadLine(), "ready");
  EXPECT_EQ(child->ReadLine(), "done");
  EXPECT_EQ(Run(store->Get("/available/b1"))->owner, EphemeralOwner::kOther);
  Recorder<int> rings(shard_.executor());
  const auto watch = store->WatchNode("/available/b1", [&] { rings.Add(0); });
  Run(rings.WaitForCount(1));
  child->Signal(SIGKILL);
  Run(rings.WaitForCount(2));
  EXPECT_EQ(CodeOf(Run(store->Get("/available/b1")).status()), ErrorCode::kNoSuchKey);
  Run(store->Close());
}

TEST_F(ZooKeeperOutageTest, IncrementsByEightProcessesAddUp) {
  constexpr int kProcesses = 8;
  constexpr int kIncrements = 5;
  const auto store = Open();
  ASSERT_TRUE(Run(store->Create("/counter", "0", kPersistent)).ok());
  std::vector<std::unique_ptr<ChildProcess>> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.push_back(Start({"increment", uri(), "/counter", std::to_string(kIncrements)}));
  }
  for (const auto& child : children) {
    EXPECT_EQ(child->ReadLine(), "ready");
    EXPECT_EQ(child->ReadLine(), "done");
    EXPECT_EQ(child->Wait(), 0);
  }
  EXPECT_EQ(Run(store->Get("/counter"))->value, std::to_string(kProcesses * kIncrements));
  Run(store->Close());
}

TEST_F(ZooKeeperOutageTest, AStoreMayBeDestroyedWithoutBeingClosed) {
  auto store = Open();
  ASSERT_TRUE(Run(store->Create("/n", "", kPersistent)).ok());
  auto never_connected = Open();
  never_connected.reset();
  store.reset();
  server_.Kill();
  Open().reset();
}

}  // namespace
}  // namespace stele::metadata
