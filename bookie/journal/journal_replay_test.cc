#include "bookie/journal/journal_replay.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/journal/journal_format.h"
#include "bookie/journal/testing/file_builder.h"
#include "bookie/journal/testing/journal_rig.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "simulation/sim_disk.h"

namespace stele::bookie {
namespace {

using Bodies = std::vector<std::string>;

constexpr size_t kBlock = kJournalBlockSizeBytes;

class ReplayTest : public testing::Test {
 protected:
  void Put(int64_t id, const std::string& content) { rig_.WriteFile(JournalFileName(id), content); }

  Replayed Replay(JournalMark mark = {},
                  ReplayOptions::OnDamage on_damage = ReplayOptions::OnDamage::kStop) {
    return rig_.Replay({.directory = kJournalDirectory, .mark = mark, .on_damage = on_damage});
  }
  Replayed ReplayTheRest(JournalMark mark = {}) {
    return Replay(mark, ReplayOptions::OnDamage::kReport);
  }

  // Replays and expects these entries, in order.
  ReplayReport Expect(const std::vector<int64_t>& entries, JournalMark mark = {}) {
    const Replayed replayed = Replay(mark);
    EXPECT_TRUE(replayed.status.ok()) << replayed.status;
    EXPECT_EQ(EntriesOf(replayed), entries);
    return replayed.report;
  }

  // Replays and expects kCorruptData that names file and offset; then that everything else can be
  // had.
  void ExpectDamage(int64_t id, size_t offset, const std::vector<int64_t>& rest,
                    JournalMark mark = {}) {
    const std::string path = StrCat(kJournalDirectory, "/", JournalFileName(id));
    const Replayed replayed = Replay(mark);
    EXPECT_EQ(CodeOf(replayed.status), ErrorCode::kCorruptData);
    EXPECT_NE(ToStd(replayed.status.message()).find(StrCat(path, " at offset ", offset, ": ")),
              std::string_view::npos)
        << replayed.status;
    const Replayed reported = ReplayTheRest(mark);
    EXPECT_TRUE(reported.status.ok()) << reported.status;
    EXPECT_EQ(EntriesOf(reported), rest);
    ASSERT_FALSE(reported.report.damage.empty());
    EXPECT_EQ(reported.report.damage[0].file, path);
    EXPECT_EQ(reported.report.damage[0].offset_bytes, static_cast<int64_t>(offset));
  }

  static std::vector<int64_t> EntriesOf(const Replayed& replayed) {
    std::vector<int64_t> entries;
    for (const std::string& body : replayed.bodies) {
      entries.push_back(LoadBigEndian<int64_t>(body.data() + 8));
    }
    return entries;
  }

