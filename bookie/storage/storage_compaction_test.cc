// Compaction of entry logs on the simulated disk: what it moves, what it leaves, and that no crash,
// failing disk, flush, deletion or read at any of its steps loses an entry.
#include <algorithm>
#include <map>
#include <ranges>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/index_format.h"
#include "bookie/storage/storage_rig.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

using simulation::FileOperation;
using simulation::FileRequest;

constexpr LedgerId kKept{0x107};
constexpr LedgerId kKeptToo{0x208};
constexpr LedgerId kGone{0x309};

Task<absl::StatusOr<bool>> SayNotGone(std::vector<LedgerId>) { co_return false; }

// Counts, and stops when told to.
class CountingPace : public BackgroundPace {
 public:
  Task<absl::Status> Spend(uint64_t bytes) override {
    spent += bytes;
    if (calls++ >= calls_max) co_return MakeError(ErrorCode::kStopped, "told to stop");
    co_return absl::OkStatus();
  }
  uint64_t spent = 0;
  int calls = 0;
  int calls_max = 1 << 30;
};

struct CompactionRig : StorageRig {
  explicit CompactionRig(uint64_t seed = 1) : StorageRig(seed, /*directories=*/2) {
    options.entry_log_size_max_bytes = 12'000;
  }

  std::string Payload(LedgerId ledger, int64_t entry) {
    return StrCat("payload ", ledger.value(), ":", entry, std::string(300, 'x'));
  }
  void Put(LedgerId ledger, int64_t entry) {
    MustPut(ledger, EntryId(entry), Payload(ledger, entry));
    expected[{ledger, entry}] = true;
  }
  // Logs above number 9 (hexadecimal names) in which two of three ledgers live on, as a stopped
  // bookie leaves them.
  void MakeLogs() {
    CreateFile("/d0/lastId", "9\n");
    MustOpen();
    // A flush writes ledger by ledger: several, so that each log has some of each.
    for (int64_t entry = 0; entry < 24; ++entry) {
      for (const LedgerId ledger : {kKept, kGone, kKeptToo}) Put(ledger, entry);
      if (entry % 6 == 5) MustFlush();
    }
    ASSERT_TRUE(Await(storage->Close()).ok());
    Reopen();
    DeleteGone();
    LookAtLogs();
  }
  void DeleteGone() {
    ASSERT_TRUE(Await(storage->DeleteLedger(kGone)).ok());
    for (int64_t entry = 0; entry < 24; ++entry) expected.erase({kGone, entry});
  }
  void LookAtLogs() {
    const auto removed = Await(storage->RemoveDeadEntryLogs(SayGone));
    ASSERT_TRUE(removed.ok()) << removed.status();
  }
  std::vector<EntryLogId> Logs() {
    std::vector<EntryLogId> logs;
    for (const EntryLogUsage& usage : storage->EntryLogUsages()) logs.push_back(usage.log);
    return logs;
  }
  absl::StatusOr<CompactedLog> Compact(EntryLogId log, AreLedgersGone are_gone = SayGone) {
    return Await(storage->CompactEntryLog(log, 1 << 20, std::move(are_gone), &pace));
  }
  bool HasLog(EntryLogId log) {
    const std::string name = EntryLogFileName(log);
    return Exists(StrCat("/d0/", name)) || Exists(StrCat("/d1/", name));
  }
  std::string PathOf(EntryLogId log) {
    const std::string name = EntryLogFileName(log);
    return StrCat(Exists(StrCat("/d0/", name)) ? "/d0/" : "/d1/", name);
  }
  void ExpectAll() {
    for (const auto& [id, present] : expected) {
      const auto read = Read(id.first, EntryId(id.second));
      ASSERT_TRUE(read.ok()) << id.first.value() << ":" << id.second << " " << read.status();
      EXPECT_EQ(*read, MakeBody(id.first, EntryId(id.second), Payload(id.first, id.second)));
    }
    EXPECT_EQ(CodeOfRead(kGone, EntryId(0)), ErrorCode::kNoSuchLedger);
  }

