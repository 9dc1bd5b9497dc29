// Scenarios of the whole storage on the simulated file system. Numbers F.. name fault scenarios.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/index_format.h"
#include "bookie/storage/storage_rig.h"
#include "common/base/endian.h"

namespace stele::bookie {
namespace {

using simulation::FileOperation;

constexpr LedgerId kLedger{0x109};
constexpr LedgerId kOther{6};
const char kIndexPath[] = "/d0/1/9/109.idx";

std::vector<EntryId> Ids(std::initializer_list<int64_t> ids) {
  std::vector<EntryId> result;
  for (const int64_t id : ids) result.emplace_back(id);
  return result;
}

struct StorageTest : testing::Test, StorageRig {
  void SetUp() override { MustOpen(); }
};

TEST_F(StorageTest, EntriesAreReadFromMemoryAndFromDisk) {
  for (int64_t i = 0; i < 5; ++i) MustPut(kLedger, EntryId(i), StrCat("payload ", i));
  for (int round = 0; round < 3; ++round) {
    for (int64_t i = 0; i < 5; ++i) {
      const auto body = Read(kLedger, EntryId(i));
      ASSERT_TRUE(body.ok()) << round << body.status();
      EXPECT_EQ(*body, MakeBody(kLedger, EntryId(i), StrCat("payload ", i)));
    }
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(5)), ErrorCode::kNoSuchEntry);
    EXPECT_EQ(CodeOfRead(kOther, EntryId(0)), ErrorCode::kNoSuchLedger);
    EXPECT_EQ(Await(storage->ReadLast(kLedger))->view(),
              MakeBody(kLedger, EntryId(4), "payload 4").view());
    EXPECT_EQ(*Await(storage->ReadLac(kLedger)), EntryId(3));
    EXPECT_EQ(*Await(storage->ListEntries(kLedger)), Ids({0, 1, 2, 3, 4}));
    EXPECT_EQ(storage->Ledgers(), std::vector<LedgerId>{kLedger});
    if (round == 0) MustFlush();
    if (round == 1) Reopen();
  }
  const LedgerState* state = MustLoad(kLedger);
  EXPECT_EQ(state->last_entry, EntryId(4));
  EXPECT_EQ(state->lac, EntryId(3));
  EXPECT_EQ(state->master_key, KeyOf(kLedger));
}

TEST_F(StorageTest, FilesHaveJavasLayout) {
  MustPut(kLedger, EntryId(2), "abc");
  storage->SetFenced(kLedger);
  MustFlush();
  const std::string index = ReadWholeFile(kIndexPath);
  ASSERT_EQ(index.size(), 1024u + 24);
  EXPECT_EQ(index.substr(0, 12), std::string("BKLE\0\0\0\1\0\0\0\x14", 12));
  EXPECT_EQ(LoadBigEndian<int32_t>(index.data() + 32), 1);
  EXPECT_EQ(index.substr(1024, 16), std::string(16, '\0'));
  const EntryLocation location =
      EntryLocation::FromPacked(LoadBigEndian<int64_t>(index.data() + 1040));
  EXPECT_EQ(location, EntryLocation(EntryLogId(0), 4096));
  const std::string log = ReadWholeFile("/d0/0.log");
  const std::string record =
      std::string("\0\0\0\x23", 4) + MakeBody(kLedger, EntryId(2), "abc").ToString();
  EXPECT_EQ(log.substr(4096, record.size()), record);
  EXPECT_TRUE(log.substr(4096 + record.size()) == std::string(4096 - record.size(), '\xf0'));
  EXPECT_EQ(ReadWholeFile("/d0/lastId"), "0\n");
  ASSERT_TRUE(Await(storage->Close()).ok());
  const auto header = ParseEntryLogHeader(ReadWholeFile("/d0/0.log"));
  EXPECT_EQ(header->ledgers_map_offset, static_cast<int64_t>(log.size()));
  EXPECT_EQ(header->ledgers_count, 1);
}

