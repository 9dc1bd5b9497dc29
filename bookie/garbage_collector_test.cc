// What garbage collection removes from a whole bookie, and what it must keep.
#include "bookie/garbage_collector.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/testing/bookie_world.h"
#include "common/base/errors.h"
#include "metadata/cluster_init.h"

namespace stele::bookie {
namespace {

using wire::ReplyCode;

constexpr LedgerId kLedger{7};
const LedgerRequests kRequests{kLedger};
constexpr std::string_view kIndexFile = "/data/ledgers/current/0/7/7.idx";
constexpr std::string_view kEntryLog = "/data/ledgers/current/0.log";

TEST(GarbagePlanTest, AbsentInTwoPassesOneAfterTheOther) {
  GarbagePlan plan;
  plan.BeginPass();
  EXPECT_FALSE(plan.OnAbsent(LedgerId(1)));
  EXPECT_FALSE(plan.OnAbsent(LedgerId(1)));
  plan.BeginPass();
  EXPECT_TRUE(plan.OnAbsent(LedgerId(1)));
  EXPECT_FALSE(plan.OnAbsent(LedgerId(2)));
  plan.BeginPass();  // of which nobody heard of 1
  plan.BeginPass();
  EXPECT_FALSE(plan.OnAbsent(LedgerId(1)));
}

TEST(GarbagePlanTest, AtMostATenthGoesInOnePass) {
  EXPECT_EQ(GarbagePlan::RemovedPerPassMax(0), 1'000u);
  EXPECT_EQ(GarbagePlan::RemovedPerPassMax(10'000), 1'000u);
  EXPECT_EQ(GarbagePlan::RemovedPerPassMax(10'010), 1'001u);
}

Task<void> SetInMetadata(BookieWorld* world, metadata::MetadataStore* store, bool exists) {
  auto cluster = co_await metadata::OpenCluster(store, world->options().ledgers_root, std::nullopt);
  EXPECT_TRUE(cluster.ok()) << cluster.status();
  metadata::LedgerManager ledgers(world->peer_env(), store, cluster->layout);
  if (exists) {
    auto fields = metadata::LedgerMetadata::Create(
        {.replication = {.ensemble_size = 1, .write_quorum_size = 1, .ack_quorum_size = 1},
         .fragments = {{.first_entry = EntryId(0), .ensemble = {BookieId("bookie:3181")}}}});
    EXPECT_TRUE(fields.ok()) << fields.status();
    const auto created = co_await ledgers.CreateWithId(kLedger, *fields);
    EXPECT_TRUE(created.ok()) << created.status();
  } else {
    const absl::Status deleted = co_await ledgers.Delete(kLedger, metadata::kAnyVersion);
    EXPECT_TRUE(deleted.ok()) << deleted;
  }
}

Task<void> RemoveFile(Env env, std::string path) {
  const absl::Status removed = co_await env.files->Remove(path);
  EXPECT_TRUE(removed.ok()) << removed;
}

Task<void> FindFile(Env env, std::string path, bool* exists) {
  *exists = (co_await env.files->Stat(path)).ok();
}

Task<void> CollectTask(Bookie* bookie, absl::Status* status) {
  *status = co_await bookie->CollectGarbage();
}

class GarbageCollectorTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(world_.Start().ok());
    store_ = world_.world().NewMetadataStore(world_.peer());
    operator_ = world_.world().AddProcess(world_.machine(), "operator");
    ASSERT_EQ(world_.CodeOfCall(kRequests.Add(0, "zero")), ReplyCode::kOk);
  }
  void Collect() {
    absl::Status status = absl::UnknownError("did not end");
    world_.Run(CollectTask(world_.bookie(), &status));
    EXPECT_TRUE(status.ok()) << status;
  }
  // As after a repair of the file system that moved the file to lost+found.
  void LoseTheIndexFile() {
    ASSERT_TRUE(world_.Stop().ok());
    RunAsOperator(RemoveFile(world_.world().env(operator_), std::string(kIndexFile)));
    ASSERT_TRUE(world_.Start().ok());
    ASSERT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kNoSuchLedger);
  }
  bool EntryLogExists() {
    bool exists = false;
    RunAsOperator(FindFile(world_.world().env(operator_), std::string(kEntryLog), &exists));
    return exists;
  }
  void RunAsOperator(Task<void> task) {
    const absl::Status ran = world_.world().RunToEnd(operator_, std::move(task));
    ASSERT_TRUE(ran.ok()) << ran;
  }

  BookieWorld world_{1};
  std::unique_ptr<metadata::MetadataStore> store_;
  simulation::SimProcess* operator_ = nullptr;
};

TEST_F(GarbageCollectorTest, LedgersUnknownToMetadataGoAfterTwoPasses) {
  Collect();
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kOk);
  Collect();
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kNoSuchLedger);
}

TEST_F(GarbageCollectorTest, AnEntryLogOfALedgerWhoseIndexFileWasLostStays) {
  world_.Run(SetInMetadata(&world_, store_.get(), true));
  LoseTheIndexFile();
  for (int pass = 0; pass < 3; ++pass) Collect();
  EXPECT_TRUE(EntryLogExists());
  // Once the ledger is deleted its entries go like those of any other.
  world_.Run(SetInMetadata(&world_, store_.get(), false));
  Collect();
  EXPECT_TRUE(EntryLogExists());
  Collect();
  EXPECT_FALSE(EntryLogExists());
}

}  // namespace
}  // namespace stele::bookie