  std::map<std::pair<LedgerId, int64_t>, bool> expected;
  CountingPace pace;
};

struct StorageCompactionTest : testing::Test, CompactionRig {};

TEST_F(StorageCompactionTest, LiveRecordsMoveAndTheLogGoes) {
  MakeLogs();
  const std::vector<EntryLogId> logs = Logs();
  ASSERT_GE(logs.size(), 2u);
  EXPECT_GE(logs.front(), EntryLogId(10));
  for (const EntryLogUsage& usage : storage->EntryLogUsages()) {
    EXPECT_GT(usage.live_bytes, 0u);
    EXPECT_LT(usage.live_bytes, usage.total_bytes * 3 / 4);
  }
  for (const EntryLogId log : logs) {
    const auto compacted = Compact(log);
    ASSERT_TRUE(compacted.ok()) << compacted.status();
    EXPECT_TRUE(compacted->removed);
    EXPECT_GT(compacted->records, 0);
    EXPECT_FALSE(HasLog(log));
    ExpectAll();
  }
  PowerCut();
  MustOpen();
  ExpectAll();
  EXPECT_GT(pace.spent, 2 * 24 * 300u);
}

TEST_F(StorageCompactionTest, F36OnlyWhatTheIndexRefersToIsCopied) {
  MustOpen();
  Put(kKept, 0);
  MustFlush();
  // A replay stores it again: the first copy is garbage although its ledger lives.
  const Buffer body = MakeBody(kKept, EntryId(0), Payload(kKept, 0));
  EXPECT_EQ(storage->PutReplayed(kKept, EntryId(0), body), PutResult::kStored);
  Put(kKept, 1);
  ASSERT_TRUE(Await(storage->Close()).ok());
  Reopen();
  LookAtLogs();
  const EntryLogId log = Logs().front();
  const auto compacted = Compact(log);
  ASSERT_TRUE(compacted.ok()) << compacted.status();
  EXPECT_EQ(compacted->records, 2);
  EXPECT_TRUE(compacted->removed);
  ExpectAll();
}

TEST_F(StorageCompactionTest, AGoodCopyReplacesOneThatCannotBeRead) {
  MustOpen();
  Put(kKept, 0);
  MustFlush();
  ASSERT_TRUE(Await(storage->Close()).ok());
  Reopen();
  MustLoad(kKept);
  EXPECT_EQ(storage->PutReplayed(kKept, EntryId(0), MakeBody(kKept, EntryId(0), Payload(kKept, 0))),
            PutResult::kStored);
  MustFlush();
  ASSERT_TRUE(Await(storage->Close()).ok());
  Reopen();
  LookAtLogs();
  const std::vector<EntryLogId> logs = Logs();
  ASSERT_EQ(logs.size(), 2u);
  OverwriteFile(PathOf(logs[1]), kEntryLogDataOffset, std::string(20, '\x77'));
  EXPECT_EQ(CodeOfRead(kKept, EntryId(0)), ErrorCode::kCorruptData);
  ASSERT_TRUE(Compact(logs[0]).ok());
  ExpectAll();
}

TEST_F(StorageCompactionTest, ALogWithAStrayLedgerStaysUntilTheClusterHasItNoMore) {
  MakeLogs();
  const EntryLogId log = Logs().front();
  auto compacted = Compact(log, SayNotGone);
  ASSERT_TRUE(compacted.ok()) << compacted.status();
  EXPECT_FALSE(compacted->removed);
  EXPECT_TRUE(HasLog(log));
  ExpectAll();
  // Its live records have gone, so the second time there is nothing to copy.
  compacted = Compact(log);
  ASSERT_TRUE(compacted.ok()) << compacted.status();
  EXPECT_EQ(compacted->records, 0);
  EXPECT_TRUE(compacted->removed);
  ExpectAll();
}

