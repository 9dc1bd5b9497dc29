// A whole bookie that comes back with less than it had: what it answers, and how that ends.
#include "bookie/limbo.h"

#include <algorithm>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "bookie/data_age.h"
#include "bookie/testing/bookie_operator.h"
#include "bookie/testing/bookie_world.h"
#include "bookie/testing/fake_peers.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

using metadata::LedgerMetadata;
using simulation::FileOperation;
using wire::ProtocolVersion;
using wire::ReplyCode;

constexpr LedgerId kLedger{7};
constexpr LedgerId kLater{8};
const LedgerRequests kRequests{kLedger};
const LedgerRequests kLaterRequests{kLater};
constexpr char kJournalAge[] = "/data/journal/current/age";
constexpr char kLedgersAge[] = "/data/ledgers/current/age";
constexpr char kIndexFile[] = "/data/ledgers/current/0/7/7.idx";
constexpr char kEntryLog[] = "/data/ledgers/current/0.log";
constexpr char kMark[] = "/data/ledgers/current/limbo";

BookieId Bookie(int number) { return BookieId("b" + std::to_string(number) + ":3181"); }

LedgerMetadata TwoFragments(int first, int second, bool is_closed) {
  metadata::LedgerMetadataFields fields{
      .replication = {.ensemble_size = 1, .write_quorum_size = 1, .ack_quorum_size = 1},
      .fragments = {{.first_entry = EntryId(0), .ensemble = {Bookie(first)}},
                    {.first_entry = EntryId(5), .ensemble = {Bookie(second)}}}};
  if (is_closed) {
    fields.state = metadata::LedgerState::kClosed;
    fields.last_entry = EntryId(9);
    fields.length_bytes = 10;
  }
  const auto made = LedgerMetadata::Create(fields);
  EXPECT_TRUE(made.ok()) << made.status();
  return *made;
}

TEST(DoubtTest, AFenceCountsInTheLastEnsembleOnly) {
  for (const bool is_closed : {false, true}) {
    EXPECT_EQ(DoubtAbout(TwoFragments(1, 2, is_closed), Bookie(2)), Doubt::kEntriesAndFence);
    EXPECT_EQ(DoubtAbout(TwoFragments(1, 2, is_closed), Bookie(1)), Doubt::kEntries);
    EXPECT_EQ(DoubtAbout(TwoFragments(1, 1, is_closed), Bookie(1)), Doubt::kEntriesAndFence);
    EXPECT_EQ(DoubtAbout(TwoFragments(1, 2, is_closed), Bookie(3)), Doubt::kNone);
  }
}

// With either index.
class LimboTest : public testing::TestWithParam<IndexFormat> {
 protected:
  static BookieOptions Options(FakePeers* peers) {
    BookieOptions options = BookieWorld::DefaultOptions();
    options.entry_source = peers->AsSource();
    options.index_format = GetParam();
    return options;
  }
  // A bookie of its first day, with a snapshot of that, has stored a ledger of five entries since,
  // and was started anew.
  void SetUp() override {
    Start();
    operator_ = std::make_unique<BookieOperator>(&world_);
    first_day_ = disk().TakeSnapshot();
    Restart();
    operator_->CreateLedger(kLedger);
    for (int64_t entry = 0; entry < 5; ++entry) {
      const wire::Request add = kRequests.Add(entry, Payload(entry), entry - 1);
      peers_.copies[{kLedger, EntryId(entry)}] = std::get<wire::AddRequest>(add.body).body;
      ASSERT_EQ(world_.CodeOfCall(add), ReplyCode::kOk);
    }
  }
  static std::string Payload(int64_t entry) { return StrCat("payload ", entry); }
  simulation::SimDisk& disk() { return world_.machine()->disk(); }
  void Start() {
    const absl::Status started = world_.Start();
    ASSERT_TRUE(started.ok()) << started;
  }
  void Restart() {
    world_.Kill();
    Start();
  }
  void SetBack() {
    world_.Kill();
    disk().RestoreSnapshot(first_day_);
    Start();
  }
  void RunFor(absl::Duration duration) {
    ASSERT_TRUE(world_.world().scheduler().RunFor(duration).ok());
  }
  ReplyCode CodeOfRead(int64_t entry) { return world_.CodeOfCall(kRequests.Read(entry)); }
  int64_t LedgersInLimbo() { return world_.bookie()->Status().limbo.ledgers; }
  void ExpectAll() {
    for (int64_t entry = 0; entry < 5; ++entry) {
      const wire::Reply reply = world_.Call(ProtocolVersion::kV3, kRequests.Read(entry));
      ASSERT_EQ(reply.code, ReplyCode::kOk) << entry;
      EXPECT_EQ(kRequests.PayloadOf(std::get<wire::ReadReply>(reply.body).body, entry),
                Payload(entry));
    }
  }
  bool HasLogged(std::string_view text) {
    return std::ranges::any_of(world_.log().lines(), [text](const std::string& line) {
      return line.find(text) != std::string::npos;
    });
  }