TEST_F(StorageTest, AJavaLogWithAShortHeaderIsRead) {
  // As a Java bookie leaves it: the first record behind 1024 bytes of header, a page of locations.
  const std::string body = MakeBody(kLedger, EntryId(0), "java").ToString();
  std::string log = MakeEntryLogStart({}).substr(0, 1024);
  AppendBigEndian(log, static_cast<int32_t>(body.size()));
  CreateFile("/d0/1f4.log", log + body);
  std::string index = MakeIndexHeader({.master_key = KeyOf(kLedger)});
  AppendBigEndian(index, int64_t{0x000001F4'00000404});
  index.resize(1024 + 8192, '\0');
  CreateFile(kIndexPath, index);
  CreateFile("/d0/lastId", "1f5\n");
  Reopen();
  EXPECT_EQ(Read(kLedger, EntryId(0))->view(), body);
  EXPECT_EQ(MustLoad(kLedger)->last_entry, EntryId(0));
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(7)), ErrorCode::kNoSuchEntry);
  MustPut(kLedger, EntryId(1));
  MustFlush();
  EXPECT_EQ(EntryLogFiles(), (std::vector<std::string>{"1f4.log", "1f6.log"}));
  EXPECT_TRUE(Read(kLedger, EntryId(1)).ok());
}

// ---- The re-ADD rule

TEST_F(StorageTest, ReAddInMemoryAndOnDisk) {
  MustPut(kLedger, EntryId(0), "first");
  MustPut(kLedger, EntryId(3), "later");
  const auto put = [&](EntryId lac, std::string_view payload) {
    const Buffer body = MakeBody(kLedger, EntryId(0), lac, payload);
    const PutResult result = storage->Put(kLedger, EntryId(0), body);
    if (result != PutResult::kNeedsComparison) return result;
    return *Await(storage->PutChecked(kLedger, EntryId(0), body));
  };
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(put(kNoEntry, "first"), PutResult::kSameEntryExists);
    EXPECT_EQ(put(EntryId(-5), "first"), PutResult::kSameEntryExists);  // another LAC
    EXPECT_EQ(put(kNoEntry, "other"), PutResult::kConflict);
    EXPECT_EQ(put(EntryId(-5), "other"), PutResult::kConflict);
    EXPECT_EQ(put(kNoEntry, "longer than first"), PutResult::kConflict);
    MustFlush();
  }
  // A gap below the last entry on disk must be looked up; above it nothing must.
  EXPECT_EQ(storage->Put(kLedger, EntryId(1), MakeBody(kLedger, EntryId(1))),
            PutResult::kNeedsComparison);
  EXPECT_EQ(*Await(storage->PutChecked(kLedger, EntryId(1), MakeBody(kLedger, EntryId(1)))),
            PutResult::kStored);
  EXPECT_EQ(storage->Put(kLedger, EntryId(4), MakeBody(kLedger, EntryId(4))), PutResult::kStored);
  EXPECT_EQ(Read(kLedger, EntryId(0))->view(), MakeBody(kLedger, EntryId(0), "first").view());
}

TEST_F(StorageTest, AComparisonThatCannotBeMadeIsAnError) {
  MustPut(kLedger, EntryId(0));
  MustFlush();
  faults.Fail(FileOperation::kRead, ".log");
  const Buffer body = MakeBody(kLedger, EntryId(0));
  EXPECT_EQ(CodeOf(Await(storage->PutChecked(kLedger, EntryId(0), body)).status()),
            ErrorCode::kIoError);
}

TEST_F(StorageTest, AnEqualEntryOfAKilledProcessIsStoredAgain) {
  // The flush of a killed process may be in the page cache only. A re-ADD that relied on it would
  // be lost with the power.
  MustPut(kLedger, EntryId(0), "only copy");
  faults.Set([&](const simulation::FileRequest& request) {
    // The kill strikes when everything is written and only the names are not synced yet.
    return request.operation == FileOperation::kSyncDirectory && request.path == "/d0/1/9"
               ? MakeError(ErrorCode::kIoError, "killed here")
               : absl::OkStatus();
  });
  EXPECT_FALSE(Flush().ok());
  faults.Clear();
  Reopen();
  MustLoad(kLedger);
  const Buffer body = MakeBody(kLedger, EntryId(0), "only copy");
  ASSERT_EQ(storage->Put(kLedger, EntryId(0), body), PutResult::kNeedsComparison);
  EXPECT_EQ(*Await(storage->PutChecked(kLedger, EntryId(0), body)), PutResult::kStored);
  MustFlush();
  PowerCut();
  MustOpen();
  EXPECT_EQ(Read(kLedger, EntryId(0))->view(), body.view());
}

