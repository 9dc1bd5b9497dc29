#include "bookie/journal/journal.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "bookie/journal/journal_format.h"
#include "bookie/journal/testing/journal_rig.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

using simulation::FileOperation;
using simulation::FileRequest;

constexpr uint64_t kBlock = kJournalBlockSizeBytes;

std::string Payload(size_t size, char fill = 'p') { return std::string(size, fill); }

// Which of the writes are batches: those to a file that has its name already. Files are opened
// under the name that they have while they are filled.
class BatchWrites {
 public:
  explicit BatchWrites(JournalRig* rig) {
    rig->disk.fail = [this](const FileRequest& request) {
      if (request.operation == FileOperation::kRename) {
        named_.insert(request.path);
      } else if (request.operation == FileOperation::kWrite) {
        if (named_.contains(request.path)) {
          batches.push_back(request);
        } else {
          filled_[request.path] = std::max(filled_[request.path], request.offset + request.size);
        }
      }
      return absl::OkStatus();
    };
  }
  uint64_t filled(const std::string& path) const { return filled_.at(path); }
  uint64_t filled_bytes() const {
    uint64_t sum = 0;
    for (const auto& [path, size] : filled_) sum += size;
    return sum;
  }

  std::vector<FileRequest> batches;

 private:
  std::set<std::string> named_;
  std::map<std::string, uint64_t> filled_;
};

TEST(JournalTest, WhatOneTurnAppendsIsOneBatch) {
  JournalRig rig;
  BatchWrites writes(&rig);
  Journal* const journal = rig.Open();
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(journal->Append(JournalRig::Entry(i, Payload(100))), uint64_t(i) + 1);
  }
  EXPECT_TRUE(writes.batches.empty());
  rig.RunUntil([&] { return rig.listener.durable == 10; });
  ASSERT_EQ(writes.batches.size(), 1u);
  EXPECT_EQ(writes.batches[0].offset, kBlock);
  EXPECT_EQ(writes.batches[0].size, kBlock);
  EXPECT_EQ(rig.listener.reports, std::vector<uint64_t>{10});
  EXPECT_EQ(journal->DurableMark().offset_bytes, 2 * 4096);
}

TEST(JournalTest, ABusyDeviceGathersUntilItIsIdle) {
  JournalRig rig;
  BatchWrites writes(&rig);
  Journal* const journal = rig.Open();
  journal->Append(JournalRig::Entry(0, Payload(100)));
  rig.RunUntil([&] { return !writes.batches.empty(); });
  for (int i = 1; i < 20; ++i) {
    journal->Append(JournalRig::Entry(i, Payload(100)));
    rig.RunFor(absl::Microseconds(1));
    EXPECT_EQ(writes.batches.size(), 1u);
  }
  rig.RunUntil([&] { return rig.listener.durable == 20; });
  EXPECT_EQ(writes.batches.size(), 2u);
  EXPECT_EQ(rig.listener.reports, (std::vector<uint64_t>{1, 20}));
}

TEST(JournalTest, FullBatchesFillTheWindowAndNoMore) {
  JournalRig rig;
  BatchWrites writes(&rig);
  JournalOptions options = JournalRig::SmallOptions();
  options.batches_in_flight_max = 3;
  Journal* const journal = rig.Open(options);
  for (int i = 0; i < 50; ++i) journal->Append(JournalRig::Entry(i, Payload(2000)));
  size_t in_flight_max = 0;
  rig.listener.on_durable = [&](uint64_t) {
    in_flight_max = std::max(in_flight_max, writes.batches.size());
  };
  rig.RunFor(absl::Microseconds(1));
  EXPECT_EQ(writes.batches.size(), 3u);
  for (const FileRequest& batch : writes.batches) EXPECT_EQ(batch.size, 16u << 10);
  rig.RunUntil([&] { return rig.listener.durable == 50; });
  EXPECT_GT(rig.listener.reports.size(), 1u);
}

