#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <signal.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/real/shard.h"
#include "integration_tests/child_process.h"
#include "metadata/drivers/testing/recorder.h"
#include "metadata/sqlite/sqlite_store.h"

namespace stele::metadata {
namespace {

using integration::ChildProcess;

class SqliteProcessesTest : public testing::Test {
 protected:
  SqliteProcessesTest() {
    directory_ = StrCat(std::getenv("TEST_TMPDIR"), "/",
                        testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(directory_);
  }
  ~SqliteProcessesTest() override { std::filesystem::remove_all(directory_); }

  std::string path() const { return directory_ + "/meta.db"; }
  std::string uri() const { return "sqlite://" + path(); }

  std::unique_ptr<MetadataStore> Open() {
    auto store = Run(OpenSqliteStore({.path = path(),
                                      .poll_interval = absl::Milliseconds(5),
                                      .sweep_interval = absl::Milliseconds(20)},
                                     shard_.executor(), shard_.env().clock));
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }

  std::unique_ptr<ChildProcess> Start(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(),
                     StrCat(std::getenv("TEST_SRCDIR"), "/", std::getenv("TEST_WORKSPACE"),
                            "/metadata/drivers/store_test_process"));
    return ChildProcess::Start({.argv = std::move(arguments)});
  }

  template <typename T>
  T Run(Task<T> task) {
    return shard_.RunUntil(std::move(task));
  }

  real::Shard shard_;
  std::string directory_;
};

TEST_F(SqliteProcessesTest, EphemeralNodesOfAKilledProcessVanish) {
  const auto store = Open();
  const auto child = Start({"hold", uri(), "/available/b1"});
  EXPECT_EQ(child->ReadLine(), "ready");
  EXPECT_EQ(child->ReadLine(), "done");
  EXPECT_EQ(Run(store->Get("/available/b1"))->owner, EphemeralOwner::kOther);
  Recorder<int> changes(shard_.executor());
  const auto watch = store->WatchNode("/available/b1", [&] { changes.Add(0); });
  Run(changes.WaitForCount(1));
  child->Signal(SIGKILL);
  EXPECT_EQ(child->Wait(), 128 + SIGKILL);
  EXPECT_EQ(CodeOf(Run(store->Get("/available/b1")).status()), ErrorCode::kNoSuchKey);
  Run(changes.WaitForCount(2));
}

TEST_F(SqliteProcessesTest, AStoppedProcessKeepsItsEphemeralNodes) {
  const auto store = Open();
  const auto child = Start({"hold", uri(), "/e"});
  EXPECT_EQ(child->ReadLine(), "ready");
  EXPECT_EQ(child->ReadLine(), "done");
  child->Signal(SIGSTOP);
  EXPECT_EQ(CodeOf(Run(store->Create("/e", "", NodeKind::kEphemeral))), ErrorCode::kKeyExists);
  child->Signal(SIGCONT);
  child->CloseStandardInput();
  EXPECT_EQ(child->Wait(), 0);
  EXPECT_TRUE(Run(store->Create("/e", "", NodeKind::kEphemeral)).ok());
}

TEST_F(SqliteProcessesTest, ANewStoreSweepsWhatAKilledProcessLeft) {
  {
    const auto child = Start({"hold", uri(), "/e"});
    EXPECT_EQ(child->ReadLine(), "ready");
    EXPECT_EQ(child->ReadLine(), "done");
  }
  const auto store = Open();
  EXPECT_EQ(CodeOf(Run(store->Get("/e")).status()), ErrorCode::kNoSuchKey);
}

TEST_F(SqliteProcessesTest, WatchesCrossProcesses) {
  const auto store = Open();
  const auto child = Start({"watch", uri(), "/node"});
  EXPECT_EQ(child->ReadLine(), "ready");
  EXPECT_EQ(child->ReadLine(), "changed");
  ASSERT_TRUE(Run(store->Create("/node", "", NodeKind::kPersistent)).ok());
  EXPECT_EQ(child->ReadLine(), "changed");
  ASSERT_TRUE(Run(store->Put("/node", "x", 0)).ok());
  EXPECT_EQ(child->ReadLine(), "changed");
  ASSERT_TRUE(Run(store->Delete("/node", 1)).ok());
  EXPECT_EQ(child->ReadLine(), "changed");
}

TEST_F(SqliteProcessesTest, IncrementsByEightProcessesAddUp) {
  constexpr int kProcesses = 8;
  constexpr int kIncrements = 10;
  const auto store = Open();
  ASSERT_TRUE(Run(store->Create("/counter", "0", NodeKind::kPersistent)).ok());
  std::vector<std::unique_ptr<ChildProcess>> children;
  for (int i = 0; i < kProcesses; ++i) {
    children.push_back(Start({"increment", uri(), "/counter", std::to_string(kIncrements)}));
  }
  for (const auto& child : children) {
    EXPECT_EQ(child->ReadLine(), "ready");
    EXPECT_EQ(child->ReadLine(), "done");
    EXPECT_EQ(child->Wait(), 0);
  }
  const auto node = Run(store->Get("/counter"));
  EXPECT_EQ(node->value, std::to_string(kProcesses * kIncrements));
  EXPECT_EQ(node->version, kProcesses * kIncrements);
}

TEST_F(SqliteProcessesTest, WhatAKilledProcessWasToldIsThere) {
  const auto store = Open();
  ASSERT_TRUE(Run(store->Create("/list", "", NodeKind::kPersistent)).ok());
  std::vector<std::string> told;
  for (int round = 0; round < 3; ++round) {
    const auto child = Start({"append", uri(), "/list"});
    EXPECT_EQ(child->ReadLine(), "ready");
    for (int i = 0; i < 10; ++i) told.push_back(child->ReadLine().value_or("nothing"));
    child->Signal(SIGKILL);
    child->Wait();
    while (auto line = child->ReadLine()) told.push_back(*std::move(line));
  }
  for (const std::string& made : told) EXPECT_TRUE(Run(store->Get(made)).ok()) << made;
}

}  // namespace
}  // namespace stele::metadata