TEST_F(StorageCompactionTest, F28ALogOfALedgerWhoseIndexWasLostInPartStays) {
  MakeLogs();
  // The header and the first locations are gone: entries 0 .. 11 lie in the logs alone.
  const std::string path = Exists("/d0/1/7/107.idx") ? "/d0/1/7/107.idx" : "/d1/1/7/107.idx";
  OverwriteFile(path, 0, std::string(1024 + 8 * 12, '\0'));
  Reopen();
  LookAtLogs();
  for (const EntryLogId log : Logs()) {
    const auto compacted = Compact(log);
    ASSERT_TRUE(compacted.ok()) << compacted.status();
    EXPECT_EQ(CodeOfRead(kKept, EntryId(0)), ErrorCode::kUnknownLedgerState);
  }
  EXPECT_TRUE(HasLog(EntryLogId(10)));
}

TEST_F(StorageCompactionTest, ALogWithDamageGivesItsRecordsAndStays) {
  MakeLogs();
  const EntryLogId log = Logs().front();
  // The size of the second record.
  const size_t record =
      kRecordSizeFieldBytes + MakeBody(kKept, EntryId(0), Payload(kKept, 0)).size();
  OverwriteFile(PathOf(log), kEntryLogDataOffset + record, "\x7f");
  const auto compacted = Compact(log);
  ASSERT_TRUE(compacted.ok()) << compacted.status();
  EXPECT_GT(compacted->records, 0);
  EXPECT_FALSE(compacted->removed);
  EXPECT_TRUE(HasLog(log));
}

TEST_F(StorageCompactionTest, StopsWhenToldAndLosesNothing) {
  for (int calls = 0;; ++calls) {
    SCOPED_TRACE(calls);
    CompactionRig rig(static_cast<uint64_t>(calls) + 1);
    rig.MakeLogs();
    rig.pace.calls_max = calls;
    const EntryLogId log = rig.Logs().front();
    const auto compacted = rig.Compact(log);
    rig.ExpectAll();
    if (compacted.ok()) break;
    EXPECT_EQ(CodeOf(compacted.status()), ErrorCode::kStopped);
    EXPECT_TRUE(rig.HasLog(log));
    rig.pace.calls_max = 1 << 30;
    EXPECT_TRUE(rig.Compact(log)->removed);
    rig.ExpectAll();
    rig.PowerCut();
    rig.MustOpen();
    rig.ExpectAll();
    ASSERT_TRUE(rig.Await(rig.storage->Close()).ok());
  }
}

struct Progress {
  int readers = 0;
  bool compacted = false;
  bool other = false;
};

Task<void> CompactAll(CompactionRig* rig, std::vector<EntryLogId> logs, Progress* progress) {
  for (const EntryLogId log : logs) {
    const auto compacted =
        co_await rig->storage->CompactEntryLog(log, 1 << 20, SayGone, &rig->pace);
    EXPECT_TRUE(compacted.ok()) << compacted.status();
  }
  progress->compacted = true;
}

// Runs a compaction of all logs for `steps` of the world. False: it ended before.
bool CompactSteps(CompactionRig* rig, uint64_t steps, Progress* progress) {
  rig->process->Spawn(CompactAll(rig, rig->Logs(), progress));
  const uint64_t end = rig->world.scheduler().steps() + steps;
  EXPECT_TRUE(
      rig->world.scheduler()
          .RunUntil([&] { return progress->compacted || rig->world.scheduler().steps() >= end; })
          .ok());
  return !progress->compacted;
}