TEST_F(StorageTest, ReplayStoresAgainWithoutLookingAtTheDisk) {
  MustPut(kLedger, EntryId(0), "x");
  MustFlush();
  Reopen();
  MustLoad(kLedger);
  faults.Fail(FileOperation::kRead, "");
  const Buffer body = MakeBody(kLedger, EntryId(0), "x");
  EXPECT_EQ(storage->PutReplayed(kLedger, EntryId(0), body), PutResult::kStored);
  EXPECT_EQ(storage->PutReplayed(kLedger, EntryId(0), body), PutResult::kSameEntryExists);
  EXPECT_EQ(storage->PutReplayed(kLedger, EntryId(0), MakeBody(kLedger, EntryId(0), "y")),
            PutResult::kConflict);
}

// ---- Fences and LACs

TEST_F(StorageTest, F12AFenceAloneReachesTheDisk) {
  storage->CreateLedger(kLedger, KeyOf(kLedger));
  storage->SetFenced(kLedger);
  MustFlush();
  PowerCut();
  MustOpen();
  const LedgerState* state = MustLoad(kLedger);
  EXPECT_TRUE(state->fenced);
  EXPECT_EQ(state->master_key, KeyOf(kLedger));
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kNoSuchEntry);
}

TEST_F(StorageTest, F12AFenceOfAnIdleLedgerReachesTheDisk) {
  MustPut(kLedger, EntryId(0));
  MustFlush();
  storage->SetFenced(kLedger);
  storage->SetExplicitLac(kLedger, EntryId(0), MakeLacPacket(kLedger, EntryId(0)));
  MustFlush();
  PowerCut();
  MustOpen();
  const LedgerState* state = MustLoad(kLedger);
  EXPECT_TRUE(state->fenced);
  EXPECT_EQ(state->explicit_lac, MakeLacPacket(kLedger, EntryId(0)));
  EXPECT_EQ(state->lac, EntryId(0));
  EXPECT_TRUE(Read(kLedger, EntryId(0)).ok());
}

TEST_F(StorageTest, AReplayedFenceIsWrittenAlthoughItWasFound) {
  MustPut(kLedger, EntryId(0));
  MustFlush();
  storage->SetFenced(kLedger);
  faults.Fail(FileOperation::kSync, ".idx");
  EXPECT_FALSE(Flush().ok());
  faults.Clear();
  Reopen();
  // The page cache has the fence, the disk has not.
  EXPECT_TRUE(MustLoad(kLedger)->fenced);
  storage->SetFenced(kLedger);
  MustFlush();
  PowerCut();
  MustOpen();
  EXPECT_TRUE(MustLoad(kLedger)->fenced);
}

TEST_F(StorageTest, AFenceWithoutAKeyTakesTheKeyLater) {
  storage->CreateLedger(kLedger, std::nullopt);
  storage->SetFenced(kLedger);
  MustFlush();
  Reopen();
  EXPECT_FALSE(MustLoad(kLedger)->has_master_key);
  EXPECT_TRUE(storage->SetMasterKey(kLedger, KeyOf(kLedger)));
  EXPECT_FALSE(storage->SetMasterKey(kLedger, KeyOf(kOther)));
  EXPECT_TRUE(storage->SetMasterKey(kLedger, KeyOf(kLedger)));
  MustFlush();
  Reopen();
  EXPECT_TRUE(MustLoad(kLedger)->has_master_key);
  EXPECT_EQ(MustLoad(kLedger)->master_key, KeyOf(kLedger));
  EXPECT_TRUE(MustLoad(kLedger)->fenced);
}

TEST_F(StorageTest, ExplicitLacsDoNotGoBackAndLargeOnesAreNotKept) {
  std::vector<LedgerId> changed;
  storage->SetLacListener([&](LedgerId ledger) { changed.push_back(ledger); });
  storage->CreateLedger(kLedger, KeyOf(kLedger));
  EXPECT_EQ(*Await(storage->ReadLac(kLedger)), kNoEntry);
  storage->SetExplicitLac(kLedger, EntryId(9), MakeLacPacket(kLedger, EntryId(9)));
  storage->SetExplicitLac(kLedger, EntryId(4), MakeLacPacket(kLedger, EntryId(4)));
  EXPECT_EQ(MustLoad(kLedger)->explicit_lac, MakeLacPacket(kLedger, EntryId(9)));
  EXPECT_EQ(*Await(storage->ReadLac(kLedger)), EntryId(9));
  const std::string large(kExplicitLacSizeMaxBytes + 1, 'x');
  storage->SetExplicitLac(kLedger, EntryId(12), Buffer::CopyOf(large));
  EXPECT_EQ(MustLoad(kLedger)->explicit_lac, MakeLacPacket(kLedger, EntryId(9)));
  EXPECT_EQ(MustLoad(kLedger)->lac, EntryId(12));
  storage->SetFenced(kLedger);
  EXPECT_EQ(changed, std::vector<LedgerId>(4, kLedger));
}

