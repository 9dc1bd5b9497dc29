#include "bookie/disk_watch.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/testing/bookie_world.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

using simulation::FileRequest;
using wire::ReplyCode;

class DiskFaults : public simulation::FileFaults {
 public:
  absl::Status BeforeOperation(const FileRequest& request) override {
    if (broken.empty() || request.path.find(broken) == std::string::npos) return absl::OkStatus();
    return MakeError(ErrorCode::kIoError, "the disk is broken");
  }
  std::string broken;  // part of a path
};

TEST(DiskWatchTest, F42CountsRoundsWithoutAnAnswer) {
  simulation::World world({.seed = 1});
  simulation::SimMachine* slow = world.AddMachine("slow", {.latency_min = absl::Seconds(40)});
  simulation::SimProcess* process = world.AddProcess(slow, "bookie");
  DiskWatch* watch =
      process->Own(std::make_unique<DiskWatch>(world.env(process), std::vector<std::string>{"/"}));
  for (int round = 0; round < 6; ++round) {
    watch->BeginRound();
    EXPECT_EQ(watch->health()[0].rounds_without_answer, round);
    ASSERT_TRUE(world.scheduler().RunFor(absl::Seconds(10)).ok());
  }
  // It does answer in the end: open, write and sync took 40 seconds each.
  ASSERT_TRUE(world.scheduler().RunFor(absl::Seconds(90)).ok());
  EXPECT_EQ(watch->health()[0].rounds_without_answer, 0);
  EXPECT_GT(watch->health()[0].last_time, absl::Seconds(119));
  EXPECT_TRUE(watch->health()[0].status.ok());
}

// A bookie whose disks are looked at every second.
class DisksTest : public testing::Test {
 protected:
  static BookieOptions TwoDirectories() {
    BookieOptions options = BookieWorld::DefaultOptions();
    options.ledger_directories = {"/data/l1", "/data/l2"};
    options.disk_check_interval = absl::Seconds(1);
    options.disk_hang_max = absl::Seconds(60);
    return options;
  }
  void SetUp() override {
    world_.machine()->disk().set_faults(&faults_);
    ASSERT_TRUE(world_.Start().ok());
  }
  void Wait(absl::Duration time) { ASSERT_TRUE(world_.world().scheduler().RunFor(time).ok()); }
  ReplyCode Add(int64_t ledger, int64_t entry) {
    return world_.CodeOfCall(LedgerRequests{LedgerId(ledger)}.Add(entry, "payload"));
  }
  ReplyCode Read(int64_t ledger, int64_t entry) {
    return world_.CodeOfCall(LedgerRequests{LedgerId(ledger)}.Read(entry));
  }
  metadata::BookieMode Mode() { return world_.bookie()->Status().mode; }

  DiskFaults faults_;
  BookieWorld world_{1, TwoDirectories()};
};

TEST_F(DisksTest, AFailedLedgerDirectoryOfSeveralMakesReadOnlyAndComesBack) {
  for (int64_t ledger = 0; ledger < 10; ++ledger) EXPECT_EQ(Add(ledger, 0), ReplyCode::kOk);
  Wait(absl::Seconds(3));
  EXPECT_EQ(Mode(), metadata::BookieMode::kWritable);
  faults_.broken = "/data/l2";
  Wait(absl::Seconds(5));
  EXPECT_FALSE(world_.fatal().has_value());
  EXPECT_EQ(Mode(), metadata::BookieMode::kReadOnly);
  EXPECT_EQ(Add(0, 1), ReplyCode::kReadOnly);
  int readable = 0;
  for (int64_t ledger = 0; ledger < 10; ++ledger) {
    const ReplyCode code = Read(ledger, 0);
    EXPECT_TRUE(code == ReplyCode::kOk || code == ReplyCode::kIoError) << static_cast<int>(code);
    readable += code == ReplyCode::kOk ? 1 : 0;
  }
  EXPECT_GT(readable, 0);
  faults_.broken = "";
  Wait(absl::Seconds(5));
  EXPECT_EQ(Mode(), metadata::BookieMode::kWritable);
  EXPECT_EQ(Add(0, 1), ReplyCode::kOk);
}

TEST_F(DisksTest, WithoutAnyLedgerDirectoryItStops) {
  faults_.broken = "/data/l";
  Wait(absl::Seconds(5));
  EXPECT_TRUE(world_.fatal().has_value());
}

TEST_F(DisksTest, F42ADiskThatHangsEndsTheBookieAndOneThatStallsDoesNot) {
  world_.machine()->disk().StallFor(absl::Seconds(50));
  Wait(absl::Seconds(65));
  EXPECT_FALSE(world_.fatal().has_value());
  EXPECT_EQ(Add(0, 0), ReplyCode::kOk);
  world_.machine()->disk().Hang();
  Wait(absl::Seconds(55));
  EXPECT_FALSE(world_.fatal().has_value());
  Wait(absl::Seconds(15));
  ASSERT_TRUE(world_.fatal().has_value());
  EXPECT_NE(world_.fatal()->message().find("has not answered for 1m"), std::string::npos)
      << *world_.fatal();
}

// The process did not wait for its disk: it did not run.
TEST_F(DisksTest, APauseIsNotAHang) {
  world_.process()->Pause();
  Wait(absl::Minutes(10));
  world_.process()->Resume();
  Wait(absl::Seconds(30));
  EXPECT_FALSE(world_.fatal().has_value());
}

}  // namespace
}  // namespace stele::bookie
