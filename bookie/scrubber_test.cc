// What a scrub finds in a whole bookie, how it is answered, and what a peer's copy repairs.
#include "bookie/scrubber.h"

#include <algorithm>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "bookie/testing/bookie_operator.h"
#include "bookie/testing/bookie_world.h"
#include "bookie/testing/fake_peers.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

using wire::ProtocolVersion;
using wire::ReplyCode;

constexpr LedgerId kLedger{7};
const LedgerRequests kRequests{kLedger};
constexpr char kIndexFile[] = "/data/ledgers/current/0/7/7.idx";
constexpr char kEntryLog[] = "/data/ledgers/current/0.log";

Task<void> ScrubTask(Bookie* bookie, absl::Status* status) { *status = co_await bookie->Scrub(); }

class ScrubberTest : public testing::Test {
 protected:
  static BookieOptions Options(FakePeers* peers) {
    BookieOptions options = BookieWorld::DefaultOptions();
    options.entry_source = peers->AsSource();
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
      EXPECT_EQ(world_.PayloadOfRead(kRequests, entry), Payload(entry));
    }
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
  // A run of entries ends before it, whatever was read ahead.
  const wire::Reply batch = world_.Call(ProtocolVersion::kV2, kRequests.BatchRead(0, 5, 1 << 20));
  EXPECT_EQ(std::get<wire::BatchReadReply>(batch.body).bodies.size(), 3u);
  EXPECT_EQ(CodeOfRead(5), ReplyCode::kNoSuchEntry);
}

