#include "bookie/incarnation.h"

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/testing/bookie_operator.h"
#include "bookie/testing/bookie_world.h"
#include "common/base/errors.h"

namespace stele::bookie {
namespace {

using Numbers = std::vector<std::optional<int64_t>>;
using wire::ReplyCode;

TEST(BootNumbersTest, WhoeverIsBehindHasLostSomething) {
  const auto judge = [](std::optional<int64_t> stored, Numbers directories,
                        bool may_be_new = false) {
    return JudgeBootNumbers({.stored = stored, .directories = std::move(directories)}, may_be_new);
  };
  constexpr std::optional<int64_t> kNothing;
  EXPECT_EQ(judge(kNothing, {kNothing, kNothing}), MemoryLoss::kNone) << "the first start";
  EXPECT_EQ(judge(kNothing, {1, kNothing}), MemoryLoss::kNone) << "which was interrupted";
  EXPECT_EQ(judge(5, {5, 5}), MemoryLoss::kNone);
  EXPECT_EQ(judge(5, {6, 5}), MemoryLoss::kNone) << "a start was interrupted";
  EXPECT_EQ(judge(5, {6, 6}), MemoryLoss::kNone);
  EXPECT_EQ(judge(5, {5, 4}), MemoryLoss::kDirectories);
  EXPECT_EQ(judge(5, {5, kNothing}), MemoryLoss::kDirectories);
  EXPECT_EQ(judge(5, {5, kNothing}, true), MemoryLoss::kNone);
  EXPECT_EQ(judge(5, {4, kNothing}, true), MemoryLoss::kDirectories);
  EXPECT_EQ(judge(5, {7, 7}), MemoryLoss::kStore);
  EXPECT_EQ(judge(kNothing, {2, 2}), MemoryLoss::kStore);
}

TEST(BootNumbersTest, TheNextIsAboveAll) {
  EXPECT_EQ(NextBootNumber({}), 1);
  EXPECT_EQ(NextBootNumber({.stored = 5, .directories = {6, 5}}), 7);
  EXPECT_EQ(NextBootNumber({.stored = 5, .directories = {std::nullopt}}), 6);
}

TEST(BootNumbersTest, OnlyWhatWasWrittenIsRead) {
  EXPECT_EQ(ParseBootNumber(MakeBootFile(17)), 17);
  for (const char* text :
       {"", "17", "x\n", "-1\n", "0\n", "017\n", "17\n\n", "99999999999999999999\n"}) {
    EXPECT_EQ(ParseBootNumber(text), std::nullopt) << text;
  }
}

constexpr LedgerId kLedger{7};
constexpr LedgerId kLost{8};
const LedgerRequests kRequests{kLedger};
const LedgerRequests kLostRequests{kLost};
constexpr char kBootFile[] = "/data/ledgers/current/boot";

class IncarnationTest : public testing::Test {
 protected:
  void SetUp() override {
    Start();
    operator_ = std::make_unique<BookieOperator>(&world_);
    operator_->CreateLedger(kLedger);
    operator_->CreateLedger(kLost);
    ASSERT_EQ(world_.CodeOfCall(kRequests.Add(0, "zero")), ReplyCode::kOk);
  }
  void Start() {
    const absl::Status started = world_.Start();
    ASSERT_TRUE(started.ok()) << started;
  }
  void Restart() {
    ASSERT_TRUE(world_.Stop().ok());
    Start();
  }

  std::string StorePath() {
    return "/stele/" + operator_->ReadNode("/ledgers/INSTANCEID") + "/boots/bookie:3181";
  }

  BookieWorld world_{1};
  std::unique_ptr<BookieOperator> operator_;
};

TEST_F(IncarnationTest, EveryStartCountsAndOrdinaryOnesChangeNothing) {
  for (int64_t boot = 1; boot < 5; ++boot) {
    EXPECT_EQ(operator_->ReadFile(kBootFile), MakeBootFile(boot));
    EXPECT_EQ(world_.CodeOfCall(kRequests.Read(1)), ReplyCode::kNoSuchEntry);
    EXPECT_EQ(world_.CodeOfCall(kLostRequests.Read(0)), ReplyCode::kNoSuchLedger);
    boot % 2 == 0 ? world_.PowerCut() : world_.Kill();
    Start();
  }
}

// G22. As after the restore of an old snapshot: the files say less than the bookie once knew.
TEST_F(IncarnationTest, AfterAnOlderSnapshotNothingIsAnsweredByNo) {
  Restart();
  ASSERT_TRUE(world_.Stop().ok());
  operator_->Overwrite(kBootFile, 0, "1\n");
  Start();
  EXPECT_EQ(world_.bookie()->Status().memory_loss, MemoryLoss::kDirectories);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kOk);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(1)), ReplyCode::kUnknownLedgerState);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(1, "late")), ReplyCode::kFenced);
  // Metadata says that it had this one, of which it knows nothing.
  EXPECT_EQ(world_.CodeOfCall(kLostRequests.Read(0)), ReplyCode::kUnknownLedgerState);
  EXPECT_EQ(world_.CodeOfCall(kLostRequests.Add(0, "late")), ReplyCode::kFenced);
  EXPECT_EQ(world_.CodeOfCall(LedgerRequests{LedgerId(9)}.Read(0)), ReplyCode::kNoSuchLedger);
  // It does not forget that it has forgotten.
  world_.PowerCut();
  Start();
  EXPECT_EQ(world_.bookie()->Status().memory_loss, MemoryLoss::kNone);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(1)), ReplyCode::kUnknownLedgerState);
  EXPECT_EQ(world_.CodeOfCall(kLostRequests.Add(0, "late")), ReplyCode::kFenced);
  EXPECT_EQ(world_.CodeOfCall(kLostRequests.RecoveryAdd(0, "copy")), ReplyCode::kOk);
}

TEST_F(IncarnationTest, AMetadataStoreThatWentBackHoldsGarbageCollection) {
  Restart();
  Restart();
  ASSERT_TRUE(world_.Stop().ok());
  operator_->PutNode(StorePath(), MakeBootFile(1));
  operator_->DeleteLedger(kLedger);
  Start();
  EXPECT_EQ(world_.bookie()->Status().memory_loss, MemoryLoss::kStore);
  for (int boot = 0; boot < 2; ++boot) {
    ASSERT_TRUE(world_.world().scheduler().RunFor(absl::Hours(1)).ok());
    EXPECT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kOk);
    Restart();
  }
  // Until the operator says that it is right.
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile("/data/ledgers/current/gc.hold");
  Start();
  ASSERT_TRUE(world_.world().scheduler().RunFor(absl::Hours(1)).ok());
  EXPECT_EQ(world_.CodeOfCall(kRequests.Read(0)), ReplyCode::kNoSuchLedger);
}

}  // namespace
}  // namespace stele::bookie
