// How a bookie notices that it has less than it had, what is no loss, and starts that die on the
// way.
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "bookie/data_age.h"
#include "bookie/limbo_rig.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

using simulation::FileOperation;
using wire::ReplyCode;

// The disk fails from the nth operation below this path on.
class DieAt final : public simulation::FileFaults {
 public:
  explicit DieAt(int number, std::string path = "/") : left_(number), path_(std::move(path)) {}
  absl::Status BeforeOperation(const simulation::FileRequest& request) override {
    if (request.operation == FileOperation::kRead) return absl::OkStatus();
    if (left_ >= 0 && !request.path.starts_with(path_)) return absl::OkStatus();
    return left_-- > 0 ? absl::OkStatus() : MakeError(ErrorCode::kIoError, "it ends here");
  }
  bool has_struck() const { return left_ < 0; }

 private:
  int left_;
  const std::string path_;
};

class LimboStartTest : public LimboTest {};
INSTANTIATE_TEST_SUITE_P(Formats, LimboStartTest,
                         testing::Values(IndexFormat::kFiles, IndexFormat::kExtents));

TEST_P(LimboStartTest, ANumberThatRottedCountsAsLost) {
  world_.Kill();
  operator_->Overwrite(kLedgersAge, 0, "x");
  Start();
  EXPECT_EQ(LedgersInLimbo(), 1);
}

TEST_P(LimboStartTest, TheAgeIsRaisedWhileItRuns) {
  const int64_t at_start = world_.bookie()->Status().limbo.data_age;
  const auto running = disk().TakeSnapshot();
  RunFor(3 * kRaiseInterval);
  EXPECT_GT(world_.bookie()->Status().limbo.data_age, at_start + 1);
  world_.Kill();
  disk().RestoreSnapshot(running);
  Start();
  EXPECT_EQ(LedgersInLimbo(), 1);
}

TEST_P(LimboStartTest, NeitherCrashesNorAnExpansionAreALoss) {
  for (int round = 0; round < 3; ++round) {
    round == 0 ? world_.Kill() : world_.PowerCut();
    if (round == 2) {
      world_.options().ledger_directories.push_back("/data/more");
      world_.options().allow_storage_expansion = true;
    }
    Start();
    EXPECT_EQ(world_.bookie()->Status().limbo.since, std::nullopt) << round;
    EXPECT_EQ(CodeOfRead(5), ReplyCode::kNoSuchEntry);
  }
}

// The first start with one more directory does not come far; then it has a cookie.
TEST_P(LimboStartTest, AnExpansionThatDiesIsNoLossEither) {
  class NoJournals final : public simulation::FileFaults {
   public:
    absl::Status BeforeOperation(const simulation::FileRequest& request) override {
      const bool is_journal = request.path.ends_with(".txn");
      return is_journal ? MakeError(ErrorCode::kIoError, "not today") : absl::OkStatus();
    }
  };
  world_.Kill();
  world_.options().ledger_directories.push_back("/data/more");
  world_.options().allow_storage_expansion = true;
  NoJournals faults;
  disk().set_faults(&faults);
  EXPECT_FALSE(world_.Start().ok());
  EXPECT_TRUE(operator_->Exists("/data/more/current/VERSION"));
  disk().set_faults(nullptr);
  world_.PowerCut();
  Start();
  EXPECT_EQ(world_.bookie()->Status().limbo.since, std::nullopt);
  EXPECT_EQ(CodeOfRead(5), ReplyCode::kNoSuchEntry);
}