TEST_F(ScrubberTest, F27F50RotIsReplacedByAPeersCopyForGood) {
  operator_->Overwrite(kEntryLog, Find("payload 3") + 100, "rot");
  const uint64_t head_of_1 = Find("payload 1") - 36 - 4;
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

TEST_F(ScrubberTest, F29ZeroedLocationsComeBackFromTheLogs) {
  operator_->CloseLedger(kLedger, EntryId(4));
  ASSERT_TRUE(world_.Stop().ok());
  operator_->Overwrite(kIndexFile, 1024, std::string(512, '\0'));
  Start();
  EXPECT_EQ(CodeOfRead(3), ReplyCode::kUnknownLedgerState);
  Scrub();
  EXPECT_EQ(Stats().locations_found, 5);
  EXPECT_EQ(Stats().ledgers_proven, 1);
  EXPECT_EQ(peers_.asked, 0);
  for (int round = 0; round < 2; ++round) {
    ExpectAll();
    EXPECT_EQ(CodeOfRead(5), ReplyCode::kNoSuchEntry);
    Restart();
  }
}

TEST_F(ScrubberTest, F29ZeroedLocationsAreFoundBeforeSomebodyAsks) {
  Add(64);
  ASSERT_TRUE(world_.Stop().ok());
  operator_->Overwrite(kIndexFile, 1024, std::string(512, '\0'));
  Start();
  Scrub();
  EXPECT_EQ(Stats().locations_found, 5);
  EXPECT_EQ(Stats().ledgers_uncertain, 1);
  ExpectAll();
  EXPECT_EQ(CodeOfRead(5), ReplyCode::kUnknownLedgerState);
}

TEST_F(ScrubberTest, F28WhatNeitherIndexNorLogsHaveComesFromPeers) {
  operator_->CloseLedger(kLedger, EntryId(4));
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile(kIndexFile);
  operator_->Overwrite(kEntryLog, Find("payload 2") - 36 - 4, std::string(16, '\x55'));
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

TEST_F(ScrubberTest, AStopEndsThePassThatRuns) {
  world_.options().scrub = {.enabled = true, .first = absl::Seconds(1), .bytes_per_second = 100};
  Restart();
  ASSERT_TRUE(world_.world().scheduler().RunFor(absl::Seconds(3)).ok());
  EXPECT_EQ(Stats().passes, 0);
  const MonotonicTime asked = world_.world().scheduler().Now();
  ASSERT_TRUE(world_.Stop().ok());
  EXPECT_LT(world_.world().scheduler().Now() - asked, absl::Seconds(5));
}

// Entries that only the journal has, and memory.
class JournalScrubTest : public ScrubberTest {
 protected:
  void SetUp() override {
    world_.options().flush_interval = absl::Hours(1);
    ScrubberTest::SetUp();
    for (int64_t entry = 5; entry < 10; ++entry) Add(entry);
    for (const std::string& name : operator_->List(kJournals)) {
      if (name.ends_with(".txn")) file_ = StrCat(kJournals, "/", name);
    }
  }
  bool HasLogged(std::string_view text) {
    return std::ranges::any_of(world_.log().lines(), [text](const std::string& line) {
      return line.find(text) != std::string::npos;
    });
  }
  void ExpectAllAfterACrash() {
    world_.PowerCut();
    Start();
    for (int64_t entry = 0; entry < 10; ++entry) EXPECT_EQ(CodeOfRead(entry), ReplyCode::kOk);
  }

  static constexpr char kJournals[] = "/data/journal/current";
  std::string file_;  // that is written
};

TEST_F(JournalScrubTest, WhatIsGoodIsReadAndLeftAlone) {
  Scrub();
  EXPECT_EQ(Stats().journal_damaged, 0);
  ExpectAllAfterACrash();
  EXPECT_EQ(world_.bookie()->Status().recovered.records, 6) << "five entries and their key";
}

TEST_F(JournalScrubTest, F50RotIsFollowedByACheckpointBeforeACrashComes) {
  const size_t at = operator_->ReadFile(file_).find(Payload(7));
  ASSERT_NE(at, std::string::npos);
  operator_->Overwrite(file_, at, "#");
  Scrub();
  EXPECT_EQ(Stats().journal_damaged, 1);
  EXPECT_EQ(Stats().damaged, 1);
  EXPECT_TRUE(HasLogged("damage in the journal"));
  EXPECT_TRUE(HasLogged("needed no more"));
  Scrub();
  EXPECT_EQ(Stats().journal_damaged, 1) << "nothing looks there any more";
  Add(10);
  ExpectAllAfterACrash();
  EXPECT_EQ(CodeOfRead(10), ReplyCode::kOk);
}

TEST_F(JournalScrubTest, F50ALostHeaderIsWrittenAnew) {
  operator_->Overwrite(file_, 0, std::string(512, '\0'));
  Scrub();
  EXPECT_EQ(Stats().journal_damaged, 1);
  Add(10);
  ExpectAllAfterACrash();
  EXPECT_EQ(CodeOfRead(10), ReplyCode::kOk);
}

TEST_F(JournalScrubTest, WhileTheDiskTakesNoCheckpointEachPassSaysSo) {
  operator_->Overwrite(file_, operator_->ReadFile(file_).find(Payload(7)), "#");
  world_.machine()->disk().set_size_bytes(world_.machine()->disk().used_bytes());
  Scrub();
  EXPECT_TRUE(HasLogged("the damaged journal is still needed"));
  Scrub();
  EXPECT_EQ(Stats().journal_damaged, 2);
  world_.machine()->disk().set_size_bytes(uint64_t{1} << 40);
  Scrub();
  Scrub();
  EXPECT_EQ(Stats().journal_damaged, 3);
  ExpectAllAfterACrash();
}

TEST_F(ScrubberTest, TooMuchDamageMakesItReadOnly) {
  world_.options().scrub.damage_max = 3;
  ASSERT_TRUE(world_.Stop().ok());
  operator_->RemoveFile(kEntryLog);
  Start();
  Scrub();
  EXPECT_EQ(world_.CodeOfCall(kRequests.Add(5, "x")), ReplyCode::kReadOnly);
}

}  // namespace
}  // namespace stele::bookie
