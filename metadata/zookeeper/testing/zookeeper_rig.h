// ZooKeeperRig: a test fixture with the store on FakeZooKeeper and the simulation's scheduler:
// ready jobs run in an order drawn from the seed, the test's parameter, and time is virtual.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "common/async/task_scope.h"
#include "metadata/zookeeper/testing/fake_zookeeper.h"
#include "metadata/zookeeper/zookeeper_store_internal.h"
#include "simulation/scheduler.h"
#include "simulation/sim_process.h"

namespace stele::metadata {

class ZooKeeperRig : public testing::TestWithParam<uint64_t> {
 protected:
  ZooKeeperRig()
      : scheduler_({.seed = GetParam()}),
        process_(scheduler_.AddProcess("store")),
        server_(process_->executor()),
        scope_(process_->executor()) {}

  std::unique_ptr<MetadataStore> Open(ZooKeeperStoreOptions options = {}) {
    return MakeZooKeeperStoreOn(server_.Factory(), options, process_->executor(),
                                process_->clock());
  }

  template <typename T>
  static Task<void> Keep(Task<T> task, std::optional<T>* result) {
    result->emplace(co_await std::move(task));
  }

  // The task runs when somebody runs the scheduler. As on a shard: from a job.
  template <typename T>
  std::unique_ptr<std::optional<T>> Start(Task<T> task) {
    auto result = std::make_unique<std::optional<T>>();
    process_->executor()->PostFromAnyThread(
        [this, result = result.get(), task = std::move(task)]() mutable {
          scope_.Spawn(Keep(std::move(task), result));
        });
    return result;
  }
  template <typename T>
  T Run(Task<T> task) {
    const auto result = Start(std::move(task));
    const absl::Status done = scheduler_.RunUntil([&] { return result->has_value(); });
    EXPECT_TRUE(done.ok()) << done;
    return **result;
  }
  void Run(Task<void> task) {
    bool done = false;
    process_->executor()->PostFromAnyThread(
        [&, task = std::move(task)]() mutable { scope_.Spawn(Mark(std::move(task), &done)); });
    const absl::Status status = scheduler_.RunUntil([&] { return done; });
    EXPECT_TRUE(status.ok()) << status;
  }
  static Task<void> Mark(Task<void> task, bool* done) {
    co_await std::move(task);
    *done = true;
  }
  void RunUntil(absl::FunctionRef<bool()> done) {
    const absl::Status status = scheduler_.RunUntil(done);
    EXPECT_TRUE(status.ok()) << status;
  }
  void RunFor(absl::Duration duration) { ASSERT_TRUE(scheduler_.RunFor(duration).ok()); }
  absl::Duration Elapsed() const { return scheduler_.Now() - MonotonicTime(); }

  // The next request of this kind has this fate.
  void Doom(FakeZooKeeper::Request request, FakeZooKeeper::Fate fate) {
    server_.decide = [this, request, fate](FakeZooKeeper::Request actual, const std::string&) {
      if (actual != request) return FakeZooKeeper::Fate::kServe;
      server_.decide = nullptr;
      return fate;
    };
  }

  simulation::Scheduler scheduler_;
  simulation::SimProcess* process_;
  FakeZooKeeper server_;
  TaskScope scope_;
};

}  // namespace stele::metadata