// It dies at each operation of the new disk in turn.
TEST_P(LimboStartTest, AnExpansionThatDiesAnywhereIsNoLoss) {
  bool struck = true;
  int number = 0;
  for (; struck; ++number) {
    BookieWorld world(1, Options(&peers_));
    ASSERT_TRUE(world.Start().ok());
    world.Kill();
    world.options().ledger_directories.push_back("/data/more");
    world.options().allow_storage_expansion = true;
    DieAt faults(number, "/data/more");
    world.machine()->disk().set_faults(&faults);
    world.Start().IgnoreError();
    struck = faults.has_struck();
    world.machine()->disk().set_faults(nullptr);
    world.PowerCut();
    const absl::Status started = world.Start();
    ASSERT_TRUE(started.ok()) << number << ": " << started;
    EXPECT_EQ(world.bookie()->Status().limbo.since, std::nullopt) << number;
    ASSERT_LT(number, 1'000);
  }
  EXPECT_GT(number, 10);
}

TEST_P(LimboStartTest, ADirectoryThatCannotBeWrittenIsNotBehindAfterwards) {
  class NoAge final : public simulation::FileFaults {
   public:
    absl::Status BeforeOperation(const simulation::FileRequest& request) override {
      const bool fails = request.operation == FileOperation::kWrite &&
                         request.path.find("/data/journal/current/age") != std::string::npos;
      return fails ? MakeError(ErrorCode::kIoError, "this one not") : absl::OkStatus();
    }
  };
  NoAge faults;
  disk().set_faults(&faults);
  RunFor(3 * kRaiseInterval);
  EXPECT_TRUE(HasLogged("the age of the data is not raised yet"));
  world_.Kill();
  disk().set_faults(nullptr);
  Start();
  EXPECT_EQ(world_.bookie()->Status().limbo.since, std::nullopt);
}

TEST_P(LimboStartTest, AnAgeInTheStoreThatIsNoneIsNotPassedOver) {
  const std::string instance = operator_->ReadNode("/ledgers/INSTANCEID");
  const std::string path = StrCat("/stele/", instance, "/ages/bookie:3181");
  EXPECT_EQ(operator_->ReadNode(path), operator_->ReadFile(kLedgersAge));
  world_.Kill();
  operator_->PutNode(path, "old");
  const absl::Status refused = world_.Start();
  EXPECT_EQ(CodeOf(refused), ErrorCode::kCorruptData) << refused;
  operator_->PutNode(path, "0");
  Start();
}

// The power fails at each operation of the disk in turn while the loss is being marked.
TEST_P(LimboStartTest, AStartThatDiesOnTheWayIntoLimboIsFollowedByOneThatKnows) {
  world_.Kill();
  bool struck = true;
  int number = 0;
  for (; struck; ++number) {
    disk().RestoreSnapshot(first_day_);
    DieAt faults(number);
    disk().set_faults(&faults);
    world_.Start().IgnoreError();  // it dies, or it has nothing left to die of
    struck = faults.has_struck();
    disk().set_faults(nullptr);
    world_.PowerCut();
    Start();
    EXPECT_EQ(LedgersInLimbo(), 1) << number;
    EXPECT_EQ(CodeOfRead(0), ReplyCode::kUnknownLedgerState) << number;
    EXPECT_EQ(world_.CodeOfCall(kRequests.Add(9, "late")), ReplyCode::kFenced) << number;
    world_.Kill();
    ASSERT_LT(number, 1'000);
  }
  EXPECT_GT(number, 10);
}

// Nothing can be marked for good, though there is room for an age: the store is not told of one.
TEST_P(LimboStartTest, OnAFullDiskItIsFoundAgainByTheNextStart) {
  class Full final : public simulation::FileFaults {
   public:
    absl::Status BeforeOperation(const simulation::FileRequest& request) override {
      const bool takes_space = request.operation == FileOperation::kWrite &&
                               request.path.find("/data/ledgers/") != std::string::npos &&
                               request.path.find("/age") == std::string::npos;
      return takes_space ? MakeError(ErrorCode::kDiskFull, "no space") : absl::OkStatus();
    }
  };
  world_.Kill();
  disk().RestoreSnapshot(first_day_);
  Full full;
  disk().set_faults(&full);
  for (int round = 0; round < 2; ++round) {
    Start();
    EXPECT_EQ(CodeOfRead(0), ReplyCode::kUnknownLedgerState);
    EXPECT_EQ(LedgersInLimbo(), 1);
    RunFor(2 * kRaiseInterval);
    world_.PowerCut();
  }
  Start();
  EXPECT_EQ(CodeOfRead(0), ReplyCode::kUnknownLedgerState);
  // There is room again: no need to wait for the end of limbo.
  disk().set_faults(nullptr);
  const int64_t age = world_.bookie()->Status().limbo.data_age;
  RunFor(2 * kRaiseInterval);
  EXPECT_GT(world_.bookie()->Status().limbo.data_age, age);
  EXPECT_EQ(LedgersInLimbo(), 1);
  world_.PowerCut();
  Start();
  EXPECT_EQ(CodeOfRead(0), ReplyCode::kUnknownLedgerState);
  EXPECT_EQ(LedgersInLimbo(), 1);
}

// The mark of the last checkpoint, in the ledgers' directory, names a file that it lacks.
TEST_P(LimboStartTest, AJournalThatWasEmptiedAloneIsRefused) {
  RunFor(absl::Seconds(3));
  world_.Kill();
  operator_->EmptyBelowCookie("/data/journal/current");
  const absl::Status refused = world_.Start();
  EXPECT_EQ(CodeOf(refused), ErrorCode::kCorruptData) << refused;
}

// There may be millions.
TEST_P(LimboStartTest, ARestartInLimboDoesNotLookAtItsLedgersBeforeItServes) {
  class CountIndexFiles final : public simulation::FileFaults {
   public:
    absl::Status BeforeOperation(const simulation::FileRequest& request) override {
      opened += request.path.ends_with(".idx") ? 1 : 0;
      return absl::OkStatus();
    }
    int opened = 0;
  };
  SetBack();
  world_.Kill();
  CountIndexFiles count;
  disk().set_faults(&count);
  Start();
  EXPECT_EQ(count.opened, 0);
  EXPECT_EQ(LedgersInLimbo(), 1);
  EXPECT_EQ(CodeOfRead(0), ReplyCode::kUnknownLedgerState);
  operator_->CloseLedger(kLedger, EntryId(4));
  RunFor(absl::Minutes(3));
  EXPECT_EQ(LedgersInLimbo(), 0);
  ExpectAll();
  disk().set_faults(nullptr);
}

// Metadata is asked for many of them at the same time.
TEST_P(LimboStartTest, TheWayIntoLimboDoesNotWaitForOneLedgerAfterTheOther) {
  constexpr int kLedgers = 200;
  for (int i = 0; i < kLedgers; ++i) operator_->CreateLedger(LedgerId(100 + i));
  world_.world().metadata().set_slowness(100);
  const MonotonicTime begun = world_.peer_env().clock->Now();
  SetBack();
  EXPECT_EQ(LedgersInLimbo(), kLedgers + 1);
  EXPECT_LT(world_.peer_env().clock->Now() - begun, absl::Seconds(10));
}

// The file with the ledger's key went with a checkpoint, and the ledgers' disk was emptied since.
TEST_P(LimboStartTest, EntriesComeBackFromTheJournalWithoutTheirKey) {
  world_.Kill();
  world_.options().journal_backups = 0;
  Start();
  const auto oldest_journal = [this] {
    const std::string directory = "/data/journal/current";
    for (const std::string& name : operator_->List(directory)) {
      if (name.ends_with(".txn")) return StrCat(directory, "/", name);
    }
    return directory;
  };
  std::string with_key;
  int64_t entry = 5;
  for (; entry == 5 || operator_->Exists(with_key); ++entry) {
    ASSERT_LT(entry, 100);
    ASSERT_EQ(world_.CodeOfCall(kRequests.Add(entry, std::string(1 << 20, 'x'))), ReplyCode::kOk);
    RunFor(absl::Seconds(2));  // a checkpoint
    if (entry == 5) with_key = oldest_journal();
  }
  ASSERT_EQ(world_.CodeOfCall(kRequests.Add(entry, "the last one")), ReplyCode::kOk);
  world_.Kill();
  operator_->EmptyBelowCookie("/data/ledgers/current");
  for (int round = 0; round < 2; ++round) {
    Start();
    EXPECT_EQ(LedgersInLimbo(), 1);
    EXPECT_EQ(CodeOfRead(entry), ReplyCode::kOk);
    EXPECT_EQ(CodeOfRead(0), ReplyCode::kUnknownLedgerState);
    const LedgerRequests wrong{kLedger, "other password"};
    EXPECT_EQ(world_.CodeOfCall(wrong.FencingRead(0)), ReplyCode::kUnauthorized);
    world_.PowerCut();
  }
}

// Of two directories one is replaced by an empty disk with the old cookie. An index in extents that
// has lost a run is refused before that.
TEST_P(LimboStartTest, OneLostDirectoryOfTwoIsNoticedAndHealed) {
  world_.Kill();
  world_.options().ledger_directories.push_back("/data/more");
  world_.options().allow_storage_expansion = true;
  Start();
  constexpr int kLedgers = 10;
  for (int i = 0; i < kLedgers; ++i) {
    const LedgerRequests requests{LedgerId(100 + i)};
    operator_->CreateLedger(LedgerId(100 + i));
    const wire::Request add = requests.Add(0, Payload(i));
    peers_.copies[{LedgerId(100 + i), EntryId(0)}] = std::get<wire::AddRequest>(add.body).body;
    ASSERT_EQ(world_.CodeOfCall(add), ReplyCode::kOk);
    operator_->CloseLedger(LedgerId(100 + i), EntryId(0));
    RunFor(absl::Seconds(2));
    Restart();  // with another entry log, in the other directory perhaps
  }
  operator_->CloseLedger(kLedger, EntryId(4));
  ASSERT_TRUE(world_.Stop().ok());
  for (const char* lost : {"/data/more/current", "/data/ledgers/current"}) {
    operator_->EmptyBelowCookie(lost);
    if (GetParam() == IndexFormat::kExtents) {
      EXPECT_EQ(CodeOf(world_.Start()), ErrorCode::kCorruptData);
      return;
    }
    Start();
    EXPECT_EQ(LedgersInLimbo(), kLedgers + 1) << lost;
    for (int i = 0; i < kLedgers; ++i) {
      const LedgerRequests requests{LedgerId(100 + i)};
      const ReplyCode code = world_.CodeOfCall(requests.Read(0));
      EXPECT_NE(code, ReplyCode::kNoSuchEntry) << i;
      EXPECT_NE(code, ReplyCode::kNoSuchLedger) << i;
      EXPECT_EQ(world_.CodeOfCall(requests.Read(1)), ReplyCode::kUnknownLedgerState) << i;
    }
    RunFor(absl::Minutes(3));
    EXPECT_EQ(LedgersInLimbo(), 0) << lost;
    for (int i = 0; i < kLedgers; ++i) {
      const LedgerRequests requests{LedgerId(100 + i)};
      EXPECT_EQ(world_.CodeOfCall(requests.Read(0)), ReplyCode::kOk) << i;
      EXPECT_EQ(world_.CodeOfCall(requests.Read(1)), ReplyCode::kNoSuchEntry) << i;
    }
    ExpectAll();
    ASSERT_TRUE(world_.Stop().ok());
  }
}

}  // namespace
}  // namespace stele::bookie