TEST_F(StorageTest, StateBitsOfOthersAreKept) {
  CreateFile(kIndexPath, MakeIndexHeader({.master_key = KeyOf(kLedger), .state_bits = 0x4000}));
  Reopen();
  EXPECT_FALSE(MustLoad(kLedger)->fenced);
  storage->SetFenced(kLedger);
  MustFlush();
  const auto header = ParseIndexHeader(ReadWholeFile(kIndexPath), kLedger);
  EXPECT_EQ((*header)->state_bits, 0x4001);
}

// ---- Memory

TEST_F(StorageTest, AFullMemtableRefusesAsksForAFlushAndSaysWhenThereIsRoom) {
  options.memtable_max_bytes = 10'000;
  Reopen();
  int asked = 0;
  int room = 0;
  storage->SetFlushListener([&] { ++asked; });
  storage->SetRoomListener([&] { ++room; });
  storage->CreateLedger(kLedger, KeyOf(kLedger));
  const std::string payload(1000, 'p');
  int64_t entry = 0;
  for (;; ++entry) {
    const Buffer body = MakeBody(kLedger, EntryId(entry), payload);
    const PutResult result = storage->Put(kLedger, EntryId(entry), body);
    if (result == PutResult::kFull) break;
    ASSERT_EQ(result, PutResult::kStored);
    EXPECT_LE(storage->Stats().memtable_bytes, 20'000u);
  }
  EXPECT_GE(entry, 15);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(room, 0);
  MustFlush();
  EXPECT_EQ(room, 1);
  EXPECT_EQ(storage->Stats().memtable_bytes, 0u);
  MustPut(kLedger, EntryId(entry), payload);
}

TEST_F(StorageTest, F52AnEntryLargerThanTheMemtableIsStored) {
  options.memtable_max_bytes = 10'000;
  Reopen();
  int asked = 0;
  storage->SetFlushListener([&] { ++asked; });
  const std::string large(3'000'000, 'L');
  MustPut(kLedger, EntryId(0), large);
  EXPECT_EQ(asked, 1);
  EXPECT_EQ(storage->Put(kLedger, EntryId(1), MakeBody(kLedger, EntryId(1), large)),
            PutResult::kFull);
  MustFlush();
  MustPut(kLedger, EntryId(1), "small");
  EXPECT_EQ(storage->Put(kLedger, EntryId(2), MakeBody(kLedger, EntryId(2), large)),
            PutResult::kFull);
  EXPECT_EQ(asked, 2);
  MustFlush();
  MustPut(kLedger, EntryId(2), large);
  MustFlush();
  EXPECT_EQ(Read(kLedger, EntryId(0))->size(), 32 + large.size());
  EXPECT_EQ(Read(kLedger, EntryId(2))->size(), 32 + large.size());
}

TEST_F(StorageTest, TheHighestEntryIdIsStoredAndFound) {
  machine->disk().set_size_bytes(uint64_t{1} << 50);
  MustPut(kLedger, EntryId(0));
  MustPut(kLedger, EntryId(kEntryIdMax));
  MustFlush();
  Reopen();
  EXPECT_EQ(MustLoad(kLedger)->last_entry, EntryId(kEntryIdMax));
  EXPECT_TRUE(Read(kLedger, EntryId(kEntryIdMax)).ok());
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(kEntryIdMax - 1)), ErrorCode::kNoSuchEntry);
  // Its index file is sparse and cannot be gone through.
  EXPECT_EQ(CodeOf(Await(storage->ListEntries(kLedger)).status()), ErrorCode::kOverloaded);
}

