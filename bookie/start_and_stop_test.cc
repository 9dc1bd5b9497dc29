// Starts that die anywhere, a stop that fails, a directory that is added: none of it takes anything
// away. F47, F48 and F54 name the scenarios.
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "bookie/testing/bookie_operator.h"
#include "bookie/testing/bookie_world.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

using simulation::FileOperation;
using wire::ReplyCode;

const LedgerRequests kRequests{LedgerId(7)};
const LedgerRequests kFencedRequests{LedgerId(8)};
constexpr int64_t kEntries = 5;
const std::string kLastMarkPath = "/data/ledgers/current/lastMark";

// The disk does so many operations, and then none.
class DiesAfter final : public simulation::FileFaults {
 public:
  explicit DiesAfter(int operations) : left_(operations) {}
  absl::Status BeforeOperation(const simulation::FileRequest&) override {
    return left_-- > 0 ? absl::OkStatus() : MakeError(ErrorCode::kIoError, "it ends here");
  }
  bool has_died() const { return left_ < 0; }

 private:
  int left_;
};

// No entry log takes anything; lastMark would.
class FailingEntryLogs final : public simulation::FileFaults {
 public:
  absl::Status BeforeOperation(const simulation::FileRequest& request) override {
    const bool fails = request.operation == FileOperation::kWrite && request.path.ends_with(".log");
    return fails ? MakeError(ErrorCode::kIoError, "the disk") : absl::OkStatus();
  }
};

Task<void> CheckpointTask(Bookie* bookie, absl::Status* status) {
  *status = co_await bookie->Checkpoint();
}

// A bookie that flushes when it is told to.
class Rig {
 public:
  explicit Rig(IndexFormat format, uint64_t seed = 1) : world(seed, Options(format)) {}

  static BookieOptions Options(IndexFormat format) {
    BookieOptions options = BookieWorld::DefaultOptions();
    options.index_format = format;
    options.flush_interval = absl::Hours(1);
    return options;
  }
  static std::string Payload(int64_t entry) { return StrCat("payload ", entry); }
  simulation::SimDisk& disk() { return world.machine()->disk(); }
  void Start() {
    const absl::Status started = world.Start();
    ASSERT_TRUE(started.ok()) << started;
  }
  void Add(int64_t first, int64_t count) {
    for (int64_t entry = first; entry < first + count; ++entry) {
      ASSERT_EQ(world.CodeOfCall(kRequests.Add(entry, Payload(entry), entry - 1)), ReplyCode::kOk);
    }
  }
  void Checkpoint() {
    absl::Status status = absl::UnknownError("did not end");
    const absl::Status ran =
        world.world().RunToEnd(world.process(), CheckpointTask(world.bookie(), &status));
    ASSERT_TRUE(ran.ok() && status.ok()) << ran << status;
  }
  void ExpectEntries(int64_t count) {
    for (int64_t entry = 0; entry < count; ++entry) {
      ASSERT_EQ(world.PayloadOfRead(kRequests, entry), Payload(entry));
    }
    EXPECT_EQ(world.CodeOfCall(kRequests.Read(count)), ReplyCode::kNoSuchEntry);
  }
  // A start whose disk dies after so many operations; every other time the power fails too.
  // False: there were not so many.
  bool StartAndDie(int operations) {
    DiesAfter faults(operations);
    disk().set_faults(&faults);
    world.Start().IgnoreError();
    disk().set_faults(nullptr);
    if (operations % 2 == 1) {
      world.PowerCut();
    } else if (world.process()->alive()) {
      world.Kill();
    }
    return faults.has_died();
  }

  BookieWorld world;
};

// With either index.
using StartAndStopTest = testing::TestWithParam<IndexFormat>;
INSTANTIATE_TEST_SUITE_P(Formats, StartAndStopTest,
                         testing::Values(IndexFormat::kFiles, IndexFormat::kExtents));