TEST_F(StorageCompactionTest, F35ACrashAtAnyStepLosesNothing) {
  for (uint64_t steps = 0;; steps += 11) {
    bool in_the_middle = false;
    for (const bool power : {true, false}) {
      SCOPED_TRACE(StrCat(steps, power ? " power cut" : " kill"));
      CompactionRig rig(steps + 1);
      rig.MakeLogs();
      Progress progress;
      in_the_middle = CompactSteps(&rig, steps, &progress) || in_the_middle;
      power ? rig.PowerCut() : rig.Kill();
      rig.MustOpen();
      rig.ExpectAll();
      // And again over what the first one left, with a power cut behind it.
      rig.LookAtLogs();
      for (const EntryLogId log : rig.Logs()) ASSERT_TRUE(rig.Compact(log).ok());
      rig.ExpectAll();
      rig.PowerCut();
      rig.MustOpen();
      rig.ExpectAll();
      // Nothing of the first logs is left over.
      EXPECT_FALSE(rig.HasLog(EntryLogId(10)));
      if (HasFailure()) return;
    }
    if (!in_the_middle) break;
  }
}

TEST_F(StorageCompactionTest, F23AnyFailedOperationLeavesAllReadableAlsoAfterAPowerCut) {
  for (int failing = 0;; ++failing) {
    SCOPED_TRACE(failing);
    CompactionRig rig(static_cast<uint64_t>(failing) + 1);
    rig.MakeLogs();
    int count = 0;
    bool failed = false;
    rig.faults.Set([&](const FileRequest&) {
      if (count++ != failing) return absl::OkStatus();
      failed = true;
      return MakeError(ErrorCode::kIoError, "injected");
    });
    for (const EntryLogId log : rig.Logs()) rig.Compact(log).status().IgnoreError();
    rig.faults.Clear();
    rig.ExpectAll();
    // A second run must not believe what the failed one left in the index files.
    for (const EntryLogId log : rig.Logs()) rig.Compact(log).status().IgnoreError();
    rig.PowerCut();
    rig.MustOpen();
    rig.ExpectAll();
    if (HasFailure() || !failed) break;
  }
}

// What is read from memory takes no virtual time, and the compaction needs some.
Task<void> ReadAllTheTime(CompactionRig* rig, Progress* progress) {
  const Env env = rig->world.env(rig->process);
  while (!progress->compacted) {
    // Backwards: what is read in order is read ahead, and comes from memory.
    for (const auto& [id, present] : rig->expected | std::views::reverse) {
      const auto read = co_await rig->storage->Read(id.first, EntryId(id.second));
      EXPECT_TRUE(read.ok()) << read.status();
      co_await SleepFor(env.executor, env.clock, absl::Microseconds(20));
    }
  }
  --progress->readers;
}

// An attempt that is broken off behind its copies leaves them in the log that the next one goes on
// with, so the entries are in there twice.
TEST_F(StorageCompactionTest, EntriesThatALogHasTwiceOutliveItsCompaction) {
  options.entry_log_size_max_bytes = 100'000;
  MakeLogs();
  const std::vector<EntryLogId> sources = Logs();
  faults.Fail(FileOperation::kWrite, std::string(kIndexSuffix));
  for (const EntryLogId log : sources) EXPECT_FALSE(Compact(log).ok());
  faults.Clear();
  for (const EntryLogId log : sources) {
    const auto compacted = Compact(log);
    ASSERT_TRUE(compacted.ok() && compacted->removed) << compacted.status();
  }
  ASSERT_TRUE(Await(storage->Close()).ok());
  Reopen();
  LookAtLogs();
  for (const EntryLogId log : Logs()) {
    const auto compacted = Compact(log);
    ASSERT_TRUE(compacted.ok() && compacted->removed) << compacted.status();
    ExpectAll();
  }
  PowerCut();
  MustOpen();
  ExpectAll();
}