  JournalRig rig_;
};

// ---- Java's files -------------------------------------------------------------------------------

using JavaReplayTest = ReplayTest;

TEST_F(JavaReplayTest, AllVersions) {
  for (int version = 1; version <= 6; ++version) {
    JavaFileBuilder file(version);
    file.Record(EntryBody(0)).Flush().Record(EntryBody(1)).Record(EntryBody(2)).Flush();
    if (version >= 3) file.Record(MakeMasterKeyRecord(LedgerId(7), "key").view());
    if (version >= 4) file.Record(MakeFenceRecord(LedgerId(7)).view());
    if (version >= 6) {
      file.Record(MakeExplicitLacRecord(LedgerId(7), std::string(16, 'p')).view());
    }
    const int64_t end = static_cast<int64_t>(file.size());
    file.Raw(std::string(1000, '\0'));
    Put(version, file.content());
    const Replayed replayed = Replay({version, 0});
    ASSERT_TRUE(replayed.status.ok()) << replayed.status;
    std::vector<int64_t> expected = {0, 1, 2};
    if (version >= 3) expected.push_back(kMasterKeyRecordId);
    if (version >= 4) expected.push_back(kFenceRecordId);
    if (version >= 6) expected.push_back(kExplicitLacRecordId);
    EXPECT_EQ(EntriesOf(replayed), expected);
    EXPECT_EQ(replayed.bodies[1], EntryBody(1));
    EXPECT_EQ(replayed.report.end, (JournalMark{version, end}));
    EXPECT_EQ(replayed.report.files, 1);
    EXPECT_EQ(replayed.report.records, static_cast<int64_t>(expected.size()));
    EXPECT_EQ(replayed.report.java_files.size(), 1u);
    EXPECT_TRUE(replayed.report.notes.empty());
  }
}

TEST_F(JavaReplayTest, PaddingOfNoBytesIsLegal) {
  JavaFileBuilder file(6);
  file.Record(EntryBody(0, std::string(512 - 8 - 20, 'x'))).Flush();
  ASSERT_EQ(file.size(), 1024u);
  Put(1, file.Record(EntryBody(1)).content());
  Expect({0, 1});
}

TEST_F(JavaReplayTest, CleanEnds) {
  std::string cut = FramedRecord(EntryBody(1));
  cut.resize(cut.size() - 1);
  for (const std::string& tail :
       {std::string(), std::string(3, '\0'), std::string(3, 'x'), std::string(4, '\0'), cut,
        std::string("\xff\xff\xff\x00", 4), std::string("\xff\xff\xff\x00\x00\x00\x00", 7),
        std::string("\xff\xff\xff\x00\x00\x00\x01\x00", 8)}) {
    JavaFileBuilder file(6);
    const size_t end = file.Record(EntryBody(0)).size();
    Put(1, file.Raw(tail).content());
    EXPECT_EQ(Expect({0}).end, (JournalMark{1, static_cast<int64_t>(end)}));
  }
}

TEST_F(JavaReplayTest, F5LengthsThatCannotBeStop) {
  for (const char* length : {"\x00\x00\x00\x01", "\x00\x00\x00\x0f", "\x7f\xff\xff\xff",
                             "\x80\x00\x00\x00", "\xff\xff\xff\xff", "\x00\x50\x00\x41"}) {
    JavaFileBuilder file(6);
    const size_t at = file.Record(EntryBody(0)).size();
    file.Raw(std::string_view(length, 4)).Raw(std::string(100, 'x'));
    Put(1, file.content());
    Put(2, JavaFileBuilder(6).Record(EntryBody(5)).content());
    ExpectDamage(1, at, {0, 5});
  }
}

TEST_F(JavaReplayTest, RecordsUpToTheLimitAreReadAcrossReads) {
  // The files are read in pieces of 4 MiB.
  JavaFileBuilder file(6);
  const std::string largest(5 * 1024 * 1024 + 64 - 16, 'L');
  for (int i = 0; i < 4; ++i) file.Record(EntryBody(i, largest)).Flush();
  file.Record(EntryBody(4));
  Put(1, file.content());
  Expect({0, 1, 2, 3, 4});
}

TEST_F(JavaReplayTest, DataBehindTheEndIsNoted) {
  JavaFileBuilder file(6);
  file.Record(EntryBody(0)).Raw(std::string(5'000'000, '\0')).Record(EntryBody(1));
  Put(1, file.content());
  const ReplayReport report = Expect({0});
  ASSERT_EQ(report.notes.size(), 1u);
  EXPECT_NE(report.notes[0].find("there is data"), std::string::npos);
}

TEST_F(JavaReplayTest, APaddingThatJumpsOutOfTheFileIsAnEndThatIsNoted) {
  JavaFileBuilder file(6);
  const size_t end = file.Record(EntryBody(0)).size();
  file.Raw(std::string_view("\xff\xff\xff\x00\x7f\xff\xff\xff", 8)).Record(EntryBody(1));
  Put(1, file.content());
  const ReplayReport report = Expect({0});
  EXPECT_EQ(report.notes.size(), 1u);
  EXPECT_EQ(report.end, (JournalMark{1, static_cast<int64_t>(end)}));
}

TEST_F(JavaReplayTest, StartsAtTheMark) {
  JavaFileBuilder file(6);
  const int64_t second = static_cast<int64_t>(file.Record(EntryBody(0)).size());
  const int64_t end = static_cast<int64_t>(file.Record(EntryBody(1)).size());
  file.Raw(std::string(600, '\0'));
  Put(5, file.content());
  Put(4, JavaFileBuilder(6).Record(EntryBody(8)).content());
  Put(6, JavaFileBuilder(6).Record(EntryBody(2)).content());
  Expect({8, 0, 1, 2});
  Expect({0, 1, 2}, {5, 0});
  Expect({0, 1, 2}, {5, 512});
  Expect({1, 2}, {5, second});
  Expect({2}, {5, end});
  Expect({2}, {5, end + 4});  // where Java's own replay leaves it
  Expect({2}, {6, -1});
  const ReplayReport report = Expect({}, {6, 1 << 20});  // F2
  EXPECT_EQ(report.end, (JournalMark{6, 1 << 20}));
}

TEST_F(JavaReplayTest, F6TheMarkedFileMustBeThere) {
  Put(6, JavaFileBuilder(6).Record(EntryBody(2)).content());
  ExpectDamage(5, 0, {2}, {5, 512});
  rig_.RemoveFile("6.txn");
  ExpectDamage(5, 0, {}, {5, 512});
}

TEST_F(JavaReplayTest, F7AGapInTheIdsStops) {
  Put(4, JavaFileBuilder(6).Record(EntryBody(0)).content());
  Put(5, JavaFileBuilder(6).Record(EntryBody(1)).content());
  Put(7, JavaFileBuilder(6).Record(EntryBody(2)).content());
  ExpectDamage(6, 0, {0, 1, 2});
  Expect({2}, {7, 512});
}

TEST_F(JavaReplayTest, F8EmptyOrHeaderOnlyNewestFilesAreEmpty) {
  Put(4, JavaFileBuilder(6).Record(EntryBody(0)).content());
  for (const std::string& newest :
       {std::string(), std::string(4096, '\0'), JavaFileBuilder(6).content(),
        JavaFileBuilder(6).content().substr(0, 8)}) {
    Put(5, newest);
    const Replayed replayed = Replay();
    EXPECT_EQ(EntriesOf(replayed), std::vector<int64_t>{0});
    EXPECT_EQ(replayed.report.files, 2);
  }
}

TEST_F(JavaReplayTest, GarbageAndUnknownVersionsStop) {
  Put(2, JavaFileBuilder(6).Record(EntryBody(5)).content());
  for (const std::string& garbage :
       {std::string("this is not a journal, and never was"),
        std::string("BKLG\x00\x00\x00\x07", 8) + std::string(504, '\0')}) {
    Put(1, garbage);
    ExpectDamage(1, 0, {5});
  }
}

TEST_F(JavaReplayTest, NamesThatAreNoIdsStop) {
  rig_.WriteFile("notes", "ignored");
  rig_.WriteFile("5.txn.pre", "ignored");
  EXPECT_TRUE(Replay().status.ok());
  rig_.WriteFile("zz.txn", "");
  EXPECT_EQ(CodeOf(Replay().status), ErrorCode::kCorruptData);
}

Task<absl::Status> FailAtSecond(int* calls) {
  if (++*calls == 2) co_return MakeError(ErrorCode::kDiskFull, "the storage is full");
  co_return absl::OkStatus();
}

Task<void> ReplayWithFailure(Env env, int* calls, absl::Status* to) {
  const absl::StatusOr<ReplayReport> report = co_await ReplayJournal(
      env, {.directory = kJournalDirectory}, [calls](Buffer) { return FailAtSecond(calls); });
  *to = report.status();
}

TEST_F(JavaReplayTest, AnErrorOfTheReceiverEndsTheReplay) {
  Put(1,
      JavaFileBuilder(6).Record(EntryBody(0)).Record(EntryBody(1)).Record(EntryBody(2)).content());
  int calls = 0;
  absl::Status status;
  rig_.Run(ReplayWithFailure(rig_.env, &calls, &status));
  EXPECT_EQ(CodeOf(status), ErrorCode::kDiskFull);
  EXPECT_EQ(calls, 2);
}

// ---- Stele's files ------------------------------------------------------------------------------

using SteleReplayTest = ReplayTest;

SteleFileBuilder FirstFile(int64_t id, uint64_t stream = 77) {
  return SteleFileBuilder({.stream_uuid = stream, .batch_size_max_bytes = 1 << 20, .file_id = id});
}
SteleFileBuilder NextFile(int64_t id, uint64_t stream = 77) {
  return SteleFileBuilder({.stream_uuid = stream,
                           .batch_size_max_bytes = 1 << 20,
                           .file_id = id,
                           .previous_file_id = id - 1});
}
Bodies One(int64_t entry) { return {EntryBody(entry)}; }

TEST_F(SteleReplayTest, GoodFilesInARow) {
  Put(4, FirstFile(4).Batch(1, 0, One(0)).Batch(2, 1, {EntryBody(1), EntryBody(2)}).content());
  const SteleFileBuilder second = NextFile(5).Batch(3, 2, One(3)).Batch(4, 3, {});
  Put(5, SteleFileBuilder(second).Zeros(10 * kBlock).content());
  const ReplayReport report = Expect({0, 1, 2, 3});
  EXPECT_EQ(report.end, (JournalMark{5, static_cast<int64_t>(second.size())}));
  EXPECT_EQ(report.torn_tails, 0);
  EXPECT_TRUE(report.notes.empty());
  EXPECT_TRUE(report.java_files.empty());
}

TEST_F(SteleReplayTest, F1ATornTailIsNoError) {
  SteleFileBuilder file = FirstFile(4).Batch(1, 0, One(0));
  const int64_t end = static_cast<int64_t>(file.size());
  Put(4, file.TornBatch(2, One(1)).Zeros(kBlock).content());
  const ReplayReport report = Expect({0});
  EXPECT_EQ(report.torn_tails, 1);
  EXPECT_EQ(report.notes.size(), 1u);
  EXPECT_EQ(report.end, (JournalMark{4, end}));
}

TEST_F(SteleReplayTest, F1AnIntactBatchBehindATornOneIsNotReplayed) {
  SteleFileBuilder file = FirstFile(4).Batch(1, 0, One(0));
  const JournalMark end{4, static_cast<int64_t>(file.size())};
  Put(4, file.TornBatch(2, One(1)).Batch(3, 1, One(2)).content());
  EXPECT_EQ(Expect({0}).end, end);
  // The next start, from that end, judges in the same way, whatever came after.
  Put(5, FirstFile(5, 78).Batch(1, 0, One(9)).content());
  EXPECT_EQ(Expect({9}, end).torn_tails, 1);
}

TEST_F(SteleReplayTest, F1ATornTailOverTwoFiles) {
  SteleFileBuilder file = FirstFile(4).Batch(1, 0, One(0));
  const JournalMark end{4, static_cast<int64_t>(file.size())};
  Put(4, file.TornBatch(2, One(1)).content());
  Put(5, NextFile(5).Batch(3, 1, One(2)).content());
  EXPECT_EQ(Expect({0}).end, end);
  // A write that never happened leaves zeros.
  Put(4, FirstFile(4).Batch(1, 0, One(0)).Zeros(3 * kBlock).content());
  const ReplayReport report = Expect({0});
  EXPECT_EQ(report.end, end);
  EXPECT_EQ(report.torn_tails, 1);
}

TEST_F(SteleReplayTest, F1TheFirstBatchOfAStreamMayBeTheTornOne) {
  Put(4, FirstFile(4).TornBatch(1, One(0)).Batch(2, 0, One(1)).content());
  EXPECT_EQ(Expect({}).end, (JournalMark{4, kBlock}));
}

TEST_F(SteleReplayTest, ABatchThatDoesNotBeginWhereTheOneBeforeEndsIsNone) {
  Put(4, FirstFile(4).Batch(1, 0, One(0)).Zeros(kBlock).Batch(2, 1, One(1)).content());
  EXPECT_EQ(Expect({0}).torn_tails, 1);
}

TEST_F(SteleReplayTest, F3DamageThatALaterFooterProvesStops) {
  SteleFileBuilder file = FirstFile(4).Batch(1, 0, One(0));
  const size_t at = file.size();
  file.Batch(2, 1, One(1)).Batch(3, 1, One(2)).Batch(4, 2, One(3)).Batch(5, 4, One(4));
  std::string content = file.content();
  content[at + 30] ^= 1;
  Put(4, content);
  ExpectDamage(4, at, {0, 2, 3, 4});
}

TEST_F(SteleReplayTest, F3TheProofMayLieInALaterFile) {
  SteleFileBuilder file = FirstFile(4).Batch(1, 0, One(0));
  const size_t at = file.size();
  std::string content = file.Batch(2, 1, One(1)).Batch(3, 1, One(2)).content();
  content[at + 30] ^= 1;
  Put(4, content);
  Put(5, NextFile(5).Batch(4, 2, One(3)).content());
  ExpectDamage(4, at, {0, 2, 3});
}

TEST_F(SteleReplayTest, F3SeveralHolesAndDamagedProofs) {
  SteleFileBuilder file = FirstFile(4).Batch(1, 0, One(0));
  const size_t first = file.size();
  file.Batch(2, 1, One(1)).Batch(3, 2, One(2));
  const size_t good = file.size();
  file.Batch(4, 3, One(3));
  const size_t second = file.size();
  file.Batch(5, 4, One(4)).Batch(6, 5, One(5)).Batch(7, 6, {});
  std::string content = file.content();
  content[first + 30] ^= 1;           // batch 2
  content[first + kBlock + 30] ^= 1;  // batch 3: its footer still claims 2
  content[second + 30] ^= 1;          // batch 5
  ASSERT_EQ(good, first + 2 * kBlock);
  Put(4, content);
  ExpectDamage(4, first, {0, 3, 5});
  EXPECT_EQ(ReplayTheRest().report.damage.size(), 2u);
}

TEST_F(SteleReplayTest, F50AWriteThatWasLostIsNoticed) {
  SteleFileBuilder file = FirstFile(4).Batch(1, 0, One(0));
  const size_t at = file.size();
  file.Batch(2, 1, One(1)).Batch(3, 2, One(2)).Batch(4, 3, {});
  std::string content = file.content();
  content.replace(at, kBlock, kBlock, '\0');
  Put(4, content);
  ExpectDamage(4, at, {0, 2});
}

TEST_F(SteleReplayTest, BatchesOfOtherPlacesAreNone) {
  SteleFileBuilder other = NextFile(5).Batch(2, 1, One(8));
  const std::string spliced = other.content().substr(kBlock);
  SteleFileBuilder good = FirstFile(4).Batch(1, 0, One(0));
  const std::string batch = good.content().substr(kBlock);
  // Its own first batch again, and one of another file whose place and sequence would fit.
  Put(4, SteleFileBuilder(good).Raw(batch).content());
  EXPECT_EQ(Expect({0}).torn_tails, 1);
  SteleFileBuilder elsewhere({.stream_uuid = 77, .batch_size_max_bytes = 1 << 20, .file_id = 6});
  elsewhere.Batch(1, 0, One(7)).Batch(2, 1, One(8));
  Put(4, SteleFileBuilder(good).Raw(elsewhere.content().substr(2 * kBlock)).content());
  EXPECT_EQ(Expect({0}).torn_tails, 1);
  SteleFileBuilder stranger = FirstFile(4, 99).Batch(1, 0, One(7)).Batch(2, 1, One(8));
  Put(4, SteleFileBuilder(good).Raw(stranger.content().substr(2 * kBlock)).content());
  EXPECT_EQ(Expect({0}).torn_tails, 1);
  // In the middle of acknowledged batches it is damage.
  SteleFileBuilder file = good;
  file.Batch(2, 1, One(1)).Batch(3, 2, One(2)).Batch(4, 3, {});
  std::string content = file.content();
  content.replace(2 * kBlock, kBlock, batch);
  Put(4, content);
  ExpectDamage(4, 2 * kBlock, {0, 2});
  EXPECT_EQ(spliced.size(), kBlock);
}

// A footer that says that its batch began before the end of the last good one says nothing.
TEST_F(SteleReplayTest, AFooterThatReachesIntoAGoodBatchIsNone) {
  const SteleFileBuilder good = FirstFile(4).Batch(1, 0, One(0));
  const SteleFileBuilder liar = FirstFile(4).Batch(9, 9, {EntryBody(7, std::string(kBlock, 'x'))});
  ASSERT_EQ(liar.size(), 3 * kBlock);
  Put(4, SteleFileBuilder(good).Raw(liar.content().substr(2 * kBlock)).content());
  EXPECT_EQ(Expect({0}).torn_tails, 1);
}

TEST_F(SteleReplayTest, F2ATruncatedTailEndsAndAClaimElsewhereIsDamage) {
  const SteleFileBuilder file = FirstFile(4).Batch(1, 0, One(0)).Batch(2, 1, One(1));
  for (const size_t size : {2 * kBlock, 2 * kBlock + 1, 3 * kBlock - 1}) {
    Put(4, file.content().substr(0, size));
    EXPECT_EQ(Expect({0}).end, (JournalMark{4, 2 * kBlock}));
  }
  Put(5, NextFile(5).Batch(3, 2, One(2)).content());
  ExpectDamage(4, 2 * kBlock, {0, 2});
}

TEST_F(SteleReplayTest, F8AHeaderOnlyNewestFileIsEmpty) {
  Put(4, FirstFile(4).Batch(1, 0, One(0)).content());
  Put(5, NextFile(5).Zeros(4 * kBlock).content());
  EXPECT_EQ(Expect({0}).torn_tails, 0);
  Put(6, FirstFile(6, 78).Zeros(4 * kBlock).content());
  const ReplayReport report = Expect({0});
  EXPECT_EQ(report.end, (JournalMark{6, kBlock}));
  Expect({}, report.end);
}

TEST_F(SteleReplayTest, StreamsFollowEachOtherAndJavaFiles) {
  Put(3, JavaFileBuilder(6).Record(EntryBody(0)).content());
  Put(4, FirstFile(4, 70).Batch(1, 0, One(1)).TornBatch(2, One(9)).content());
  Put(5, FirstFile(5, 71).Batch(1, 0, One(2)).content());
  Put(6, JavaFileBuilder(5).Record(EntryBody(3)).content());
  Put(7, FirstFile(7, 72).Batch(1, 0, One(4)).content());
  const ReplayReport report = Expect({0, 1, 2, 3, 4});
  EXPECT_EQ(report.torn_tails, 1);
  EXPECT_EQ(report.java_files.size(), 2u);
}

TEST_F(SteleReplayTest, StartsAtTheMark) {
  SteleFileBuilder file = FirstFile(4).Batch(1, 0, One(0));
  const int64_t second = static_cast<int64_t>(file.size());
  const int64_t end = static_cast<int64_t>(file.Batch(2, 1, One(1)).size());
  Put(4, file.Zeros(2 * kBlock).content());
  Put(5, FirstFile(5, 78).Batch(1, 0, One(2)).content());
  Expect({0, 1, 2}, {4, 0});
  Expect({0, 1, 2}, {4, 512});
  Expect({1, 2}, {4, second});
  Expect({1, 2}, {4, second + 4});  // Java's replay of such a file would leave this one
  Expect({2}, {4, end});
  Expect({2}, {4, end + 4});
  Expect({2}, {4, 1 << 20});  // F2
  Expect({2}, {5, 0});
}

TEST_F(SteleReplayTest, DamageBehindTheMarkIsJudgedByTheBatchBeforeIt) {
  SteleFileBuilder file = FirstFile(4).Batch(1, 0, One(0));
  const size_t mark = file.size();
  file.Batch(2, 1, One(1)).Batch(3, 1, One(2));
  std::string torn = file.content();
  torn[mark + 30] ^= 1;
  Put(4, torn);
  Expect({}, {4, static_cast<int64_t>(mark)});
  std::string acked = file.Batch(4, 2, One(3)).content();
  acked[mark + 30] ^= 1;
  Put(4, acked);
  ExpectDamage(4, mark, {2, 3}, {4, static_cast<int64_t>(mark)});
  // Damage before the mark hurts nobody, but for the batch that tells where the mark is.
  std::string before = file.content();
  before[kBlock + 30] ^= 1;
  Put(4, before);
  Expect({1, 2, 3}, {4, static_cast<int64_t>(mark)});
}

TEST_F(SteleReplayTest, AHoleThatNobodyCanJudgeStops) {
  SteleFileBuilder file = FirstFile(4).Batch(1, 0, One(0));
  const size_t mark = file.size();
  std::string content = file.Batch(2, 1, One(1)).Batch(3, 1, One(2)).content();
  content[mark - 1] ^= 1;  // the footer before the mark
  Put(4, content);
  Expect({1, 2}, {4, static_cast<int64_t>(mark)});
  content[mark + 30] ^= 1;
  Put(4, content);
  ExpectDamage(4, mark, {2}, {4, static_cast<int64_t>(mark)});
  // The marked file was cut, and the stream goes on behind it.
  Put(4, content.substr(0, kBlock));
  Put(5, NextFile(5).Batch(4, 3, One(3)).content());
  ExpectDamage(4, mark, {3}, {4, static_cast<int64_t>(mark)});
}

TEST_F(SteleReplayTest, ADamagedHeaderStops) {
  const SteleFileBuilder file = FirstFile(4).Batch(1, 0, One(0)).Batch(2, 1, One(1));
  for (const size_t at : {0, 5, 8, 20, 40, 63}) {
    std::string content = file.content();
    content[at] ^= 1;
    Put(4, content);
    ExpectDamage(4, 0, {0, 1});
  }
  // A header that was lost whole must not turn the file into an empty one of version 1.
  std::string content = file.content();
  content.replace(0, kBlock, kBlock, '\0');
  Put(4, content);
  ExpectDamage(4, 0, {0, 1});
  // Without any batch there is nothing to be had.
  content = FirstFile(4).content();
  content[20] ^= 1;
  Put(4, content);
  ExpectDamage(4, 0, {});
}

TEST_F(SteleReplayTest, FilesInTheWrongPlaceStop) {
  const std::string first = FirstFile(4).Batch(1, 0, One(0)).Batch(2, 1, One(1)).content();
  Put(4, first);
  Put(5, first);  // a copy
  ExpectDamage(5, 0, {0, 1});
  Put(5, NextFile(5, 99).Batch(9, 8, One(2)).content());  // of another stream's middle
  ExpectDamage(5, 0, {0, 1, 2});
  Put(5, FirstFile(5).Batch(1, 0, One(3)).content());  // begins the same stream again
  EXPECT_EQ(CodeOf(Replay().status), ErrorCode::kCorruptData);
}

// Every byte of a journal of acknowledged records, flipped one at a time: the records are replayed
// as they were, or the damage is found. (The last batch is a claim without records.)
TEST_F(SteleReplayTest, F3NoFlippedByteChangesWhatIsReplayed) {
  SteleFileBuilder first = FirstFile(4);
  first.Batch(1, 0, {EntryBody(0), EntryBody(1, std::string(5000, 'x'))}).Batch(2, 1, One(2));
  const SteleFileBuilder second = NextFile(5).Batch(3, 2, One(3)).Batch(4, 3, {});
  Put(4, first.content());
  Put(5, second.content());
  const Bodies expected = Replay().bodies;
  ASSERT_EQ(expected.size(), 4u);
  int found = 0;
  int harmless = 0;
  for (const auto& [id, content] :
       {std::pair(4, first.content()), std::pair(5, second.content())}) {
    for (size_t at = 0; at < content.size();
         at += at % kBlock < 200 || at % kBlock > 4000 ? 1 : 61) {
      std::string damaged = content;
      damaged[at] ^= 0x20;
      Put(id, damaged);
      const Replayed replayed = Replay();
      if (replayed.status.ok()) {
        EXPECT_EQ(replayed.bodies, expected) << id << " " << at;
        ++harmless;
      } else {
        EXPECT_EQ(CodeOf(replayed.status), ErrorCode::kCorruptData);
        ++found;
      }
    }
    Put(id, content);
  }
  EXPECT_GT(found, 500);
  EXPECT_GT(harmless, 500);
}

Task<void> OpenAndForget(Env env, JournalOptions options, JournalListener* listener) {
  (co_await OpenJournal(env, std::move(options), listener)).status().IgnoreError();
}

// F41: a process is killed when its new file has a name that is not durable; replay sees it and
// the mark moves there; then the power fails. The name must still be there.
TEST(ReplayDurabilityTest, F41WhatReplayHasSeenSurvivesAPowerCut) {
  int seen = 0;
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    JournalRig rig(seed);
    bool renamed = false;
    rig.disk.fail = [&](const simulation::FileRequest& request) {
      renamed = renamed || request.operation == simulation::FileOperation::kRename;
      return absl::OkStatus();
    };
    rig.process->Spawn(OpenAndForget(rig.env, JournalRig::SmallOptions(), &rig.listener));
    rig.RunUntil([&] { return renamed; });
    rig.RunFor(absl::Microseconds(seed * 15));
    rig.Crash();
    const Replayed first = rig.Replay();
    ASSERT_TRUE(first.status.ok()) << first.status;
    if (first.report.end == JournalMark{}) continue;
    ++seen;
    rig.PowerCut();
    const Replayed second = rig.Replay(first.report.end);
    EXPECT_TRUE(second.status.ok()) << second.status;
  }
  EXPECT_GT(seen, 5);
}

TEST_F(SteleReplayTest, BatchesLargerThanAReadAreFound) {
  SteleFileBuilder file({.stream_uuid = 77, .batch_size_max_bytes = 16 << 20, .file_id = 4});
  file.Batch(1, 0, {EntryBody(0, std::string(6'000'000, 'x'))});
  file.Batch(2, 1, {EntryBody(1, std::string(3'000'000, 'y'))});
  file.Batch(3, 2, {EntryBody(2, std::string(3'000'000, 'z'))});
  Put(4, file.content());
  Expect({0, 1, 2});
}

}  // namespace
}  // namespace stele::bookie
