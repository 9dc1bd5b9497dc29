// What a scrub finds in a whole bookie, how it is answered, and what a peer's copy repairs.
#include "bookie/scrubber.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/index_repair.h"
#include "bookie/testing/bookie_operator.h"
#include "bookie/testing/bookie_world.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

using wire::ProtocolVersion;
using wire::ReplyCode;

constexpr LedgerId kLedger{7};
const LedgerRequests kRequests{kLedger};
constexpr char kIndexFile[] = "/data/ledgers/current/0/7/7.idx";
constexpr char kEntryLog[] = "/data/ledgers/current/0.log";

// The other bookies of the ledger.
class FakePeers final : public EntrySource {
 public:
  Task<absl::StatusOr<Buffer>> Fetch(LedgerId ledger, EntryId entry) override {
    ++asked;
    const auto found = copies.find({ledger, entry});
    if (found == copies.end()) co_return MakeError(ErrorCode::kReadFailed, "no peer has it");
    co_return found->second;
  }
  std::map<std::pair<LedgerId, EntryId>, Buffer> copies;
  int asked = 0;
};

Task<void> ScrubTask(Bookie* bookie, absl::Status* status) { *status = co_await bookie->Scrub(); }

class ScrubberTest : public testing::Test {
 protected:
  static BookieOptions Options(EntrySource* source) {
    BookieOptions options = BookieWorld::DefaultOptions();
    options.entry_source = source;
    return options;
  }
  void SetUp() override {
    ASSERT_TRUE(world_.Start().ok());
    operator_ = std::make_unique<BookieOperator>(&world_);
    operator_->CreateLedger(kLedger);
    for (int64_t entry = 0; entry < 5; ++entry) Add(entry);
    Restart();
  }
  static std::string Payload(int64_t entry) {
    return StrCat("payload ", entry, std::string(2'000, 'p'));
  }
  void Add(int64_t entry) {
    const wire::Request add = kRequests.Add(entry, Payload(entry), entry - 1);
    peers_.copies[{kLedger, EntryId(entry)}] = std::get<wire::AddRequest>(add.body).body;
    ASSERT_EQ(world_.CodeOfCall(add), ReplyCode::kOk);
  }
  // After a stop everything is on disk, and only there.
  void Restart() {
    ASSERT_TRUE(world_.Stop().ok());
    Start();
  }
  void Start() {
    const absl::Status started = world_.Start();
    ASSERT_TRUE(started.ok()) << started;
  }
  void Scrub() {
    absl::Status status = absl::UnknownError("did not end");
    world_.Run(ScrubTask(world_.bookie(), &status));
    EXPECT_TRUE(status.ok()) << status;
  }
  ScrubStats Stats() { return world_.bookie()->Status().scrub; }
  ReplyCode CodeOfRead(int64_t entry) { return world_.CodeOfCall(kRequests.Read(entry)); }
  void ExpectAll() {
    for (int64_t entry = 0; entry < 5; ++entry) {
      const wire::Reply reply = world_.Call(ProtocolVersion::kV3, kRequests.Read(entry));
      ASSERT_EQ(reply.code, ReplyCode::kOk) << entry;
      EXPECT_EQ(kRequests.PayloadOf(std::get<wire::ReadReply>(reply.body).body, entry),
                Payload(entry));
    }
  }
  std::string NewestJournal() {
    const std::vector<std::string> names = operator_->List("/data/journal/current");
    std::string newest;
    for (const std::string& name : names) {
      if (name.ends_with(".txn")) newest = std::max(newest, name);
    }
    return "/data/journal/current/" + newest;
  }
  // Where the log has `text`.
  uint64_t Find(std::string_view text) {
    const size_t found = operator_->ReadFile(kEntryLog).find(text);
    EXPECT_NE(found, std::string::npos);
    return found;
  }

  FakePeers peers_;
  BookieWorld world_{1, Options(&peers_)};
  std::unique_ptr<BookieOperator> operator_;
};

TEST_F(ScrubberTest, WhatIsGoodIsReadAndLeftAlone) {
  Scrub();
  EXPECT_EQ(Stats().entries, 5);
  EXPECT_GT(Stats().bytes, 5 * 2'000u);
  EXPECT_EQ(Stats().damaged, 0);
  EXPECT_EQ(peers_.asked, 0);
}

TEST_F(ScrubberTest, F50RotInAPayloadIsToldAndAnsweredAsDamage) {
  peers_.copies.clear();
  operator_->Overwrite(kEntryLog, Find("payload 3") + 100, "rot");
  EXPECT_EQ(CodeOfRead(3), ReplyCode::kOk) << "nobody has looked yet";
  Scrub();
  EXPECT_EQ(Stats().damaged, 1);
  EXPECT_EQ(Stats().repaired, 0);
  EXPECT_EQ(CodeOfRead(3), ReplyCode::kIoError);
  EXPECT_EQ(CodeOfRead(2), ReplyCode::kOk);
  EXPECT_EQ(CodeOfRead(5), ReplyCode::kNoSuchEntry);
}

TEST_F(ScrubberTest, F27F50RotIsReplacedByAPeersCopyForGood) {
  operator_->Overwrite(kEntryLog, Find("payload 3") + 100, "rot");
  const uint64_t head_of_1 = Find("payload 1") - 36 - 20;
  operator_->Overwrite(kEntryLog, head_of_1, std::string(16, '\x55'));
  EXPECT_EQ(CodeOfRead(1), ReplyCode::kIoError);
  Scrub();
  EXPECT_EQ(Stats().damaged, 2);
  EXPECT_EQ(Stats().repaired, 2);
  ExpectAll();
  world_.PowerCut();
  Start();
  ExpectAll();
  Scrub();
  EXPECT_EQ(Stats().damaged, 0);
}

TEST_F(ScrubberTest, APeersCopyThatFailsItsDigestIsNotTaken) {
  std::string wrong = peers_.copies[{kLedger, EntryId(3)}].ToString();
  wrong.back() ^= 1;
  peers_.copies[{kLedger, EntryId(3)}] = Buffer::FromString(wrong);
  operator_->Overwrite(kEntryLog, Find("payload 3") + 100, "rot");
  Scrub();
  EXPECT_EQ(Stats().repaired, 0);
  EXPECT_EQ(CodeOfRead(3), ReplyCode::kIoError);
}

TEST_F(ScrubberTest, F32ALostEntryLogIsFilledFromPeers) {
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile(kEntryLog);
  Start();
  EXPECT_EQ(CodeOfRead(0), ReplyCode::kIoError);
  Scrub();
  EXPECT_EQ(Stats().repaired, 5);
  ExpectAll();
}

TEST_F(ScrubberTest, F28ALostIndexFileComesBackFromTheLogsAndIsProvenByMetadata) {
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile(kIndexFile);
  Start();
  EXPECT_EQ(CodeOfRead(0), ReplyCode::kUnknownLedgerState);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(5, "x")), ReplyCode::kUnknownLedgerState);
  EXPECT_EQ(world_.CodeOfCall(LedgerRequests{LedgerId(8)}.Read(0)), ReplyCode::kNoSuchLedger);
  Scrub();
  EXPECT_EQ(Stats().locations_found, 5);
  EXPECT_EQ(Stats().ledgers_uncertain, 1);
  ExpectAll();
  // The ledger is open: what it may have had more is not known, and it counts as fenced.
  EXPECT_EQ(CodeOfRead(5), ReplyCode::kUnknownLedgerState);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(5, "x")), ReplyCode::kFenced);
  Restart();
  EXPECT_EQ(CodeOfRead(5), ReplyCode::kUnknownLedgerState);
  operator_->CloseLedger(kLedger, EntryId(4));
  Scrub();
  EXPECT_EQ(Stats().ledgers_proven, 1);
  EXPECT_EQ(peers_.asked, 0);
  EXPECT_EQ(CodeOfRead(5), ReplyCode::kNoSuchEntry);
  Restart();
  EXPECT_EQ(CodeOfRead(5), ReplyCode::kNoSuchEntry);
  ExpectAll();
}