TEST_F(StorageTest, IdleLedgersLeaveMemoryAndComeBack) {
  options.resident_ledgers_max = 4;
  options.open_index_files_max = 2;
  options.location_cache_max_bytes = 2 * 4096;
  Reopen();
  for (int64_t i = 0; i < 20; ++i) MustPut(LedgerId(i), EntryId(0), StrCat(i));
  EXPECT_EQ(storage->Stats().resident_ledgers, 20);
  MustFlush();
  for (int round = 0; round < 3; ++round) {
    for (int64_t i = 0; i < 20; ++i) {
      EXPECT_EQ(Read(LedgerId(i), EntryId(0))->view(),
                MakeBody(LedgerId(i), EntryId(0), StrCat(i)).view());
    }
  }
  EXPECT_LE(storage->Stats().resident_ledgers, 4);
  EXPECT_EQ(storage->Stats().ledgers, 20);
}

// ---- Runs

TEST_F(StorageTest, ARunEndsAtItsLimitsOrWhereAnEntryIsMissing) {
  for (int64_t i = 0; i < 10; ++i) MustPut(kLedger, EntryId(i), "on disk");
  MustFlush();
  for (int64_t i = 10; i < 15; ++i) MustPut(kLedger, EntryId(i), "memory!");
  MustPut(kLedger, EntryId(16), "memory!");
  const auto run = [&](int64_t first, RunLimits limits) {
    return Await(storage->ReadRun(kLedger, EntryId(first), limits));
  };
  const auto all = run(0, {});
  ASSERT_TRUE(all.ok()) << all.status();
  ASSERT_EQ(all->size(), 15u);
  for (int64_t i = 0; i < 15; ++i) {
    EXPECT_EQ((*all)[static_cast<size_t>(i)],
              MakeBody(kLedger, EntryId(i), i < 10 ? "on disk" : "memory!"));
  }
  const size_t size = all->front().size();
  EXPECT_EQ(run(8, {.count_max = 4})->size(), 4u);
  EXPECT_EQ(run(8, {.size_max_bytes = 3 * size})->size(), 3u);
  EXPECT_EQ(run(8, {.size_max_bytes = 3 * size, .entry_overhead_bytes = 1})->size(), 2u);
  EXPECT_EQ(run(8, {.size_max_bytes = 0})->size(), 1u);  // one always comes
  EXPECT_EQ(CodeOf(run(15, {}).status()), ErrorCode::kNoSuchEntry);
  EXPECT_EQ(run(16, {})->size(), 1u);
  EXPECT_EQ(CodeOf(run(INT64_MAX, {}).status()), ErrorCode::kNoSuchEntry);
  EXPECT_EQ(CodeOf(run(-1, {}).status()), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf(Await(storage->ReadRun(LedgerId(999), EntryId(0), {})).status()),
            ErrorCode::kNoSuchLedger);
}

TEST_F(StorageTest, OneReadOfALogServesTheEntriesBehind) {
  const std::string payload(500, 'p');
  for (int64_t i = 0; i < 1000; ++i) MustPut(kLedger, EntryId(i), payload);
  MustFlush();
  const auto count_reads = [&](int* reads) {
    faults.Clear();
    Reopen();
    MustLoad(kLedger);
    faults.Set([reads](const simulation::FileRequest& request) {
      const bool is_of_log = request.operation == simulation::FileOperation::kRead &&
                             request.path.find(".log") != std::string::npos;
      *reads += is_of_log ? 1 : 0;
      return absl::OkStatus();
    });
  };
  int reads = 0;
  count_reads(&reads);
  for (int64_t i = 0; i < 1000; i += 100) {
    const auto run = Await(storage->ReadRun(kLedger, EntryId(i), {.count_max = 100}));
    ASSERT_TRUE(run.ok() && run->size() == 100) << i;
    for (size_t j = 0; j < 100; ++j) {
      EXPECT_EQ((*run)[j], MakeBody(kLedger, EntryId(i + static_cast<int64_t>(j)), payload));
    }
  }
  EXPECT_LE(reads, 4);  // what was asked for first, then to the end of each page of the index
  reads = 0;
  count_reads(&reads);
  for (int64_t i = 0; i < 1000; ++i) {
    ASSERT_EQ(*Read(kLedger, EntryId(i)), MakeBody(kLedger, EntryId(i), payload)) << i;
  }
  EXPECT_LE(reads, 4);
  reads = 0;
  count_reads(&reads);
  for (const int64_t i : {900, 100, 700, 300, 500}) ASSERT_TRUE(Read(kLedger, EntryId(i)).ok());
  EXPECT_EQ(reads, 5);  // nobody reads in order
}