  FakePeers peers_;
  BookieWorld world_{1, Options(&peers_)};
  std::unique_ptr<BookieOperator> operator_;
  std::shared_ptr<const simulation::Inode> first_day_;
};

INSTANTIATE_TEST_SUITE_P(Formats, LimboTest,
                         testing::Values(IndexFormat::kFiles, IndexFormat::kExtents));

TEST_P(LimboTest, ABookieThatWasSetBackDeniesNothing) {
  SetBack();
  EXPECT_TRUE(HasLogged("this bookie has lost data"));
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(LedgersInLimbo(), 1);
    const LedgerRequests wrong{kLedger, "other password"};
    EXPECT_EQ(world_.CodeOfCall(wrong.FencingRead(0)), ReplyCode::kUnauthorized);
    EXPECT_EQ(CodeOfRead(0), ReplyCode::kUnknownLedgerState);
    EXPECT_EQ(CodeOfRead(-1), ReplyCode::kUnknownLedgerState);
    EXPECT_EQ(world_.Call(ProtocolVersion::kV2, kRequests.Read(0)).code, ReplyCode::kIoError);
    EXPECT_EQ(world_.CodeOfCall(kRequests.ReadLac()), ReplyCode::kUnknownLedgerState);
    EXPECT_EQ(world_.CodeOfCall(kRequests.ListEntries()), ReplyCode::kUnknownLedgerState);
    EXPECT_EQ(world_.CodeOfCall(kRequests.LongPoll(-1, 10)), ReplyCode::kUnknownLedgerState);
    // It may have answered a fence.
    EXPECT_EQ(world_.CodeOfCall(kRequests.Add(9, "late")), ReplyCode::kFenced);
    EXPECT_EQ(world_.CodeOfCall(kRequests.FencingRead(4)), ReplyCode::kUnknownLedgerState);
    if (round == 0) Restart();
    if (round == 1) {
      world_.PowerCut();
      Start();
    }
  }
}

TEST_P(LimboTest, LedgersThatAreMadeLaterAreAsEver) {
  SetBack();
  operator_->CreateLedger(kLater);
  EXPECT_EQ(world_.CodeOfCall(kLaterRequests.Add(0, "zero")), ReplyCode::kOk);
  EXPECT_EQ(world_.CodeOfCall(kLaterRequests.Read(0)), ReplyCode::kOk);
  EXPECT_EQ(world_.CodeOfCall(kLaterRequests.Read(1)), ReplyCode::kNoSuchEntry);
  EXPECT_EQ(world_.CodeOfCall(LedgerRequests{LedgerId(9)}.Read(0)), ReplyCode::kNoSuchLedger);
  Restart();
  EXPECT_EQ(LedgersInLimbo(), 1);
  EXPECT_EQ(world_.CodeOfCall(kLaterRequests.Read(1)), ReplyCode::kNoSuchEntry);
}

