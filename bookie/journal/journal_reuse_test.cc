// Files that are written again: JournalOptions::reuse_files.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/journal/journal.h"
#include "bookie/journal/journal_format.h"
#include "bookie/journal/testing/journal_rig.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

using simulation::FileOperation;
using simulation::FileRequest;

constexpr uint64_t kBlock = kJournalBlockSizeBytes;

// A journal that has rolled several times, with one record in each batch, so that each roll leaves
// a file full of old batches.
class ReuseTest : public testing::Test {
 protected:
  ReuseTest() {
    options_.reuse_files = true;
    options_.backup_files = 0;
    journal_ = rig_.Open(options_);
  }

  int64_t current() const { return journal_->DurableMark().file_id; }

  void Append() {
    appended_.push_back(JournalRig::Entry(next_++, std::string(3000, 'p')).ToString());
    journal_->Append(Buffer::CopyOf(appended_.back()));
    rig_.RunFor(absl::Milliseconds(1));
  }
  // Until the journal writes the file `id`.
  void AppendInto(int64_t id) {
    while (current() < id && rig_.listener.failures.empty()) Append();
  }
  // As a checkpoint does.
  void Trim() {
    mark_ = journal_->DurableMark();
    ASSERT_TRUE(rig_.Trim(mark_).ok());
    appended_.clear();
  }
  // The names of files that are set aside.
  int Spares() {
    int spares = 0;
    for (const std::string& name : rig_.FileNames()) spares += name.ends_with(".pre") ? 1 : 0;
    return spares;
  }
  JournalFileHeader HeaderOf(int64_t id) {
    return *ParseJournalFileHeader(rig_.ReadFile(JournalFileName(id)));
  }
  // As after a lost write: the file `id` has the header that it had as `former`.
  void GiveFormerHeader(int64_t id, int64_t former) {
    std::string content = rig_.ReadFile(JournalFileName(id));
    StreamHeader header = *HeaderOf(id).stream;
    header.is_reused = false;
    header.file_id = former;
    header.previous_file_id = former - 1;
    WriteHeaderBlock(header, content.data());
    rig_.WriteFile(JournalFileName(id), content);
  }

  JournalRig rig_;
  JournalOptions options_ = JournalRig::SmallOptions();
  Journal* journal_ = nullptr;
  int64_t next_ = 0;
  JournalMark mark_;
  std::vector<std::string> appended_;  // behind mark_
};

TEST_F(ReuseTest, AFileThatIsNoLongerNeededIsWrittenAgainWithoutZeros) {
  const int64_t first = current();
  AppendInto(first + 3);
  Trim();
  EXPECT_EQ(Spares(), 2);
  // One more is prepared already, with zeros; those behind it are the ones that were set aside.
  AppendInto(first + 4);
  uint64_t written = 0;
  uint64_t at_headers = 0;
  rig_.disk.fail = [&](const FileRequest& request) {
    if (request.operation == FileOperation::kWrite) {
      written += request.size;
      at_headers += request.offset == 0 ? request.size : 0;
    }
    return absl::OkStatus();
  };
  const size_t before = appended_.size();
  AppendInto(first + 5);
  rig_.RunFor(absl::Seconds(1));
  EXPECT_LE(written, at_headers + (appended_.size() - before + 1) * kBlock);
  EXPECT_TRUE(HeaderOf(first + 5).stream->is_reused);
  EXPECT_TRUE(HeaderOf(first + 6).stream->is_reused);
  EXPECT_FALSE(HeaderOf(first + 4).stream->is_reused);
}

TEST_F(ReuseTest, WithoutTheOptionNothingIsSetAside) {
  ASSERT_TRUE(rig_.Close().ok());
  options_.reuse_files = false;
  journal_ = rig_.Open(options_);
  AppendInto(current() + 3);
  Trim();
  EXPECT_EQ(Spares(), 0);
}

TEST_F(ReuseTest, WhatAFileHeldBeforeIsNotReplayed) {
  const int64_t first = current();
  AppendInto(first + 3);
  Trim();
  // From the end of one reused file into the middle of the next: behind it lie old batches.
  AppendInto(first + 5);
  Trim();
  AppendInto(first + 6);
  for (int i = 0; i < 5; ++i) Append();
  ASSERT_TRUE(HeaderOf(first + 6).stream->is_reused);
  rig_.PowerCut();
  const Replayed replayed = rig_.Replay(mark_);
  ASSERT_TRUE(replayed.status.ok()) << replayed.status;
  EXPECT_EQ(replayed.bodies, appended_);
  EXPECT_EQ(replayed.report.torn_tails, 0);
  EXPECT_TRUE(replayed.report.notes.empty());
}

// A mark at the beginning of a file into which nothing was written yet: nobody says which batch
// comes first, so only the file's id tells the old ones from it.
TEST_F(ReuseTest, AReusedFileWithoutABatchIsEmpty) {
  const int64_t first = current();
  AppendInto(first + 3);
  Trim();
  AppendInto(first + 4);
  rig_.RunFor(absl::Seconds(1));
  ASSERT_TRUE(HeaderOf(first + 5).stream->is_reused);
  rig_.Crash();
  const Replayed replayed = rig_.Replay({first + 5, kBlock});
  ASSERT_TRUE(replayed.status.ok()) << replayed.status;
  EXPECT_TRUE(replayed.bodies.empty());
}