TEST_F(StorageTest, WhatWasReadAheadNeverHidesWhatIsWrittenBehind) {
  const std::string payload(700, 'p');
  int64_t next = 0;
  for (const int64_t count : {100, 1, 3, 200, 50}) {
    const int64_t first = next;
    for (; next < first + count; ++next) MustPut(kLedger, EntryId(next), payload);
    MustFlush();
    for (int64_t i = 0; i < next; i += 25) {
      const int64_t size = std::min<int64_t>(25, next - i);
      const auto run = Await(storage->ReadRun(kLedger, EntryId(i), {.count_max = 25}));
      ASSERT_TRUE(run.ok() && std::ssize(*run) == size) << i << " of " << next;
      for (int64_t j = 0; j < size; ++j) {
        ASSERT_EQ((*run)[static_cast<size_t>(j)], MakeBody(kLedger, EntryId(i + j), payload));
      }
    }
  }
}

TEST_F(StorageTest, ARunThatCannotBeReadAheadIsReadEntryByEntry) {
  for (int64_t i = 0; i < 100; ++i) MustPut(kLedger, EntryId(i), "payload");
  MustFlush();
  Reopen();
  MustLoad(kLedger);
  int reads = 0;
  faults.Set([&](const simulation::FileRequest& request) {
    const bool strikes = request.operation == simulation::FileOperation::kRead &&
                         request.path.find(".log") != std::string::npos && ++reads == 1;
    return strikes ? MakeError(ErrorCode::kIoError, "injected") : absl::OkStatus();
  });
  const auto run = Await(storage->ReadRun(kLedger, EntryId(0), {.count_max = 100}));
  faults.Clear();
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->size(), 100u);
}

// ---- Damage

TEST_F(StorageTest, F27ARecordOfAnotherEntryIsCorruptDataNeverNoSuchEntry) {
  MustPut(kLedger, EntryId(0));
  MustPut(kLedger, EntryId(1));
  MustFlush();
  Reopen();
  std::string id;
  AppendBigEndian(id, int64_t{77});
  OverwriteFile("/d0/0.log", 4096 + 12, id);
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kCorruptData);
  EXPECT_TRUE(Read(kLedger, EntryId(1)).ok());
  // A size that cannot be, and one that leads behind the end.
  for (const int32_t size : {-1, 0, 15, 6 << 20, 5000}) {
    std::string bytes;
    AppendBigEndian(bytes, size);
    OverwriteFile("/d0/0.log", 4096 + 43, bytes);
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(1)), ErrorCode::kCorruptData) << size;
  }
}

TEST_F(StorageTest, F32AMissingOrCutEntryLogIsAnError) {
  MustPut(kLedger, EntryId(0), std::string(9000, 'x'));
  MustFlush();
  Reopen();
  TruncateFile("/d0/0.log", 8000);
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kCorruptData);
  TruncateFile("/d0/0.log", 4100);
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kCorruptData);
  RemoveFile("/d0/0.log");
  Reopen();
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kIoError);
  // The ledger is still there; its LAC cannot be told.
  EXPECT_EQ(MustLoad(kLedger)->last_entry, EntryId(0));
  EXPECT_EQ(CodeOf(Await(storage->ReadLac(kLedger)).status()), ErrorCode::kIoError);
}

TEST_F(StorageTest, F26ReadErrorsAreIoErrors) {
  MustPut(kLedger, EntryId(0));
  MustFlush();
  Reopen();
  for (const FileOperation operation : {FileOperation::kOpen, FileOperation::kRead}) {
    faults.Fail(operation, ".idx");
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kIoError);
    EXPECT_EQ(CodeOf(Await(storage->Load(kLedger)).status()), ErrorCode::kIoError);
  }
  faults.Fail(FileOperation::kRead, ".log");
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kIoError);
  faults.Clear();
  EXPECT_TRUE(Read(kLedger, EntryId(0)).ok());
}