TEST_F(StorageCompactionTest, ReadersNeverNoticeIt) {
  SometimesHits hits{};
  CountSometimes(&hits);
  for (uint64_t seed = 1; seed < 6; ++seed) {
    CompactionRig rig(seed);
    rig.options.location_cache_max_bytes = seed % 2 == 0 ? 0 : 1 << 20;
    rig.options.open_entry_logs_max = seed % 3;
    rig.MakeLogs();
    // An entry log may be opened after it has gone.
    rig.machine->disk().set_unevenness_max(absl::Milliseconds(seed));
    Progress progress;
    for (; progress.readers < 8; ++progress.readers) {
      rig.process->Spawn(ReadAllTheTime(&rig, &progress));
    }
    rig.process->Spawn(CompactAll(&rig, rig.Logs(), &progress));
    EXPECT_TRUE(rig.world.scheduler().RunUntil([&] { return progress.readers == 0; }).ok());
  }
  CountSometimes(nullptr);
  EXPECT_GT(hits[static_cast<size_t>(Sometimes::kReadMeetsCompaction)], 0u);
}

Task<void> FlushOnce(CompactionRig* rig, Progress* progress) {
  EXPECT_TRUE((co_await rig->storage->Flush()).ok());
  progress->other = true;
}

// Entries that a compaction moves are stored again by a flush that begins at any of its steps.
TEST_F(StorageCompactionTest, F37TheLocationOfAFlushWins) {
  bool in_the_middle = true;
  for (uint64_t steps = 0; in_the_middle && !HasFailure(); steps += 5) {
    SCOPED_TRACE(steps);
    CompactionRig rig(steps + 1);
    rig.MakeLogs();
    Progress progress;
    in_the_middle = CompactSteps(&rig, steps, &progress);
    for (int64_t entry = 0; entry < 24; entry += 2) {
      rig.MustLoad(kKept);
      rig.storage->PutReplayed(kKept, EntryId(entry),
                               MakeBody(kKept, EntryId(entry), rig.Payload(kKept, entry)));
    }
    rig.process->Spawn(FlushOnce(&rig, &progress));
    EXPECT_TRUE(
        rig.world.scheduler().RunUntil([&] { return progress.compacted && progress.other; }).ok());
    rig.ExpectAll();
    rig.PowerCut();
    rig.MustOpen();
    rig.ExpectAll();
  }
}

Task<void> Delete(CompactionRig* rig, LedgerId ledger, Progress* progress) {
  EXPECT_TRUE((co_await rig->storage->DeleteLedger(ledger)).ok());
  progress->other = true;
}

TEST_F(StorageCompactionTest, F38ALedgerThatIsDeletedMeanwhileStaysDeleted) {
  bool in_the_middle = true;
  for (uint64_t steps = 0; in_the_middle && !HasFailure(); steps += 5) {
    SCOPED_TRACE(steps);
    CompactionRig rig(steps + 1);
    rig.MakeLogs();
    Progress progress;
    in_the_middle = CompactSteps(&rig, steps, &progress);
    rig.process->Spawn(Delete(&rig, kKeptToo, &progress));
    std::erase_if(rig.expected, [](const auto& entry) { return entry.first.first == kKeptToo; });
    EXPECT_TRUE(
        rig.world.scheduler().RunUntil([&] { return progress.compacted && progress.other; }).ok());
    for (int round = 0; round < 2; ++round) {
      rig.ExpectAll();
      EXPECT_EQ(rig.CodeOfRead(kKeptToo, EntryId(0)), ErrorCode::kNoSuchLedger);
      rig.PowerCut();
      rig.MustOpen();
    }
  }
}

// The flush has written its entries to a log that is closed by now, and cannot write their
// locations: to the index that log looks dead.
TEST_F(StorageCompactionTest, ALogThatAFlushStillNeedsIsNotCompacted) {
  MakeLogs();
  for (int64_t entry = 24; entry < 90; ++entry) Put(kKept, entry);
  faults.Fail(FileOperation::kWrite, ".idx");
  EXPECT_FALSE(Flush().ok());
  faults.Clear();
  for (int32_t log = 10; log < 40; ++log) {
    if (HasLog(EntryLogId(log))) ASSERT_TRUE(Compact(EntryLogId(log)).ok());
  }
  MustFlush();
  ExpectAll();
  PowerCut();
  MustOpen();
  ExpectAll();
}

}  // namespace
}  // namespace stele::bookie