Task<void> RepairTask(Env env, IndexRepairOptions options,
                      absl::StatusOr<IndexRepairReport>* report) {
  *report = co_await RepairIndexes(env, std::move(options));
}

TEST_F(ScrubberTest, F28ALostIndexFileIsRebuiltOffline) {
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile(kIndexFile);
  absl::StatusOr<IndexRepairReport> report = absl::UnknownError("did not end");
  const IndexRepairOptions options{.ledger_directories = {"/data/ledgers/current"}};
  operator_->Run([&](Env env) { return RepairTask(env, options, &report); });
  ASSERT_TRUE(report.ok()) << report.status();
  EXPECT_EQ(report->without_index, std::vector<LedgerId>{kLedger});
  EXPECT_EQ(report->locations_found, 5);
  Start();
  operator_->Run([&](Env env) { return RepairTask(env, options, &report); });
  EXPECT_EQ(CodeOf(report.status()), ErrorCode::kOverloaded) << "the bookie runs";
  ExpectAll();
  EXPECT_EQ(CodeOfRead(5), ReplyCode::kUnknownLedgerState);
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(5, "x")), ReplyCode::kFenced);
}

TEST_F(ScrubberTest, F28WhatNeitherIndexNorLogsHaveComesFromPeers) {
  operator_->CloseLedger(kLedger, EntryId(4));
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile(kIndexFile);
  operator_->Overwrite(kEntryLog, Find("payload 2") - 36 - 20, std::string(16, '\x55'));
  Start();
  const Buffer copy = peers_.copies[{kLedger, EntryId(2)}];
  peers_.copies.clear();
  Scrub();
  EXPECT_EQ(Stats().ledgers_proven, 0);
  EXPECT_EQ(CodeOfRead(2), ReplyCode::kUnknownLedgerState);
  peers_.copies[{kLedger, EntryId(2)}] = copy;
  Scrub();
  EXPECT_EQ(Stats().ledgers_proven, 1);
  ExpectAll();
  EXPECT_EQ(CodeOfRead(5), ReplyCode::kNoSuchEntry);
}

