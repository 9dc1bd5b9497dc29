#include "client/internal/client_edge.h"

#include <memory>
#include <utility>

#include <gtest/gtest.h>

#include "client/internal/ledger_reader.h"
#include "client/testing/test_cluster.h"
#include "metadata/cluster_init.h"

namespace stele::client {
namespace {

// Tells who still holds a state at the moment when the shard may begin to let go of it.
class WatchingExecutor final : public Executor {
 public:
  WatchingExecutor(Executor* executor, std::weak_ptr<void> state)
      : executor_(executor), state_(std::move(state)) {}
  void Post(Job job) override { executor_->Post(std::move(job)); }
  void PostFromAnyThread(Job job) override {
    holders_ = state_.use_count();
    executor_->PostFromAnyThread(std::move(job));
  }
  void PostAtTurnEnd(Job job) override { executor_->PostAtTurnEnd(std::move(job)); }
  bool IsCurrent() const override { return false; }
  int64_t holders() const { return holders_; }

 private:
  Executor* executor_;
  std::weak_ptr<void> state_;
  int64_t holders_ = 0;
};

Task<void> Open(metadata::MetadataStore* store, std::optional<metadata::Cluster>* cluster) {
  auto opened = co_await metadata::OpenCluster(store, "/ledgers", std::nullopt);
  STELE_CHECK(opened.ok());
  *cluster = *std::move(opened);
}

// A state that dies on a thread of the user's takes timers and connections of the shard with it.
TEST(ClientEdgeTest, AHandleThatDiesKeepsNothingOfItsState) {
  TestCluster cluster;
  simulation::World& world = cluster.world();
  simulation::SimProcess* process = world.AddProcess(world.AddMachine("app"), "app");
  const auto store = world.NewMetadataStore(process);
  std::optional<metadata::Cluster> opened;
  ASSERT_TRUE(world.RunToEnd(process, Open(store.get(), &opened)).ok());
  auto token = std::make_shared<int>(0);
  Env env = world.env(process);
  WatchingExecutor executor(env.executor, token);
  env.executor = &executor;
  ClientCore core(env, store.get(), *std::move(opened), {});
  {
    const Lease<LedgerReader> lease(
        std::make_shared<ClientEdge>(&core, &executor),
        {.number = 1, .state = std::shared_ptr<LedgerReader>(std::move(token), nullptr)});
  }
  EXPECT_EQ(executor.holders(), 1);  // the job that gives it back
}

}  // namespace
}  // namespace stele::client
