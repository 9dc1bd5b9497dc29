// A journal is read back while it is written: what was acknowledged is there, or else the place is
// named.
#include "bookie/journal/journal_verify.h"

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

constexpr uint64_t kBlock = kJournalBlockSizeBytes;

using Verified = absl::StatusOr<std::optional<JournalDamage>>;

Task<void> RewriteInto(Journal* journal, absl::Status* result) {
  *result = co_await journal->RewriteHeader();
}

// A journal with a few files of a few batches each, idle and open.
class JournalVerifyTest : public testing::Test {
 protected:
  void SetUp() override {
    journal_ = rig_.Open();
    ends_.push_back(journal_->Stream().begin);
    for (int64_t n = 0; n < 38; ++n) Append();
    ASSERT_GE(end().file_id, begin().file_id + 2);
  }
  // One batch, unless it claims the one before too.
  void Append(size_t size = 9'000) {
    const uint64_t record = journal_->Append(JournalRig::Entry(next_++, std::string(size, 'p')));
    rig_.RunUntil([this, record] { return rig_.listener.durable == record; });
    ends_.push_back(journal_->DurableMark());
  }
  JournalMark begin() const { return ends_.front(); }
  JournalMark end() const { return journal_->DurableMark(); }

  Verified Verify(JournalMark from, JournalMark to) {
    Verified result = absl::UnknownError("did not end");
    spent_ = 0;
    rig_.Run(VerifyInto(
        rig_.env.files, {kJournalDirectory, journal_->Stream(), from, to},
        [this](uint64_t bytes) { return Spend(bytes); }, &result));
    return result;
  }
  Verified Verify() { return Verify(begin(), end()); }

  void ExpectGood(const Verified& verified) {
    ASSERT_TRUE(verified.ok()) << verified.status();
    EXPECT_FALSE(verified->has_value()) << (*verified)->file << " " << (*verified)->offset_bytes;
  }
  void ExpectDamage(const Verified& verified, JournalMark at) {
    ASSERT_TRUE(verified.ok()) << verified.status();
    ASSERT_TRUE(verified->has_value());
    EXPECT_EQ((*verified)->file, StrCat(kJournalDirectory, "/", JournalFileName(at.file_id)));
    EXPECT_EQ((*verified)->offset_bytes, at.offset_bytes);
  }

  JournalRig rig_;
  Journal* journal_ = nullptr;
  std::vector<JournalMark> ends_;  // of batches
  uint64_t spent_ = 0;
  absl::Status pace_;

 private:
  Task<absl::Status> Spend(uint64_t bytes) {
    spent_ += bytes;
    co_return pace_;
  }
  static Task<void> VerifyInto(FileSystem* files, JournalRange range, SpendBytes spend,
                               Verified* result) {
    *result = co_await VerifyJournal(files, std::move(range), std::move(spend));
  }

  int64_t next_ = 0;
};

TEST_F(JournalVerifyTest, WhatIsDurableIsThereAndWhatIsBehindIsNotLookedAt) {
  ExpectGood(Verify());
  EXPECT_GT(spent_, 38u * 9'000);
  // From and to any batch.
  for (size_t from = 0; from < ends_.size(); from += 5) {
    for (size_t to = from; to < ends_.size(); to += 3) ExpectGood(Verify(ends_[from], ends_[to]));
  }
  // More than the end is claimed by nobody: the rest of the file is zeroes.
  rig_.FlipByte(JournalFileName(end().file_id), static_cast<size_t>(end().offset_bytes));
  ExpectGood(Verify());
  // While it is written.
  for (int i = 0; i < 20; ++i) {
    journal_->Append(JournalRig::Entry(1'000 + i, std::string(9'000, 'q')));
    ExpectGood(Verify());
  }
}

TEST_F(JournalVerifyTest, AnEarlierProcessesFilesAreNotLookedAt) {
  rig_.Crash();
  const JournalMark old = begin();
  for (const std::string& name : rig_.FileNames()) rig_.FlipByte(name, kBlock + 100);
  journal_ = rig_.Open();
  ends_ = {journal_->Stream().begin};
  journal_->Append(JournalRig::Entry(0, "x"));
  rig_.RunFor(absl::Seconds(1));
  ExpectGood(Verify(old, end()));
  ExpectGood(Verify({}, end()));
}