TEST_F(ScrubberTest, AKilledProcessLeavesNoUncertainLedger) {
  for (int64_t ledger = 100; ledger < 160; ++ledger) {
    const LedgerRequests requests{LedgerId(ledger)};
    ASSERT_EQ(world_.CodeOfCall(requests.Add(0, std::string(9'000, 'x'))), ReplyCode::kOk);
    if (ledger % 7 != 0) continue;
    world_.Kill();
    Start();
    for (int64_t known = 100; known <= ledger; ++known) {
      const LedgerRequests old{LedgerId(known)};
      EXPECT_EQ(world_.CodeOfCall(old.Read(0)), ReplyCode::kOk);
      EXPECT_EQ(world_.CodeOfCall(old.Read(1)), ReplyCode::kNoSuchEntry);
    }
  }
}

TEST_F(ScrubberTest, TooMuchDamageMakesItReadOnly) {
  world_.options().scrub.damage_max = 3;
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile(kEntryLog);
  Start();
  Scrub();
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(5, "x")), ReplyCode::kReadOnly);
}

// The damage lies where a replay would have to read: a checkpoint makes it harmless.
TEST_F(ScrubberTest, RotInTheJournalIsToldAndPassedByACheckpoint) {
  world_.options().flush_interval = absl::Hours(1);
  Restart();
  Add(5);
  Add(6);
  Add(7);
  ASSERT_TRUE(world_.world().scheduler().RunFor(absl::Seconds(1)).ok());
  const std::string journal = NewestJournal();
  const size_t at = operator_->ReadFile(journal).find("payload 6");
  ASSERT_NE(at, std::string::npos);
  operator_->Overwrite(journal, at, "rot");
  Scrub();
  EXPECT_TRUE(std::any_of(world_.log().lines().begin(), world_.log().lines().end(),
                          [](const std::string& line) {
                            return line.find("a journal has damage") != std::string::npos;
                          }));
  world_.PowerCut();
  Start();
  for (int64_t entry = 5; entry < 8; ++entry) EXPECT_EQ(CodeOfRead(entry), ReplyCode::kOk);
}

}  // namespace
}  // namespace stele::bookie