TEST_P(StartAndStopTest, F48AStartThatDiesAnywhereIsFollowedByOneThatHasAll) {
  Rig rig(GetParam());
  rig.Start();
  BookieOperator hand(&rig.world);
  rig.Add(0, kEntries);
  ASSERT_EQ(rig.world.CodeOfCall(kFencedRequests.Add(0, "zero")), ReplyCode::kOk);
  rig.Checkpoint();
  // In the journal alone.
  rig.Add(kEntries, kEntries);
  ASSERT_EQ(rig.world.CodeOfCall(kRequests.WriteLac(2 * kEntries - 1)), ReplyCode::kOk);
  ASSERT_EQ(rig.world.CodeOfCall(kFencedRequests.FencingRead(0)), ReplyCode::kOk);
  rig.world.PowerCut();
  const std::shared_ptr<const simulation::Inode> disk = rig.disk().TakeSnapshot();
  const std::string age_path =
      StrCat("/stele/", hand.ReadNode("/ledgers/INSTANCEID"), "/ages/bookie:3181");
  const std::string age = hand.ReadNode(age_path);
  int operations = 0;
  for (bool died = true; died && !HasFailure(); ++operations) {
    SCOPED_TRACE(operations);
    rig.disk().RestoreSnapshot(disk);
    hand.PutNode(age_path, age);
    died = rig.StartAndDie(operations);
    rig.Start();
    rig.ExpectEntries(2 * kEntries);
    const wire::Reply read = rig.world.Call(wire::ProtocolVersion::kV3, kRequests.Read(0));
    EXPECT_EQ(std::get<wire::ReadReply>(read.body).max_lac, EntryId(2 * kEntries - 1));
    EXPECT_EQ(rig.world.CodeOfCall(kFencedRequests.Add(1, "late")), ReplyCode::kFenced);
    EXPECT_EQ(rig.world.bookie()->Status().limbo.since, std::nullopt);
    rig.world.PowerCut();
    ASSERT_LT(operations, 1'000);
  }
  EXPECT_GT(operations, 50);
}

TEST_P(StartAndStopTest, F48TheFirstStartOfAllMayDieAnywhereToo) {
  int operations = 0;
  for (bool died = true; died && !HasFailure(); ++operations) {
    SCOPED_TRACE(operations);
    Rig rig(GetParam(), static_cast<uint64_t>(operations));
    died = rig.StartAndDie(operations);
    rig.Start();
    rig.Add(0, 1);
    EXPECT_EQ(rig.world.bookie()->Status().limbo.since, std::nullopt);
    ASSERT_LT(operations, 1'000);
  }
  EXPECT_GT(operations, 50);
}

TEST_P(StartAndStopTest, F54AStopWhoseLastFlushFailsSaysSoAndLeavesAllToTheJournal) {
  Rig rig(GetParam());
  rig.Start();
  BookieOperator hand(&rig.world);
  rig.Add(0, kEntries);
  rig.Checkpoint();
  const std::string mark = hand.ReadFile(kLastMarkPath);
  rig.Add(kEntries, kEntries);
  FailingEntryLogs faults;
  rig.disk().set_faults(&faults);
  EXPECT_EQ(CodeOf(rig.world.Stop()), ErrorCode::kIoError);
  rig.disk().set_faults(nullptr);
  EXPECT_TRUE(hand.Exists("/data/ledgers/current/DIRTY"));
  EXPECT_EQ(hand.ReadFile(kLastMarkPath), mark);
  rig.world.PowerCut();
  rig.Start();
  EXPECT_TRUE(rig.world.bookie()->Status().was_unclean);
  EXPECT_EQ(rig.world.bookie()->Status().recovered.records, kEntries);
  rig.ExpectEntries(2 * kEntries);
}

TEST_P(StartAndStopTest, F47WhatWasStoredIsFoundWhenAnotherDirectoryIsThere) {
  Rig rig(GetParam());
  rig.Start();
  rig.Add(0, kEntries);
  rig.Checkpoint();
  rig.Add(kEntries, kEntries);
  rig.world.Kill();
  rig.world.options().ledger_directories.push_back("/data/more");
  rig.world.options().allow_storage_expansion = true;
  for (int64_t round = 2; round < 5; ++round) {
    rig.Start();
    rig.ExpectEntries(round * kEntries);
    rig.Add(round * kEntries, kEntries);
    rig.Checkpoint();
    rig.ExpectEntries((round + 1) * kEntries);
    rig.world.PowerCut();
  }
}

}  // namespace
}  // namespace stele::bookie