TEST_F(StorageTest, F29ALostHeaderMakesTheLedgerUncertainAndFenced) {
  MustPut(kLedger, EntryId(0));
  MustPut(kLedger, EntryId(2));
  MustFlush();
  OverwriteFile(kIndexPath, 0, std::string(1024, '\0'));
  Reopen();
  for (int round = 0; round < 2; ++round) {
    const LedgerState* state = MustLoad(kLedger);
    EXPECT_TRUE(state->uncertain);
    EXPECT_TRUE(state->fenced);
    EXPECT_EQ(state->has_master_key, round == 1);
    EXPECT_TRUE(Read(kLedger, EntryId(0)).ok());
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(1)), ErrorCode::kUnknownLedgerState);
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(3)), ErrorCode::kUnknownLedgerState);
    EXPECT_EQ(CodeOf(Await(storage->ReadLast(kLedger)).status()), ErrorCode::kUnknownLedgerState);
    EXPECT_EQ(CodeOf(Await(storage->ReadLac(kLedger)).status()), ErrorCode::kUnknownLedgerState);
    EXPECT_EQ(CodeOf(Await(storage->ListEntries(kLedger)).status()),
              ErrorCode::kUnknownLedgerState);
    // It stays so, because the next process must not forget it.
    storage->SetMasterKey(kLedger, KeyOf(kLedger));
    MustFlush();
    Reopen();
  }
}

TEST_F(StorageTest, IndexFilesThatAreSomethingElseAreRefused) {
  const std::string good = MakeIndexHeader({.master_key = KeyOf(kLedger)});
  std::string other_lac = MakeIndexHeader(
      {.master_key = KeyOf(kLedger), .explicit_lac = MakeLacPacket(kOther, EntryId(1)).ToString()});
  for (const std::string& content :
       {std::string(1 << 20, 't'), std::string("text"), other_lac, "XKLE" + good.substr(4)}) {
    CreateFile(kIndexPath, content);
    Reopen();
    EXPECT_EQ(CodeOf(Await(storage->Load(kLedger)).status()), ErrorCode::kCorruptData);
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kCorruptData);
    EXPECT_EQ(storage->Ledgers(), std::vector<LedgerId>{kLedger});
  }
}

TEST_F(StorageTest, LocationsThatNobodyWroteAreCorrupt) {
  for (const int64_t packed :
       {int64_t{-1}, int64_t{1}, int64_t{0x7fffffffffffffff} & ~0x7fffffffL}) {
    std::string index = MakeIndexHeader({.master_key = KeyOf(kLedger)});
    AppendBigEndian(index, packed);
    CreateFile(kIndexPath, index);
    Reopen();
    EXPECT_EQ(CodeOfRead(kLedger, EntryId(0)), ErrorCode::kCorruptData);
  }
}

TEST_F(StorageTest, F29APartialLocationAtTheEndIsNoEntryAndDoesNotBecomeOne) {
  MustPut(kLedger, EntryId(0));
  MustFlush();
  OverwriteFile(kIndexPath, 1024 + 8, "\1\2\3");
  Reopen();
  EXPECT_EQ(MustLoad(kLedger)->last_entry, EntryId(0));
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(1)), ErrorCode::kNoSuchEntry);
  MustPut(kLedger, EntryId(5));
  MustFlush();
  EXPECT_EQ(CodeOfRead(kLedger, EntryId(1)), ErrorCode::kNoSuchEntry);
  EXPECT_EQ(*Await(storage->ListEntries(kLedger)), Ids({0, 5}));
}

TEST_F(StorageTest, TheLastEntryIsFoundBehindAPageOfZeroes) {
  // Java's LIST loses an entry that is alone in the first slot of its page.
  for (const int64_t entry : {0, 1023, 1024, 2048}) {
    const LedgerId ledger(100 + entry);
    MustPut(ledger, EntryId(entry));
    MustFlush();
    const std::string path = StrCat("/d0/", IndexFilePath(ledger));
    OverwriteFile(path, LocationOffset(entry + 40'000), std::string(8, '\0'));
  }
  Reopen();
  for (const int64_t entry : {0, 1023, 1024, 2048}) {
    EXPECT_EQ(MustLoad(LedgerId(100 + entry))->last_entry, EntryId(entry));
    EXPECT_EQ(*Await(storage->ListEntries(LedgerId(100 + entry))), Ids({entry}));
  }
}

}  // namespace
}  // namespace stele::bookie