TEST(JournalTest, AcksKeepTheOrderWhenWritesDoNot) {
  // With two batches in flight the second is done first in about half of the worlds.
  int overtaken = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    JournalRig rig(seed);
    BatchWrites writes(&rig);
    Journal* const journal = rig.Open();
    // Two full batches of eight records, and one that waits for them.
    for (int i = 0; i < 17; ++i) journal->Append(JournalRig::Entry(i, Payload(2000)));
    rig.RunUntil([&] { return rig.listener.durable == 17; });
    const std::vector<uint64_t> in_order = {8, 16, 17};
    if (rig.listener.reports == in_order) continue;
    EXPECT_EQ(rig.listener.reports, (std::vector<uint64_t>{16, 17}));
    ++overtaken;
  }
  EXPECT_GT(overtaken, 0);
}

TEST(JournalTest, ARecordLargerThanABatchGetsItsOwn) {
  JournalRig rig;
  Journal* const journal = rig.Open();
  journal->Append(JournalRig::Entry(0, Payload(100)));
  journal->Append(JournalRig::Entry(1, Payload((40 << 10) - 16)));
  journal->Append(JournalRig::Entry(2, Payload(100)));
  rig.RunUntil([&] { return rig.listener.durable == 3; });
  const Replayed replayed = rig.Replay();
  ASSERT_TRUE(replayed.status.ok()) << replayed.status;
  ASSERT_EQ(replayed.bodies.size(), 3u);
  EXPECT_EQ(replayed.bodies[1].size(), 40u << 10);
}

TEST(JournalTest, EveryBatchOverwritesWhatWasFilledBefore) {
  JournalRig rig;
  BatchWrites writes(&rig);
  Journal* const journal = rig.Open();
  for (int i = 0; i < 400; ++i) {
    journal->Append(JournalRig::Entry(i, Payload(3000)));
    if (i % 7 == 0) rig.RunFor(absl::Microseconds(300));
  }
  rig.RunUntil([&] { return rig.listener.durable == 400; });
  std::set<std::string> files;
  for (const FileRequest& batch : writes.batches) {
    files.insert(batch.path);
    EXPECT_GE(batch.offset, kBlock);
    EXPECT_LE(batch.offset + batch.size, writes.filled(batch.path));
  }
  EXPECT_GT(files.size(), 5u);
  const Replayed replayed = rig.Replay();
  ASSERT_TRUE(replayed.status.ok()) << replayed.status;
  EXPECT_EQ(replayed.bodies.size(), 400u);
}

TEST(JournalTest, AWriterFasterThanTheFillingTakesTheNextFileEarly) {
  JournalRig rig;
  BatchWrites writes(&rig);
  Journal* const journal = rig.Open({.directory = kJournalDirectory});
  const int64_t first = journal->DurableMark().file_id;
  const std::string next = StrCat(kJournalDirectory, "/", JournalFileName(first + 1), ".pre");
  // The filling of the next file takes longer than the writing of this one.
  for (int i = 0; i < 10; ++i) journal->Append(JournalRig::Entry(i, Payload(1 << 20)));
  rig.RunUntil([&] { return rig.listener.durable == 10; });
  EXPECT_EQ(journal->DurableMark().file_id, first + 1);
  EXPECT_GE(writes.filled(next), 8u << 20);
  EXPECT_LT(writes.filled(next), 16u << 20);
  EXPECT_EQ(rig.Replay().bodies.size(), 10u);
}

TEST(JournalTest, AStartAndAnIdleJournalWriteLittle) {
  JournalRig rig;
  BatchWrites writes(&rig);
  Journal* const journal = rig.Open({.directory = kJournalDirectory});
  EXPECT_EQ(writes.filled_bytes(), 8u << 20);
  rig.RunFor(absl::Hours(1));
  EXPECT_EQ(writes.filled_bytes(), 8u << 20);
  EXPECT_TRUE(writes.batches.empty());
  // The first record has the next file prepared, twice as large.
  journal->Append(JournalRig::Entry(0, Payload(100)));
  rig.RunFor(absl::Hours(1));
  EXPECT_EQ(writes.filled_bytes(), (8u + 16u) << 20);
}

