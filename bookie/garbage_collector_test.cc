// What garbage collection removes from a whole bookie, and what it must keep.
#include "bookie/garbage_collector.h"

#include <memory>
#include <optional>
#include <string>

#include <gtest/gtest.h>

#include "bookie/testing/bookie_operator.h"
#include "bookie/testing/bookie_world.h"
#include "common/base/errors.h"

namespace stele::bookie {
namespace {

using wire::ReplyCode;

constexpr LedgerId kLedger{7};
const LedgerRequests kRequests{kLedger};
constexpr std::string_view kIndexFile = "/data/ledgers/current/0/7/7.idx";
constexpr absl::Duration kGrace = absl::Minutes(10);  // gc_interval
constexpr std::string_view kEntryLog = "/data/ledgers/current/0.log";

Task<void> CollectTask(Bookie* bookie, std::optional<CompactionKind> compact,
                       absl::Status* status) {
  *status = co_await bookie->CollectGarbage(compact);
}

class GarbageCollectorTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(world_.Start().ok());
    operator_ = std::make_unique<BookieOperator>(&world_);
    ASSERT_EQ(world_.CodeOfCall(kRequests.Add(0, "zero")), ReplyCode::kOk);
  }
  absl::Status TryCollect(std::optional<CompactionKind> compact = std::nullopt) {
    absl::Status status = absl::UnknownError("did not end");
    world_.Run(CollectTask(world_.bookie(), compact, &status));
    return status;
  }
  void Collect(std::optional<CompactionKind> compact = std::nullopt) {
    const absl::Status status = TryCollect(compact);
    EXPECT_TRUE(status.ok()) << status;
  }
  // The bookie's own passes happen meanwhile.
  void Wait(absl::Duration time) { ASSERT_TRUE(world_.world().scheduler().RunFor(time).ok()); }
  void CollectTwice() {
    Collect();
    Wait(kGrace);
    Collect();
  }
  // As after a repair of the file system that moved the file to lost+found.
  void LoseTheIndexFile() {
    ASSERT_TRUE(world_.Stop().ok());
    operator_->RemoveFile(std::string(kIndexFile));
    ASSERT_TRUE(world_.Start().ok());
    ASSERT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kUnknownLedgerState);
  }
  bool EntryLogExists() { return operator_->Exists(std::string(kEntryLog)); }

  BookieWorld world_{1};
  std::unique_ptr<BookieOperator> operator_;
};

TEST_F(GarbageCollectorTest, LedgersUnknownToMetadataGoAfterTwoPassesAGraceApart) {
  Collect();
  Collect();
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kOk);
  Wait(kGrace - absl::Seconds(1));
  Collect();
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kOk);
  Wait(absl::Seconds(2));
  Collect();
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kNoSuchLedger);
  EXPECT_EQ(world_.bookie()->Status().garbage.ledgers_removed, 1);
}

TEST_F(GarbageCollectorTest, F39AStoreThatCannotBeAskedDeletesNothing) {
  Collect();
  world_.world().metadata().Stop();
  Wait(kGrace);
  EXPECT_FALSE(TryCollect().ok());
  world_.world().metadata().Start();
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kOk);
}

TEST_F(GarbageCollectorTest, ALedgerWhoseMetadataCannotBeReadStays) {
  operator_->CreateLedger(kLedger);
  for (const std::string& bad : {std::string(), std::string("BookieMetadataFormatVersion\t9\n"),
                                 std::string(100'000, 'x')}) {
    operator_->PutNode("/ledgers/00/0000/L0007", bad);
    CollectTwice();
    EXPECT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kOk);
  }
  EXPECT_EQ(world_.bookie()->Status().garbage.ledgers_removed, 0);
}

TEST_F(GarbageCollectorTest, AnotherClustersAnswersCountForNothing) {
  Collect();
  operator_->PutNode("/ledgers/INSTANCEID", "somebody-else");
  Wait(kGrace);
  EXPECT_EQ(CodeOf(TryCollect()), ErrorCode::kCookieMismatch);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kOk);
}

TEST_F(GarbageCollectorTest, TombstonesOutliveRestartsAndRefuseLateAdds) {
  CollectTwice();
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(1, "late")), ReplyCode::kFenced);
  // The journal still has the ledger's key and entry: a killed process replays them.
  world_.PowerCut();
  ASSERT_TRUE(world_.Start().ok());
  EXPECT_EQ(world_.bookie()->Status().storage.ledgers, 0);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(1, "late")), ReplyCode::kFenced);
  EXPECT_EQ(world_.CodeOfCall(kRequests.FencingRead(0)), ReplyCode::kNoSuchLedger);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kNoSuchLedger);
}