TEST_P(LimboTest, ARecoverysCopiesAreTakenAndServed) {
  SetBack();
  EXPECT_EQ(world_.CodeOfCall(kRequests.RecoveryAdd(2, Payload(2), 1)), ReplyCode::kOk);
  EXPECT_EQ(CodeOfRead(2), ReplyCode::kOk);
  EXPECT_EQ(CodeOfRead(3), ReplyCode::kUnknownLedgerState);
}

TEST_P(LimboTest, AClosedLedgerIsHealedFromPeersAndLeavesLimbo) {
  SetBack();
  RunFor(absl::Minutes(3));
  EXPECT_EQ(LedgersInLimbo(), 1) << "it is open: what it had is not known";
  const std::string record =
      StrCat("/stele/", operator_->ReadNode("/ledgers/INSTANCEID"), "/limbo/bookie:3181");
  EXPECT_NE(operator_->ReadNode(record), "");
  operator_->CloseLedger(kLedger, EntryId(4));
  RunFor(absl::Minutes(3));
  EXPECT_EQ(LedgersInLimbo(), 0);
  EXPECT_FALSE(operator_->Exists(kMark));
  EXPECT_TRUE(HasLogged("has left limbo"));
  for (int round = 0; round < 2; ++round) {
    ExpectAll();
    EXPECT_EQ(CodeOfRead(5), ReplyCode::kNoSuchEntry);
    world_.PowerCut();
    Start();
    EXPECT_EQ(world_.bookie()->Status().limbo.since, std::nullopt);
  }
}

TEST_P(LimboTest, WithoutACopyALedgerStaysInLimbo) {
  peers_.copies.erase({kLedger, EntryId(3)});
  SetBack();
  operator_->CloseLedger(kLedger, EntryId(4));
  RunFor(absl::Minutes(3));
  EXPECT_EQ(LedgersInLimbo(), 1);
  EXPECT_EQ(CodeOfRead(2), ReplyCode::kOk);
  EXPECT_EQ(CodeOfRead(3), ReplyCode::kUnknownLedgerState);
}

// Its disk may be sound: it lacks what it lacks because it has lost data.
TEST_P(LimboTest, WhatIsHealedIsNoDamageThatEndsWriting) {
  world_.options().scrub.damage_max = 3;
  operator_->CloseLedger(kLedger, EntryId(4));
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile(kEntryLog);
  operator_->RemoveFile(kLedgersAge);
  Start();
  EXPECT_EQ(LedgersInLimbo(), 1);
  RunFor(absl::Minutes(3));
  EXPECT_TRUE(HasLogged("damage on disk"));
  EXPECT_EQ(LedgersInLimbo(), 0);
  ExpectAll();
  EXPECT_EQ(world_.bookie()->Status().scrub.damaged, 0);
  operator_->CreateLedger(kLater);
  EXPECT_EQ(world_.CodeOfCall(kLaterRequests.Add(0, "zero")), ReplyCode::kOk);
}

TEST_P(LimboTest, ADeletedLedgerLeavesLimbo) {
  world_.options().gc_interval = absl::Seconds(10);
  SetBack();
  operator_->DeleteLedger(kLedger);
  RunFor(absl::Minutes(10));
  EXPECT_EQ(LedgersInLimbo(), 0);
  EXPECT_FALSE(operator_->Exists(kMark));
}

// All is there, but for the number.
TEST_P(LimboTest, ADirectoryWithoutAnAgeIsBehindAndWhatItHasIsServed) {
  operator_->CloseLedger(kLedger, EntryId(4));
  peers_.copies.clear();
  for (const char* age : {kJournalAge, kLedgersAge}) {
    world_.Kill();
    operator_->RemoveFile(age);
    Start();
    EXPECT_EQ(LedgersInLimbo(), 1) << age;
    ExpectAll();
    EXPECT_EQ(CodeOfRead(5), ReplyCode::kUnknownLedgerState);
    RunFor(absl::Seconds(10));
    EXPECT_EQ(LedgersInLimbo(), 0);
    EXPECT_EQ(CodeOfRead(5), ReplyCode::kNoSuchEntry);
  }
  EXPECT_EQ(peers_.asked, 0);
}