TEST(JournalTest, AnIdleJournalClaimsItsLastBatchOnce) {
  JournalRig rig;
  BatchWrites writes(&rig);
  Journal* const journal = rig.Open();
  journal->Append(JournalRig::Entry(0, Payload(100)));
  rig.RunUntil([&] { return rig.listener.durable == 1; });
  rig.RunFor(absl::Milliseconds(5));
  EXPECT_EQ(writes.batches.size(), 1u);
  rig.RunFor(absl::Hours(1));
  ASSERT_EQ(writes.batches.size(), 2u);
  const std::string file = rig.ReadFile(rig.FileNames()[0]);
  const auto claim =
      ParseBatchFooter(std::string_view(file).substr(2 * kBlock, kBlock), 3 * kBlock);
  ASSERT_TRUE(claim.has_value());
  EXPECT_EQ(claim->sequence, 2u);
  EXPECT_EQ(claim->durable_sequence, 1u);
  EXPECT_EQ(claim->record_count, 0u);
  EXPECT_EQ(rig.listener.reports, std::vector<uint64_t>{1});
  // The next batch of records needs a claim again.
  journal->Append(JournalRig::Entry(1, Payload(100)));
  rig.RunFor(absl::Hours(1));
  EXPECT_EQ(writes.batches.size(), 4u);
}

TEST(JournalTest, ASteadyClientNeverWaitsForAClaim) {
  JournalRig rig;
  BatchWrites writes(&rig);
  Journal* const journal = rig.Open();
  for (int i = 0; i < 200; ++i) {
    journal->Append(JournalRig::Entry(i, Payload(100)));
    rig.RunUntil([&] { return rig.listener.durable == uint64_t(i) + 1; });
    rig.RunFor(absl::Milliseconds(2));
  }
  EXPECT_EQ(writes.batches.size(), 200u);
}

TEST(JournalTest, F20AFailedWritePoisons) {
  JournalRig rig;
  Journal* const journal = rig.Open();
  journal->Append(JournalRig::Entry(0, Payload(100)));
  rig.RunUntil([&] { return rig.listener.durable == 1; });
  const std::string path =
      StrCat(kJournalDirectory, "/", JournalFileName(journal->DurableMark().file_id), ".pre");
  int writes = 0;
  rig.disk.fail = [&](const FileRequest& request) {
    if (request.operation != FileOperation::kWrite || request.path != path || ++writes != 2) {
      return absl::OkStatus();
    }
    return MakeError(ErrorCode::kIoError, "EIO");
  };
  // Two full batches are in flight together; the one that is submitted second fails.
  for (int i = 0; i < 17; ++i) journal->Append(JournalRig::Entry(i, Payload(2000)));
  rig.RunUntil([&] { return !rig.listener.failures.empty(); });
  const uint64_t durable = rig.listener.durable;
  EXPECT_LE(durable, 9u);
  journal->Append(JournalRig::Entry(99, Payload(100)));
  rig.RunFor(absl::Hours(1));
  EXPECT_EQ(rig.listener.failures.size(), 1u);
  EXPECT_EQ(rig.listener.durable, durable);
  EXPECT_EQ(writes, 2);
  EXPECT_EQ(CodeOf(rig.Close()), ErrorCode::kIoError);
}

// Every step of making the next file, failing once: no later success is believed.
TEST(JournalTest, F21F22F24AFailureWhileTheNextFileIsMadePoisons) {
  for (const FileOperation operation :
       {FileOperation::kOpen, FileOperation::kWrite, FileOperation::kSync, FileOperation::kRename,
        FileOperation::kSyncDirectory}) {
    JournalRig rig;
    Journal* const journal = rig.Open();
    const std::string next = StrCat(JournalFileName(journal->DurableMark().file_id + 1), ".pre");
    bool failed = false;
    rig.disk.fail = [&](const FileRequest& request) {
      const bool is_next =
          request.path.ends_with(next) || request.operation == FileOperation::kSyncDirectory;
      if (failed || request.operation != operation || !is_next) return absl::OkStatus();
      failed = true;
      return MakeError(ErrorCode::kIoError, "EIO");
    };
    journal->Append(JournalRig::Entry(0, Payload(100)));
    rig.RunFor(absl::Seconds(10));
    EXPECT_TRUE(failed);
    ASSERT_EQ(rig.listener.failures.size(), 1u);
    const uint64_t durable = rig.listener.durable;
    journal->Append(JournalRig::Entry(1, Payload(100)));
    rig.RunFor(absl::Seconds(10));
    EXPECT_EQ(rig.listener.durable, durable);
  }
}

