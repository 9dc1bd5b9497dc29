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

class ZooKeeperOutageTest : public testing::Test {
 protected:
  ZooKeeperOutageTest() : scope_(shard_.executor()) {}

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

Task<void> CreateAndRecord(MetadataStore* store, std::string path, Recorder<absl::Status>* done) {
  done->Add(co_await store->Create(std::move(path), "", kPersistent));
}

TEST_F(ZooKeeperOutageTest, OperationsWaitForAServerThatComesBackAndNothingIsLost) {
  const auto store = Open();
  Recorder<SessionState> states(shard_.executor());
  Recorder<int> rings(shard_.executor());
  const auto session = store->WatchSession([&](SessionState state) { states.Add(state); });
  ASSERT_TRUE(Run(store->Create("/e", "", kEphemeral)).ok());
  const auto watch = store->WatchNode("/waiting", [&] { rings.Add(0); });
  Run(rings.WaitForCount(1));

  server_.Kill();
  Run(states.WaitForCount(2));
  Recorder<absl::Status> created(shard_.executor());
  shard_.executor()->PostFromAnyThread(
      [&] { scope_.Spawn(CreateAndRecord(store.get(), "/waiting", &created)); });
  server_.Restart();
  Run(created.WaitForCount(1));
  EXPECT_TRUE(created.items()[0].ok()) << created.items()[0];
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