// The disk is full when a checkpoint leaves files behind: one gets the writer on, the others give
// their space back.
TEST_F(ReuseTest, F15ACheckpointOnAFullDiskGetsTheWriterOn) {
  const int64_t first = current();
  AppendInto(first + 3);
  const std::string next = StrCat(JournalFileName(first + 5), ".pre");
  rig_.disk.fail = [&](const FileRequest& request) {
    const bool is_fill = request.operation == FileOperation::kWrite && request.offset > 0;
    if (!is_fill || !request.path.ends_with(next)) return absl::OkStatus();
    return MakeError(ErrorCode::kDiskFull, "ENOSPC");
  };
  AppendInto(first + 4);
  rig_.RunFor(absl::Seconds(3));
  EXPECT_EQ(rig_.listener.disk_full, std::vector<bool>{true});
  Trim();
  rig_.RunFor(absl::Seconds(3));
  EXPECT_EQ(rig_.listener.disk_full, (std::vector<bool>{true, false}));
  EXPECT_EQ(rig_.FileNames(),
            (std::vector<std::string>{JournalFileName(first + 4), JournalFileName(first + 5)}));
  AppendInto(first + 5);
  EXPECT_TRUE(rig_.listener.failures.empty());
}

TEST_F(ReuseTest, ASpareThatSomebodyRemovedIsDoneWithout) {
  const int64_t first = current();
  AppendInto(first + 3);
  Trim();
  for (const std::string& name : rig_.FileNames()) {
    if (name.ends_with(".pre")) rig_.RemoveFile(name);
  }
  AppendInto(first + 6);
  EXPECT_TRUE(rig_.listener.failures.empty());
}

// The write of a new header was acknowledged, and is lost.
TEST_F(ReuseTest, AHeaderOfAFormerLifeIsNoDamageWhereNothingWasWritten) {
  const int64_t first = current();
  AppendInto(first + 3);
  Trim();
  AppendInto(first + 4);
  rig_.RunFor(absl::Seconds(1));
  ASSERT_TRUE(HeaderOf(first + 5).stream->is_reused);
  rig_.Crash();
  GiveFormerHeader(first + 5, first + 1);
  const Replayed replayed = rig_.Replay(mark_);
  ASSERT_TRUE(replayed.status.ok()) << replayed.status;
  EXPECT_EQ(replayed.bodies, appended_);
  EXPECT_EQ(replayed.report.notes.size(), 1u);
  // What is needed may have been there.
  EXPECT_EQ(CodeOf(rig_.Replay({first + 1, kBlock}).status), ErrorCode::kCorruptData);
}

TEST_F(ReuseTest, BatchesBehindAHeaderOfAFormerLifeAreDamageAndAreFound) {
  const int64_t first = current();
  AppendInto(first + 3);
  Trim();
  AppendInto(first + 5);
  for (int i = 0; i < 5; ++i) Append();
  rig_.Crash();
  GiveFormerHeader(first + 5, first + 1);
  EXPECT_EQ(CodeOf(rig_.Replay(mark_).status), ErrorCode::kCorruptData);
  const Replayed replayed = rig_.Replay({.directory = kJournalDirectory,
                                         .mark = mark_,
                                         .on_damage = ReplayOptions::OnDamage::kReport});
  ASSERT_TRUE(replayed.status.ok()) << replayed.status;
  EXPECT_EQ(replayed.bodies, appended_);
}

TEST_F(ReuseTest, AnAcknowledgedBatchThatIsDamagedInAReusedFileIsNoticed) {
  const int64_t first = current();
  AppendInto(first + 3);
  Trim();
  AppendInto(first + 5);
  for (int i = 0; i < 5; ++i) Append();
  const JournalMark end = journal_->DurableMark();
  ASSERT_TRUE(HeaderOf(end.file_id).stream->is_reused);
  rig_.RunFor(absl::Seconds(1));
  rig_.PowerCut();
  rig_.FlipByte(JournalFileName(end.file_id), static_cast<size_t>(end.offset_bytes) - 2 * kBlock);
  const Replayed replayed = rig_.Replay(mark_);
  EXPECT_EQ(CodeOf(replayed.status), ErrorCode::kCorruptData);
}

// Each step of taking a file again fails once: nothing is believed after that, and what was
// acknowledged is there.
class ReuseFailureTest : public ReuseTest, public testing::WithParamInterface<FileOperation> {};

TEST_P(ReuseFailureTest, F24AFailureWhileAFileIsTakenAgainPoisons) {
  const int64_t first = current();
  AppendInto(first + 3);
  Trim();
  bool failed = false;
  // The next file but one is the first that is not prepared yet.
  rig_.disk.fail = [&](const FileRequest& request) {
    const bool is_name = GetParam() == FileOperation::kSyncDirectory ||
                         request.path.find(".pre") != std::string::npos;
    if (failed || request.operation != GetParam() || !is_name) return absl::OkStatus();
    failed = true;
    return MakeError(ErrorCode::kIoError, "EIO");
  };
  while (rig_.listener.failures.empty() && current() < first + 6) Append();
  EXPECT_TRUE(failed);
  ASSERT_EQ(rig_.listener.failures.size(), 1u);
  const uint64_t durable = rig_.listener.durable;
  journal_->Append(JournalRig::Entry(0, "late"));
  rig_.RunFor(absl::Seconds(10));
  EXPECT_EQ(rig_.listener.durable, durable);
  rig_.disk.fail = nullptr;
  rig_.PowerCut();
  const Replayed replayed = rig_.Replay(mark_);
  ASSERT_TRUE(replayed.status.ok()) << replayed.status;
  EXPECT_GE(replayed.bodies.size() + 1, appended_.size());
}

INSTANTIATE_TEST_SUITE_P(Steps, ReuseFailureTest,
                         testing::Values(FileOperation::kOpen, FileOperation::kRename,
                                         FileOperation::kSyncDirectory));

}  // namespace
}  // namespace stele::bookie