TEST(JournalTest, F15AFullDiskIsToldWhileThereIsRoomForFences) {
  JournalRig rig;
  Journal* const journal = rig.Open();
  bool is_full = true;
  rig.disk.fail = [&](const FileRequest& request) {
    if (!is_full || request.operation != FileOperation::kWrite || request.offset == 0 ||
        !request.path.ends_with(
            StrCat(JournalFileName(journal->DurableMark().file_id + 1), ".pre"))) {
      return absl::OkStatus();
    }
    return MakeError(ErrorCode::kDiskFull, "ENOSPC");
  };
  journal->Append(JournalRig::Entry(0, Payload(100)));
  rig.RunFor(absl::Seconds(3));
  EXPECT_EQ(rig.listener.disk_full, std::vector<bool>{true});
  // What is left of the file still serves.
  journal->Append(MakeFenceRecord(LedgerId(7)));
  rig.RunUntil([&] { return rig.listener.durable == 2; });
  EXPECT_EQ(rig.FileNames().size(), 1u);
  is_full = false;
  rig.RunFor(absl::Seconds(3));
  EXPECT_EQ(rig.listener.disk_full, (std::vector<bool>{true, false}));
  EXPECT_TRUE(rig.listener.failures.empty());
  EXPECT_EQ(rig.FileNames().size(), 2u);
}

TEST(JournalTest, F15AFullDiskAndAUsedUpFileEndTheJournal) {
  JournalRig rig;
  Journal* const journal = rig.Open();
  rig.disk.fail = [&](const FileRequest& request) {
    if (request.operation != FileOperation::kOpen || !request.path.ends_with(".pre")) {
      return absl::OkStatus();
    }
    return MakeError(ErrorCode::kDiskFull, "ENOSPC");
  };
  uint64_t appended = 0;
  while (rig.listener.failures.empty() && appended < 1000) {
    appended = journal->Append(JournalRig::Entry(0, Payload(3000)));
    rig.RunFor(absl::Milliseconds(1));
  }
  ASSERT_EQ(rig.listener.failures.size(), 1u);
  EXPECT_EQ(CodeOf(rig.listener.failures[0]), ErrorCode::kDiskFull);
  EXPECT_EQ(rig.listener.durable, appended - 1);
  EXPECT_EQ(rig.Replay().bodies.size(), appended - 1);
}

TEST(JournalTest, RoomIsToldAfterPressure) {
  JournalRig rig;
  JournalOptions options = JournalRig::SmallOptions();
  options.pending_max_bytes = 50'000;
  Journal* const journal = rig.Open(options);
  int appended = 0;
  while (journal->has_room()) {
    journal->Append(JournalRig::Entry(appended++, Payload(980)));
  }
  EXPECT_EQ(appended, 50);
  EXPECT_EQ(rig.listener.rooms, 0);
  rig.RunUntil([&] { return rig.listener.rooms == 1; });
  EXPECT_TRUE(journal->has_room());
  rig.RunUntil([&] { return rig.listener.durable == 50; });
  journal->Append(JournalRig::Entry(0, Payload(980)));
  rig.RunFor(absl::Seconds(1));
  EXPECT_EQ(rig.listener.rooms, 1);
}

TEST(JournalTest, CloseMakesEverythingDurableAndClaimed) {
  JournalRig rig;
  BatchWrites writes(&rig);
  Journal* const journal = rig.Open();
  // More than the current and the next file hold.
  for (int i = 0; i < 200; ++i) journal->Append(JournalRig::Entry(i, Payload(3000)));
  EXPECT_TRUE(rig.Close().ok());
  EXPECT_EQ(rig.listener.durable, 200u);
  for (const std::string& name : rig.FileNames()) EXPECT_TRUE(name.ends_with(".txn")) << name;
  const size_t batches = writes.batches.size();
  rig.RunFor(absl::Seconds(10));
  EXPECT_EQ(writes.batches.size(), batches);
  EXPECT_EQ(writes.batches.back().size, kBlock);
  EXPECT_EQ(rig.Replay().bodies.size(), 200u);
}

