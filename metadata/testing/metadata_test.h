// MetadataTest: a fixture with the simulated metadata server, a process whose store fails when the
// test wants it, and rivals.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "common/async/task.h"
#include "common/base/errors.h"
#include "common/seams/env.h"
#include "metadata/metadata_store.h"
#include "metadata/testing/scripted_store.h"
#include "simulation/world.h"

namespace stele::metadata {

class MetadataTest : public testing::Test {
 protected:
  using Op = ScriptedStore::Op;
  using Fault = ScriptedStore::Fault;

  MetadataTest()
      : machine_(world_.AddMachine("host")),
        process_(world_.AddProcess(machine_, "process")),
        other_process_(world_.AddProcess(world_.AddMachine("other-host"), "other")),
        env_(world_.env(process_)),
        session_(world_.NewMetadataStore(process_)),
        rival_session_(world_.NewMetadataStore(process_)),
        other_session_(world_.NewMetadataStore(other_process_)),
        store_(session_.get()) {}
  // What a test left waiting ends before what it waits for.
  ~MetadataTest() override {
    process_->Crash();
    other_process_->Crash();
  }

  // Runs the world until `task` ends, and gives its result.
  template <typename T>
  T Run(Task<T> task) {
    return RunIn(process_, std::move(task));
  }
  template <typename T>
  T RunIn(simulation::SimProcess* process, Task<T> task) {
    auto result = std::make_shared<std::optional<T>>();
    const absl::Status ended = world_.RunToEnd(process, Keep(std::move(task), result));
    EXPECT_TRUE(ended.ok()) << ended;
    return *std::move(*result);
  }
  // Runs what happens within `duration`.
  void RunFor(absl::Duration duration) { EXPECT_TRUE(world_.scheduler().RunFor(duration).ok()); }
  // Lets everything that is on its way arrive.
  void Settle() { RunFor(absl::Milliseconds(100)); }
  // Starts `task` and does not wait.
  template <typename T>
  std::shared_ptr<std::optional<T>> Start(Task<T> task) {
    auto result = std::make_shared<std::optional<T>>();
    process_->Spawn(Keep(std::move(task), result));
    return result;
  }

  // Of the node, or "(none)".
  std::string ValueOf(std::string path) {
    const auto node = Run(rival_session_->Get(std::move(path)));
    return node.ok() ? node->value : "(none)";
  }
  bool Exists(std::string path) { return Run(rival_session_->Get(std::move(path))).ok(); }
  void Put(std::string path, std::string value = "") {
    EXPECT_TRUE(
        Run(rival_session_->Create(std::move(path), std::move(value), NodeKind::kPersistent)).ok());
  }

 private:
  template <typename T>
  static Task<void> Keep(Task<T> task, std::shared_ptr<std::optional<T>> result) {
    *result = co_await std::move(task);
  }

 protected:
  simulation::World world_{{.seed = 1}};
  simulation::SimMachine* machine_;
  simulation::SimProcess* process_;
  simulation::SimProcess* other_process_;
  Env env_;  // of process_
  std::unique_ptr<MetadataStore> session_;
  std::unique_ptr<MetadataStore> rival_session_;  // also of process_: for what happens in between
  std::unique_ptr<MetadataStore> other_session_;  // of other_process_
  ScriptedStore store_;                           // on session_: what the tested code gets
};

}  // namespace stele::metadata
