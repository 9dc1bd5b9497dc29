// A MetadataWorld on a real shard; a driver's contract test adds how its stores are opened.
#pragma once

#include <utility>

#include <gtest/gtest.h>

#include "common/async/task_scope.h"
#include "common/real/shard.h"
#include "metadata/contract/metadata_world.h"

namespace stele::metadata {

class RealMetadataWorld : public MetadataWorld {
 public:
  Executor* executor() override { return shard_.executor(); }
  std::string root() override { return "/contract"; }

  void RunToEnd(Task<void> task) override {
    TaskScope scope(shard_.executor());
    shard_.executor()->PostFromAnyThread([this, &scope, task = std::move(task)]() mutable {
      scope.Spawn(RunAndStop(std::move(task)));
    });
    bool in_time = true;
    const auto timer = shard_.env().clock->CallAt(shard_.env().clock->Now() + kPatience, [&] {
      in_time = false;
      shard_.RequestStop();
    });
    shard_.Run();
    EXPECT_TRUE(in_time) << "the scenario hangs";
  }

 protected:
  real::Shard* shard() { return &shard_; }
  Clock* clock() { return shard_.env().clock; }

 private:
  // Only a scenario that hangs waits for it; enough for a loaded machine with sanitizers.
  static constexpr absl::Duration kPatience = absl::Seconds(30);

  Task<void> RunAndStop(Task<void> task) {
    co_await std::move(task);
    shard_.RequestStop();
  }

  real::Shard shard_;
};

}  // namespace stele::metadata