TEST(JournalTest, CloseOfAnUnusedJournalWritesNothing) {
  JournalRig rig;
  BatchWrites writes(&rig);
  rig.Open();
  EXPECT_TRUE(rig.Close().ok());
  EXPECT_TRUE(writes.batches.empty());
}

TEST(JournalTest, IdsFollowTheDirectoryThenTheMarkThenTheClock) {
  JournalRig rig;
  const int64_t now = absl::ToUnixMillis(rig.env.clock->WallNow());
  const int64_t first = rig.Open()->DurableMark().file_id;
  EXPECT_GE(first, now + 1);
  EXPECT_LE(first, absl::ToUnixMillis(rig.env.clock->WallNow()) + 1);
  rig.Crash();
  // F43: the wall clock has gone back by a day, or ahead.
  rig.process->set_wall_offset(-absl::Hours(24));
  EXPECT_EQ(rig.Open()->DurableMark().file_id, first + 1);
  rig.Crash();
  rig.process->set_wall_offset(absl::Hours(24));
  EXPECT_EQ(rig.Open()->DurableMark().file_id, first + 2);
  rig.Crash();
  rig.process->set_wall_offset(-absl::Hours(24));
  for (const std::string& name : rig.FileNames()) rig.RemoveFile(name);
  JournalOptions options = JournalRig::SmallOptions();
  options.file_id_above = first + 2;
  EXPECT_EQ(rig.Open(options)->DurableMark().file_id, first + 3);
}

TEST(JournalTest, WhatWasInPreparationIsRemovedAtStart) {
  JournalRig rig;
  rig.WriteFile("5.txn.pre", "rest of a crash");
  rig.WriteFile("notes.pre", "not ours");
  rig.Open();
  EXPECT_EQ(rig.FileNames().size(), 2u);
  rig.WriteFile("zz.txn", "");
  EXPECT_EQ(rig.Open(), nullptr);
  EXPECT_EQ(CodeOf(rig.OpenStatus()), ErrorCode::kCorruptData);
}

TEST(JournalTest, OptionsOutOfRangeAreRefused) {
  JournalRig rig;
  for (int i = 0; i < 6; ++i) {
    JournalOptions options = JournalRig::SmallOptions();
    if (i == 0) options.batches_in_flight_max = 0;
    if (i == 1) options.batch_size_max_bytes = 4095;
    if (i == 2) options.prealloc_bytes = 40 << 10;
    if (i == 3) options.file_size_max_bytes = 40 << 10;
    if (i == 4) options.record_size_max_bytes = 1u << 31;
    if (i == 5) options.backup_files = -1;
    EXPECT_EQ(rig.Open(options), nullptr) << i;
    EXPECT_EQ(CodeOf(rig.OpenStatus()), ErrorCode::kInvalidArgument) << i;
  }
}

TEST(JournalTest, TrimKeepsBackupsAndWhatTheMarkNeeds) {
  JournalRig rig;
  Journal* const journal = rig.Open();
  while (rig.FileNames().size() < 6) {
    journal->Append(JournalRig::Entry(0, Payload(3000)));
    rig.RunFor(absl::Milliseconds(1));
  }
  const std::vector<std::string> names = rig.FileNames();
  const int64_t first = **ParseJournalFileName(names[0]);
  EXPECT_TRUE(rig.Trim({first, 0}).ok());
  EXPECT_TRUE(rig.Trim({first + 1, 0}).ok());
  EXPECT_EQ(rig.FileNames(), names);
  EXPECT_TRUE(rig.Trim({first + 3, 12345}).ok());
  EXPECT_EQ(rig.FileNames(), std::vector<std::string>(names.begin() + 2, names.end()));
  // Nothing is believed that this journal has not made durable.
  const JournalMark durable = journal->DurableMark();
  EXPECT_EQ(CodeOf(rig.Trim({durable.file_id, durable.offset_bytes + 1})),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(rig.FileNames().size(), names.size() - 2);
}

}  // namespace
}  // namespace stele::bookie