TEST_F(JournalVerifyTest, WhatAReusedFileHeldBeforeIsNoDamage) {
  rig_.Crash();
  JournalOptions options = JournalRig::SmallOptions();
  options.reuse_files = true;
  options.backup_files = 0;
  journal_ = rig_.Open(options);
  JournalMark mark = end();
  // Of different sizes, so that old batches show behind the end of a file that was filled.
  for (size_t round = 0; round < 4; ++round) {
    for (int i = 0; i < 30; ++i) Append(5'000 + 4'000 * round);
    ExpectGood(Verify(mark, end()));
    mark = end();
    ASSERT_TRUE(rig_.Trim(mark).ok());
  }
  for (int i = 0; i < 30; ++i) Append();
  const std::string head = rig_.ReadFile(JournalFileName(end().file_id));
  EXPECT_TRUE(ParseJournalFileHeader(head.substr(0, kJournalHeaderSizeBytes))->stream->is_reused);
  ExpectGood(Verify(mark, end()));
  // It says so of itself when its header is written anew.
  rig_.FlipByte(JournalFileName(end().file_id), 20);
  absl::Status rewritten;
  rig_.Run(RewriteInto(journal_, &rewritten));
  ASSERT_TRUE(rewritten.ok()) << rewritten;
  EXPECT_EQ(rig_.ReadFile(JournalFileName(end().file_id)).substr(0, kBlock),
            head.substr(0, kBlock));
}

TEST_F(JournalVerifyTest, F50AnyFlippedByteIsNamedByItsBatch) {
  for (size_t batch = 0; batch + 1 < ends_.size(); batch += 3) {
    const JournalMark batch_end = ends_[batch + 1];
    const bool begins_file = ends_[batch].file_id != batch_end.file_id;
    const JournalMark place =
        begins_file ? JournalMark{batch_end.file_id, static_cast<int64_t>(kBlock)} : ends_[batch];
    const std::string name = JournalFileName(place.file_id);
    // A payload, and the footer.
    for (const int64_t at : {place.offset_bytes + 500, batch_end.offset_bytes - 4'096 + 20}) {
      SCOPED_TRACE(StrCat(name, " at ", at));
      rig_.FlipByte(name, static_cast<size_t>(at));
      const Verified verified = Verify();
      ASSERT_TRUE(verified.ok() && verified->has_value());
      EXPECT_TRUE((*verified)->file.ends_with(name));
      EXPECT_LE((*verified)->offset_bytes, at);
      rig_.FlipByte(name, static_cast<size_t>(at));
      ExpectGood(Verify());
    }
  }
}

TEST_F(JournalVerifyTest, ALostEndOfAFileThatIsNotTheLastIsMissed) {
  const std::string name = JournalFileName(begin().file_id);
  const std::string content = rig_.ReadFile(name);
  size_t last = 0;
  while (ends_[last + 1].file_id == begin().file_id) ++last;
  const auto lost = static_cast<size_t>(ends_[last - 1].offset_bytes);
  rig_.WriteFile(name, content.substr(0, lost) + std::string(content.size() - lost, '\0'));
  ExpectDamage(Verify(), {begin().file_id + 1, static_cast<int64_t>(kBlock)});
}

TEST_F(JournalVerifyTest, AMissingFileAndALostHeaderAreDamage) {
  const std::string name = JournalFileName(begin().file_id + 1);
  const std::string content = rig_.ReadFile(name);
  rig_.RemoveFile(name);
  ExpectDamage(Verify(), {begin().file_id + 1, 0});
  rig_.WriteFile(name, std::string(kBlock, '\0') + content.substr(kBlock));
  ExpectDamage(Verify(), {begin().file_id + 1, 0});
  // Behind it nothing is wrong.
  ExpectGood(Verify({end().file_id, static_cast<int64_t>(kBlock)}, end()));
}

TEST_F(JournalVerifyTest, TheHeaderOfTheFileThatIsWrittenIsWrittenAnew) {
  const std::string name = JournalFileName(end().file_id);
  rig_.FlipByte(name, 20);
  ExpectDamage(Verify(), {end().file_id, 0});
  absl::Status rewritten;
  rig_.Run(RewriteInto(journal_, &rewritten));
  ASSERT_TRUE(rewritten.ok()) << rewritten;
  ExpectGood(Verify());
  rig_.PowerCut();
  EXPECT_TRUE(rig_.Replay().status.ok());
}

TEST_F(JournalVerifyTest, AStopEndsIt) {
  pace_ = MakeError(ErrorCode::kStopped, "enough");
  EXPECT_EQ(CodeOf(Verify().status()), ErrorCode::kStopped);
}

}  // namespace
}  // namespace stele::bookie