TEST_F(GarbageCollectorTest, NobodyWaitsForALedgerThatWasCollected) {
  CollectTwice();
  const MonotonicTime asked = world_.world().scheduler().Now();
  EXPECT_EQ(world_.CodeOfCall(kRequests.LongPoll(0, 60'000)), ReplyCode::kNoSuchLedger);
  EXPECT_LT(world_.world().scheduler().Now() - asked, absl::Seconds(1));
}

Task<void> StopTask(Bookie* bookie, absl::Status* status) { *status = co_await bookie->Stop(); }

// A pass that an operator asked for may be under way when the bookie is told to stop, twice.
TEST_F(GarbageCollectorTest, AStopEndsThePassAndBeginsNoOther) {
  operator_->CreateLedger(kLedger);
  Bookie* const bookie = world_.bookie();
  absl::Status pass = absl::UnknownError("waits");
  absl::Status stopped = pass;
  world_.world().metadata().Stop();
  world_.peer()->Spawn(CollectTask(bookie, std::nullopt, &pass));
  Wait(absl::Milliseconds(100));
  world_.peer()->Spawn(StopTask(bookie, &stopped));
  Wait(absl::Milliseconds(100));
  absl::Status again;
  world_.Run(StopTask(bookie, &again));
  EXPECT_EQ(CodeOf(again), ErrorCode::kStopped);
  world_.world().metadata().Start();
  Wait(absl::Minutes(2));
  EXPECT_NE(CodeOf(pass), ErrorCode::kForeign) << pass;
  EXPECT_NE(CodeOf(stopped), ErrorCode::kForeign) << stopped;
  EXPECT_EQ(CodeOf(TryCollect()), ErrorCode::kStopped);
  EXPECT_EQ(bookie->Status().garbage.ledgers_removed, 0);
}

TEST_F(GarbageCollectorTest, AnEntryLogOfALedgerWhoseIndexFileWasLostStays) {
  operator_->CreateLedger(kLedger);
  LoseTheIndexFile();
  for (int pass = 0; pass < 3; ++pass) CollectTwice();
  EXPECT_TRUE(EntryLogExists());
  // Once the ledger is deleted its entries go like those of any other.
  operator_->DeleteLedger(kLedger);
  Collect();
  EXPECT_TRUE(EntryLogExists());
  Wait(kGrace);
  Collect();
  EXPECT_FALSE(EntryLogExists());
}

// Fills the disk with one ledger that stays and one that goes, entry by entry.
TEST_F(GarbageCollectorTest, AFullDiskIsEmptiedByCompactionOnTheReserve) {
  operator_->CreateLedger(kLedger);
  CollectTwice();
  const LedgerRequests gone{LedgerId(8)};
  for (int64_t entry = 1; entry < 60; ++entry) {
    ASSERT_EQ(world_.CodeOfCall(kRequests.Add(entry, std::string(400, 'k'))), ReplyCode::kOk);
    ASSERT_EQ(world_.CodeOfCall(gone.Add(entry, std::string(60'000, 'g'))), ReplyCode::kOk);
  }
  ASSERT_TRUE(world_.Stop().ok());
  ASSERT_TRUE(world_.Start().ok());
  Collect(CompactionKind::kMajor);  // makes the reserve
  simulation::SimDisk& disk = world_.machine()->disk();
  disk.set_size_bytes(disk.used_bytes());
  Wait(absl::Seconds(3));
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(100, "no room")), ReplyCode::kReadOnly);
  Wait(kGrace);
  Collect(CompactionKind::kMajor);
  const GarbageStats stats = world_.bookie()->Status().garbage;
  EXPECT_EQ(stats.ledgers_removed, 1);
  EXPECT_GT(stats.compaction.logs_removed, 0);
  EXPECT_GT(stats.compaction.bytes_freed, 2'000'000u);
  for (int64_t entry = 1; entry < 60; ++entry) {
    EXPECT_EQ(world_.CodeOfCall(kRequests.Read(entry)), ReplyCode::kOk) << entry;
  }
  // F19: and it takes writes again.
  Wait(absl::Seconds(3));
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(100, "room")), ReplyCode::kOk);
}

}  // namespace
}  // namespace stele::bookie
