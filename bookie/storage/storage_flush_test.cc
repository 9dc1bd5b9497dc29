// Flushes that fail, deletions in the middle of them, and removal of dead entry logs. Numbers F..
// name fault scenarios.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/entry_log_scanner.h"
#include "bookie/storage/index_format.h"
#include "bookie/storage/storage_rig.h"
#include "common/base/endian.h"

namespace stele::bookie {
namespace {

using simulation::FileOperation;
using simulation::FileRequest;

constexpr LedgerId kLedger{0x109};
constexpr LedgerId kOther{6};
const char kIndexPath[] = "/d0/1/9/109.idx";

struct StorageFlushTest : testing::Test, StorageRig {
  StorageFlushTest() : StorageRig(/*seed=*/1, /*directories=*/2) {}
  void SetUp() override { MustOpen(); }

  // Entries 0 .. count - 1 are there, byte for byte.
  void ExpectEntries(LedgerId ledger, int64_t count, std::string_view payload) {
    for (int64_t i = 0; i < count; ++i) {
      const auto body = Read(ledger, EntryId(i));
      ASSERT_TRUE(body.ok()) << i << " " << body.status();
      EXPECT_EQ(*body, MakeBody(ledger, EntryId(i), payload)) << i;
    }
  }
  void PutEntries(LedgerId ledger, int64_t first, int64_t last, std::string_view payload) {
    for (int64_t i = first; i <= last; ++i) MustPut(ledger, EntryId(i), payload);
  }
};

const std::string& Payload() {
  static const std::string payload(3000, 'p');
  return payload;
}

TEST_F(StorageFlushTest, F16AfterAFailedWriteTheGenerationGoesWholeToANewLogElsewhere) {
  PutEntries(kLedger, 0, 9, Payload());
  MustFlush();
  ASSERT_EQ(EntryLogFiles(0), std::vector<std::string>{"0.log"});
  const std::string synced = ReadWholeFile("/d0/0.log");
  PutEntries(kLedger, 10, 999, Payload());  // three writes of the log
  int writes = 0;
  faults.Set([&](const FileRequest& request) {
    const bool strikes =
        request.operation == FileOperation::kWrite && request.path == "/d0/0.log" && ++writes == 2;
    return strikes ? MakeError(ErrorCode::kDiskFull, "injected") : absl::OkStatus();
  });
  MustFlush();
  faults.Clear();
  EXPECT_EQ(EntryLogFiles(1), std::vector<std::string>{"1.log"});
  // The first log ends where it was good, and is sealed.
  const std::string cut = ReadWholeFile("/d0/0.log");
  EXPECT_EQ(cut.substr(1024, synced.size() - 1024), synced.substr(1024));
  const auto header = ParseEntryLogHeader(cut);
  EXPECT_EQ(header->ledgers_map_offset, static_cast<int64_t>(synced.size()));
  EXPECT_EQ(header->ledgers_count, 1);
  const size_t record = kRecordSizeFieldBytes + MakeBody(kLedger, EntryId(0), Payload()).size();
  EXPECT_EQ(*ParseMapRecord(cut.substr(synced.size())),
            (std::vector<LedgerBytes>{{kLedger, static_cast<int64_t>(10 * record)}}));
  PowerCut();
  MustOpen();
  ExpectEntries(kLedger, 1000, Payload());
}

// Every flush leaves whole blocks, whatever is left of the last one, and a scan finds the records
// behind the padding.
TEST_F(StorageFlushTest, FlushesArePaddedSoThatAScanFindsTheNext) {
  int64_t entry = 0;
  for (const size_t rest : {0, 1, 2, 3, 4, 5, 100, 4095}) {
    const std::string at_end(2 * 4096 - rest - 36, 'x');  // 4 bytes of size, 32 of fields
    MustPut(kLedger, EntryId(entry++), at_end);
    MustFlush();
    const std::string log = ReadWholeFile("/d0/0.log");
    EXPECT_EQ(log.size() % 4096, 0u) << rest;
    const size_t padding = EntryLogPaddingSize(log.size() - rest);
    EXPECT_EQ(log.substr(log.size() - padding), std::string(padding, '\xf0')) << rest;
  }
  const std::string log = ReadWholeFile("/d0/0.log");
  EntryLogScanner scanner(log.size(), 1 << 20);
  int64_t found = 0;
  while (scanner.Next(0, log) == EntryLogScanner::Step::kRecord) {
    EXPECT_EQ(scanner.record().entry, EntryId(found++));
  }
  EXPECT_EQ(found, entry);
  EXPECT_EQ(scanner.summary().damages, 0);
  PowerCut();
  MustOpen();
  EXPECT_EQ(Read(kLedger, EntryId(entry - 1))->size(), 2 * 4096u - 4095 - 4);
}

Task<absl::Status> Give(const absl::Status* status) { co_return *status; }

// An entry whose journal record is lost with a failing journal must leave nothing in the entry log:
// no replay would bring it, and the ledger would count as one that lost its index.
TEST_F(StorageFlushTest, NothingIsWrittenBeforeTheJournalsHaveIt) {
  absl::Status journal = MakeError(ErrorCode::kIoError, "the journal failed");
  storage->SetJournalWait([&] { return Give(&journal); });
  PutEntries(kLedger, 0, 9, Payload());
  EXPECT_EQ(Flush(), journal);
  EXPECT_EQ(EntryLogFiles(0), std::vector<std::string>{});
  EXPECT_FALSE(Exists(kIndexPath));
  EXPECT_EQ(storage->Stats().failed_flushes, 1);
  ExpectEntries(kLedger, 10, Payload());
  journal = absl::OkStatus();
  MustFlush();
  PowerCut();
  MustOpen();
  ExpectEntries(kLedger, 10, Payload());
}

TEST_F(StorageFlushTest, F17WhileEveryDiskIsFullNothingMovesAndNothingIsLost) {
  PutEntries(kLedger, 0, 99, Payload());
  machine->disk().set_size_bytes(machine->disk().used_bytes() + 100'000);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(CodeOf(Flush()), ErrorCode::kDiskFull);
    ExpectEntries(kLedger, 100, Payload());
  }
  EXPECT_EQ(storage->Stats().failed_flushes, 3);
  EXPECT_LE(machine->disk().used_bytes(), 100'000u);  // no log grew by the failures
  machine->disk().set_size_bytes(1 << 30);
  MustFlush();
  PowerCut();
  MustOpen();
  ExpectEntries(kLedger, 100, Payload());
}

TEST_F(StorageFlushTest, F17TheDiskFillsInTheMiddleOfALog) {
  PutEntries(kLedger, 0, 999, Payload());
  const uint64_t used = machine->disk().used_bytes();
  // Space is asked for only once, so other writers can take it meanwhile.
  faults.Set([&](const FileRequest& request) {
    if (request.operation == FileOperation::kWrite)
      machine->disk().set_size_bytes(used + 1'500'000);
    return absl::OkStatus();
  });
  EXPECT_EQ(CodeOf(Flush()), ErrorCode::kDiskFull);
  faults.Clear();
  EXPECT_TRUE(EntryLogFiles(0).empty());
  EXPECT_TRUE(EntryLogFiles(1).empty());
  machine->disk().set_size_bytes(1 << 30);
  MustFlush();
  ExpectEntries(kLedger, 1000, Payload());
}

// Each way a file system operation of a flush can fail, at each of its occurrences: the flush fails
// or goes elsewhere, a later one succeeds, and after a power cut everything is there.
TEST_F(StorageFlushTest, F23F24AnyFailedOperationIsRepairedByTheNextFlush) {
  struct Case {
    FileOperation operation;
    const char* part;
  };
  const Case cases[] = {
      {FileOperation::kWrite, ".log"},        {FileOperation::kSync, ".log"},
      {FileOperation::kOpen, ".log"},         {FileOperation::kWrite, ".idx"},
      {FileOperation::kSync, ".idx"},         {FileOperation::kOpen, ".idx"},
      {FileOperation::kRename, ".idx"},       {FileOperation::kMakeDirectories, ""},
      {FileOperation::kSyncDirectory, "/d0"}, {FileOperation::kSize, ".idx"},
      {FileOperation::kTruncate, ".idx"},     {FileOperation::kSpace, "/d0"},
      {FileOperation::kWrite, "lastId"},      {FileOperation::kRead, ".idx"},
  };
  options.location_cache_max_bytes = 0;
  options.entry_log_size_max_bytes = 40'000;
  uint64_t ledger_number = 1000;
  int64_t strikes = 0;
  for (const Case& test : cases) {
    for (int nth = 1; nth <= 4; ++nth) {
      SCOPED_TRACE(StrCat(static_cast<int>(test.operation), test.part, " ", nth));
      Reopen();
      const LedgerId fresh(static_cast<int64_t>(++ledger_number * 257));
      const LedgerId known(static_cast<int64_t>(ledger_number * 257 + 1));
      PutEntries(known, 0, 3, Payload());
      MustFlush();
      PutEntries(known, 4, 9, Payload());
      PutEntries(fresh, 0, 9, Payload());
      storage->SetFenced(known);
      int seen = 0;
      faults.Set([&](const FileRequest& request) {
        const bool strikes_here = request.operation == test.operation &&
                                  request.path.find(test.part) != std::string::npos &&
                                  ++seen == nth;
        return strikes_here ? MakeError(ErrorCode::kIoError, "injected") : absl::OkStatus();
      });
      const absl::Status first = Flush();
      if (!first.ok()) {
        EXPECT_EQ(CodeOf(first), ErrorCode::kIoError) << first;
        // More arrives, and the caller tries again.
        PutEntries(known, 10, 10, Payload());
      }
      strikes += seen >= nth ? 1 : 0;
      faults.Clear();
      MustFlush();
      PowerCut();
      MustOpen();
      ExpectEntries(known, first.ok() ? 10 : 11, Payload());
      ExpectEntries(fresh, 10, Payload());
      EXPECT_TRUE(MustLoad(known)->fenced);
      EXPECT_EQ(MustLoad(fresh)->master_key, KeyOf(fresh));
    }
  }
  EXPECT_GE(strikes, 24);
}

TEST_F(StorageFlushTest, F25AGenerationThatFailedIsFlushedBeforeTheNext) {
  PutEntries(kLedger, 0, 9, "old");
  faults.Fail(FileOperation::kSync, ".log");
  EXPECT_FALSE(Flush().ok());
  faults.Clear();
  MustPut(kLedger, EntryId(10), "old");
  MustPut(kOther, EntryId(0));
  MustFlush();
  EXPECT_EQ(storage->Stats().flushes, 2);
  PowerCut();
  MustOpen();
  ExpectEntries(kLedger, 11, "old");
}

TEST_F(StorageFlushTest, FailingIndexFilesDoNotMakeTheLogsGrow) {
  PutEntries(kLedger, 0, 99, Payload());
  faults.Fail(FileOperation::kSync, ".idx");
  EXPECT_FALSE(Flush().ok());
  const uint64_t used = machine->disk().used_bytes();
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(Flush().ok());
  EXPECT_EQ(machine->disk().used_bytes(), used);
}

TEST_F(StorageFlushTest, LogsRotateAndEachIsSealed) {
  options.entry_log_size_max_bytes = 20'000;
  Reopen();
  PutEntries(kLedger, 0, 19, Payload());
  MustPut(kOther, EntryId(0), std::string(50'000, 'x'));  // larger than a log
  MustFlush();
  ASSERT_TRUE(Await(storage->Close()).ok());
  size_t logs = 0;
  for (int directory = 0; directory < 2; ++directory) {
    for (const std::string& name : EntryLogFiles(directory)) {
      ++logs;
      const auto header = ParseEntryLogHeader(ReadWholeFile(StrCat("/d", directory, "/", name)));
      EXPECT_GT(header->ledgers_map_offset, 4096) << name;
      EXPECT_EQ(header->ledgers_count, 1) << name;
    }
  }
  EXPECT_EQ(logs, 5u);
  PowerCut();
  MustOpen();
  ExpectEntries(kLedger, 20, Payload());
  EXPECT_EQ(Read(kOther, EntryId(0))->size(), 50'032u);
}

TEST_F(StorageFlushTest, F18ADiskOverTheThresholdIsUsedOnlyWhenAllAre) {
  // Both directories are on one disk here, so only the rule for "all full" can be seen.
  machine->disk().set_size_bytes(10 << 20);
  options.disk_usage_threshold = 0.01;
  Reopen();
  PutEntries(kLedger, 0, 99, Payload());
  MustFlush();
  PutEntries(kLedger, 100, 199, Payload());
  MustFlush();
  ExpectEntries(kLedger, 200, Payload());
}

// ---- Deleting

TEST_F(StorageFlushTest, ADeletedLedgerIsGoneForGood) {
  PutEntries(kLedger, 0, 3, Payload());
  MustFlush();
  MustPut(kLedger, EntryId(4), "in memory");
  ASSERT_TRUE(Await(storage->DeleteLedger(kLedger)).ok());
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kNoSuchLedger);
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(4)), ErrorCode::kNoSuchLedger);
  EXPECT_TRUE(storage->Ledgers().empty());
  EXPECT_TRUE(Await(storage->DeleteLedger(kLedger)).ok());
  MustFlush();
  EXPECT_FALSE(Exists(kIndexPath));
  PowerCut();
  MustOpen();
  EXPECT_TRUE(storage->Ledgers().empty());
}

TEST_F(StorageFlushTest, ALedgerThatCannotBeRemovedStaysKnown) {
  PutEntries(kLedger, 0, 3, Payload());
  MustFlush();
  faults.Fail(FileOperation::kRemove, ".idx");
  EXPECT_EQ(CodeOf(Await(storage->DeleteLedger(kLedger))), ErrorCode::kIoError);
  faults.Clear();
  EXPECT_EQ(storage->Ledgers(), std::vector<LedgerId>{kLedger});
  EXPECT_TRUE(Await(storage->DeleteLedger(kLedger)).ok());
  EXPECT_FALSE(Exists(kIndexPath));
}

struct Deletion {
  bool flushed = false;
  bool deleted = false;
};

Task<void> FlushInto(LedgerStorage* storage, Deletion* state) {
  const absl::Status status = co_await storage->Flush();
  EXPECT_TRUE(status.ok()) << status;
  state->flushed = true;
}

Task<void> DeleteInto(LedgerStorage* storage, LedgerId ledger, Deletion* state) {
  const absl::Status status = co_await storage->DeleteLedger(ledger);
  EXPECT_TRUE(status.ok()) << status;
  state->deleted = true;
}

// The ledger is deleted at every step of a flush, in some runs comes back at once with other
// entries, and never has anything of its first life.
TEST(StorageDeletionTest, F38ADeletionDuringAFlushDoesNotBringTheLedgerBack) {
  for (uint64_t step = 0; step < 90; ++step) {
    for (const bool comes_back : {false, true}) {
      SCOPED_TRACE(StrCat(step, comes_back ? " and comes back" : ""));
      StorageRig rig(step);
      rig.MustOpen();
      const bool is_new = step % 2 == 0;
      for (int64_t i = 0; i < 3; ++i) rig.MustPut(kLedger, EntryId(i), "first life");
      if (!is_new) rig.MustFlush();
      for (int64_t i = 3; i < 6; ++i) rig.MustPut(kLedger, EntryId(i), "first life");
      rig.MustPut(kOther, EntryId(0), "stays");
      Deletion state;
      rig.process->Spawn(FlushInto(rig.storage, &state));
      const uint64_t begin = rig.world.scheduler().steps();
      EXPECT_TRUE(rig.world.scheduler()
                      .RunUntil([&] {
                        return rig.world.scheduler().steps() >= begin + step || state.flushed;
                      })
                      .ok());
      rig.process->Spawn(DeleteInto(rig.storage, kLedger, &state));
      EXPECT_TRUE(rig.world.scheduler().RunUntil([&] { return state.deleted; }).ok());
      EXPECT_EQ(rig.CodeOfRead(kLedger, EntryId(0)), ErrorCode::kNoSuchLedger);
      if (comes_back) rig.MustPut(kLedger, EntryId(4), "second life");
      EXPECT_TRUE(rig.world.scheduler().RunUntil([&] { return state.flushed; }).ok());
      for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(rig.Read(kOther, EntryId(0))->view(),
                  MakeBody(kOther, EntryId(0), "stays").view());
        EXPECT_EQ(rig.CodeOfRead(kLedger, EntryId(3)),
                  comes_back ? ErrorCode::kNoSuchEntry : ErrorCode::kNoSuchLedger);
        if (comes_back) {
          EXPECT_EQ(rig.Read(kLedger, EntryId(4))->view(),
                    MakeBody(kLedger, EntryId(4), "second life").view());
        }
        EXPECT_EQ(rig.storage->Ledgers().size(), comes_back ? 2u : 1u);
        rig.MustFlush();
        rig.PowerCut();
        rig.MustOpen();
      }
    }
  }
}

// ---- Dead entry logs

struct DeadLogTest : testing::Test, StorageRig {
  void SetUp() override {
    options.entry_log_size_max_bytes = 20'000;
    MustOpen();
  }
  int64_t RemoveDead() {
    const auto removed = Await(storage->RemoveDeadEntryLogs(SayGone));
    EXPECT_TRUE(removed.ok()) << removed.status();
    return removed.value_or(-1);
  }
  // One log with entries of both ledgers, as a stopped bookie leaves it.
  void MakeOneLog() {
    MustPut(kLedger, EntryId(0), "a");
    MustPut(kOther, EntryId(0), "b");
    MustFlush();
    ASSERT_TRUE(Await(storage->Close()).ok());
    Reopen();
  }
};

TEST_F(DeadLogTest, ALogGoesWhenItsLastLedgerIsDeleted) {
  MakeOneLog();
  EXPECT_EQ(RemoveDead(), 0);
  ASSERT_TRUE(Await(storage->DeleteLedger(kLedger)).ok());
  EXPECT_EQ(RemoveDead(), 0);
  ASSERT_TRUE(Await(storage->DeleteLedger(kOther)).ok());
  EXPECT_EQ(RemoveDead(), 1);
  EXPECT_TRUE(EntryLogFiles().empty());
  EXPECT_EQ(storage->Stats().entry_logs, 0);
  PowerCut();
  EXPECT_TRUE(EntryLogFiles().empty());
}

TEST_F(DeadLogTest, TheLogThatIsBeingWrittenStays) {
  MustPut(kLedger, EntryId(0), "a");
  MustFlush();
  ASSERT_TRUE(Await(storage->DeleteLedger(kLedger)).ok());
  EXPECT_EQ(RemoveDead(), 0);
  MustPut(kOther, EntryId(0), "b");
  MustFlush();
  EXPECT_TRUE(Read(kOther, EntryId(0)).ok());
}

TEST_F(DeadLogTest, ALedgerThatWasNeverFlushedKeepsItsLog) {
  MakeOneLog();
  ASSERT_TRUE(Await(storage->DeleteLedger(kOther)).ok());
  ASSERT_TRUE(Await(storage->DeleteLedger(kLedger)).ok());
  storage->CreateLedger(kLedger, KeyOf(kLedger));
  EXPECT_EQ(RemoveDead(), 0);
}

// F33: whatever the header claims, a log with a ledger that exists stays, and one without goes only
// when every record was seen.
TEST_F(DeadLogTest, F33GarbageInTheHeaderLeadsToAScan) {
  MakeOneLog();
  const std::string good = ReadWholeFile("/d0/0.log");
  const auto map_offset = static_cast<size_t>(ParseEntryLogHeader(good)->ledgers_map_offset);
  const auto header = [&](int64_t offset, int32_t count) {
    std::string changed = good;
    const EntryLogHeader claimed{.ledgers_map_offset = offset, .ledgers_count = count};
    changed.replace(0, kEntryLogHeaderSize,
                    MakeEntryLogStart(claimed).substr(0, kEntryLogHeaderSize));
    return changed;
  };
  const auto offset = static_cast<int64_t>(map_offset);
  std::string foreign_map =
      good.substr(0, map_offset) + MakeLedgersMap(std::vector<LedgerBytes>{{LedgerId(99), 1}});
  const std::vector<std::string> damaged = {
      header(offset, 0),
      header(offset, -1),
      header(offset, INT32_MAX),
      header(offset, 1),
      header(offset, 3),
      header(-1, 2),
      header(0, 2),
      header(INT64_MAX, 2),
      header(static_cast<int64_t>(good.size()), 2),
      header(5000, 2),
      good.substr(0, good.size() - 1),
      std::string(1024, '\0') + good.substr(1024),
      std::string(1024, 'g') + good.substr(1024),
      foreign_map,
  };
  for (size_t i = 0; i < damaged.size(); ++i) {
    SCOPED_TRACE(i);
    CreateFile("/d0/0.log", damaged[i]);
    Reopen();
    EXPECT_EQ(RemoveDead(), 0);
    EXPECT_TRUE(Read(kLedger, EntryId(0)).ok());
  }
  // Without its ledgers the log goes, by a scan.
  ASSERT_TRUE(Await(storage->DeleteLedger(kOther)).ok());
  ASSERT_TRUE(Await(storage->DeleteLedger(kLedger)).ok());
  CreateFile("/d0/0.log", header(offset, 0));
  Reopen();
  EXPECT_EQ(RemoveDead(), 1);
}

TEST_F(DeadLogTest, F33ALogWithDamageStaysAlthoughNoLedgerIsFound) {
  MakeOneLog();
  const std::string good = ReadWholeFile("/d0/0.log");
  ASSERT_TRUE(Await(storage->DeleteLedger(kOther)).ok());
  ASSERT_TRUE(Await(storage->DeleteLedger(kLedger)).ok());
  std::string zeroed = std::string(1024, '\0') + good.substr(1024);
  for (const std::string& damaged :
       {std::string("B"), good.substr(0, 700), zeroed + std::string(300, '\x7f'),
        zeroed.replace(4096, 4, "\x7f\x7f\x7f\x7f")}) {
    CreateFile("/d0/0.log", damaged);
    Reopen();
    EXPECT_EQ(RemoveDead(), 0) << damaged.size();
    EXPECT_TRUE(Exists("/d0/0.log"));
  }
  // Logs that were made and never written to have nothing to lose.
  CreateFile("/d0/0.log", "");
  CreateFile("/d0/7.log", MakeEntryLogStart({}));
  CreateFile("/d0/8.log", MakeEntryLogStart({}).substr(0, 1024) + std::string(100'000, '\0'));
  Reopen();
  EXPECT_EQ(RemoveDead(), 3);
}

TEST_F(DeadLogTest, F26ALogThatCannotBeReadStaysAndTheOthersGo) {
  CreateFile("/d0/7.log", MakeEntryLogStart({}));
  CreateFile("/d0/8.log", MakeEntryLogStart({}));
  Reopen();
  faults.Fail(FileOperation::kRead, "7.log");
  EXPECT_EQ(CodeOf(Await(storage->RemoveDeadEntryLogs(SayGone)).status()), ErrorCode::kIoError);
  EXPECT_EQ(EntryLogFiles(), std::vector<std::string>{"7.log"});
}

}  // namespace
}  // namespace stele::bookie