class LimboOfIndexFilesTest : public LimboTest {};
INSTANTIATE_TEST_SUITE_P(Formats, LimboOfIndexFilesTest, testing::Values(IndexFormat::kFiles));

// The log has its entries.
TEST_P(LimboOfIndexFilesTest, ALedgerWithoutItsIndexIsInLimboUntilItIsFoundInTheLogs) {
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile(kIndexFile);
  operator_->RemoveFile(kLedgersAge);
  peers_.copies.clear();
  for (int round = 0; round < 2; ++round) {
    Start();
    EXPECT_EQ(LedgersInLimbo(), 1) << round;
    EXPECT_EQ(CodeOfRead(0), ReplyCode::kUnknownLedgerState);
    world_.Kill();
  }
  Start();
  RunFor(absl::Minutes(3));
  EXPECT_EQ(LedgersInLimbo(), 1) << "it is open";
  EXPECT_EQ(CodeOfRead(5), ReplyCode::kUnknownLedgerState);
  operator_->CloseLedger(kLedger, EntryId(4));
  RunFor(absl::Minutes(3));
  EXPECT_EQ(LedgersInLimbo(), 0);
  ExpectAll();
  EXPECT_EQ(CodeOfRead(5), ReplyCode::kNoSuchEntry);
}

TEST_P(LimboOfIndexFilesTest, ALedgerWithoutItsIndexThatIsDeletedLeavesLimbo) {
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile(kIndexFile);
  operator_->RemoveFile(kLedgersAge);
  Start();
  EXPECT_EQ(LedgersInLimbo(), 1);
  operator_->DeleteLedger(kLedger);
  RunFor(absl::Minutes(3));
  EXPECT_EQ(LedgersInLimbo(), 0);
  EXPECT_FALSE(operator_->Exists(kMark));
}

TEST_P(LimboTest, ANumberThatRottedCountsAsLost) {
  world_.Kill();
  operator_->Overwrite(kLedgersAge, 0, "x");
  Start();
  EXPECT_EQ(LedgersInLimbo(), 1);
}

TEST_P(LimboTest, TheAgeIsRaisedWhileItRuns) {
  const int64_t at_start = world_.bookie()->Status().limbo.data_age;
  const auto running = disk().TakeSnapshot();
  RunFor(3 * kRaiseInterval);
  EXPECT_GT(world_.bookie()->Status().limbo.data_age, at_start + 1);
  world_.Kill();
  disk().RestoreSnapshot(running);
  Start();
  EXPECT_EQ(LedgersInLimbo(), 1);
}

TEST_P(LimboTest, NeitherCrashesNorAnExpansionAreALoss) {
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
TEST_P(LimboTest, AnExpansionThatDiesIsNoLossEither) {
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

TEST_P(LimboTest, ADirectoryThatCannotBeWrittenIsNotBehindAfterwards) {
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

TEST_P(LimboTest, AnAgeInTheStoreThatIsNoneIsNotPassedOver) {
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
TEST_P(LimboTest, AStartThatDiesOnTheWayIntoLimboIsFollowedByOneThatKnows) {
  class DieAt final : public simulation::FileFaults {
   public:
    explicit DieAt(int number) : left_(number) {}
    absl::Status BeforeOperation(const simulation::FileRequest& request) override {
      if (request.operation == FileOperation::kRead) return absl::OkStatus();
      return left_-- > 0 ? absl::OkStatus() : MakeError(ErrorCode::kIoError, "it ends here");
    }
    bool has_struck() const { return left_ < 0; }

   private:
    int left_;
  };
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
TEST_P(LimboTest, OnAFullDiskItIsFoundAgainByTheNextStart) {
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
  disk().set_faults(nullptr);
  Start();
  EXPECT_EQ(CodeOfRead(0), ReplyCode::kUnknownLedgerState);
}

}  // namespace
}  // namespace stele::bookie
