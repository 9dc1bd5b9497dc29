// The journal's promise under crashes: every record that was reported durable is replayed, in
// order, with its bytes; nothing is replayed that was not appended, and nothing behind a hole.
// Several lives per seed, each ended by the death of the process or of the machine's power at some
// step: while it opens, replays, writes, rolls, trims or idles.
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/journal/journal.h"
#include "bookie/journal/journal_format.h"
#include "bookie/journal/journal_replay.h"
#include "bookie/journal/testing/file_builder.h"
#include "bookie/journal/testing/journal_rig.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "simulation/sim_random.h"

namespace stele::bookie {
namespace {

using simulation::FileOperation;
using simulation::FileRequest;
using simulation::SimRandom;

// Record n, whose bytes nobody else has.
std::string BodyOf(int64_t n) {
  SimRandom random(static_cast<uint64_t>(n) + 1);
  const size_t size = random.Chance(1, 20) ? random.Below(30'000) : random.Below(3000);
  std::string pattern;
  while (pattern.size() < 300) AppendBigEndian<uint64_t>(pattern, random.Below(UINT64_MAX));
  std::string payload;
  while (payload.size() < size) payload += pattern;
  payload.resize(size);
  // Zeros at the end and in the middle: they must not look like an end.
  if (size > 600 && random.Chance(1, 3)) payload.replace(100, 400, 400, '\0');
  return EntryBody(n, payload);
}

int64_t NumberOf(std::string_view body) { return LoadBigEndian<int64_t>(body.data() + 8); }

class CrashStory {
 public:
  explicit CrashStory(uint64_t seed)
      : rig_(seed), random_(SimRandom(seed).Child("story")), options_(DrawOptions(&random_)) {}

  void Run() {
    const uint64_t lives = 2 + random_.Below(4);
    for (uint64_t life = 0; life < lives && !testing::Test::HasFailure(); ++life) Live();
    CheckReplay();
  }

 private:
  static JournalOptions DrawOptions(SimRandom* random) {
    JournalOptions options = JournalRig::SmallOptions();
    options.batch_size_max_bytes = (1 + random->Below(8)) * 4096;
    options.batches_in_flight_max = static_cast<int>(1 + random->Below(4));
    options.prealloc_bytes = (64 + random->Below(100)) << 10;
    options.backup_files = static_cast<int>(random->Below(3));
    options.reuse_files = random->Chance(1, 2);
    return options;
  }

  void Live() {
    Journal* const journal = Boot();
    if (journal == nullptr) return;
    if (random_.Chance(1, 4)) InjectOneFailure();
    const uint64_t turns = random_.Below(150);
    for (uint64_t turn = 0; turn < turns; ++turn) {
      const uint64_t burst = random_.Chance(1, 10) ? random_.Below(60) : random_.Below(4);
      for (uint64_t i = 0; i < burst && journal->has_room(); ++i) {
        appended_.push_back(next_);
        journal->Append(Buffer::FromString(BodyOf(next_++)));
      }
      Steps(random_.Below(random_.Chance(1, 10) ? 200 : 8));
      if (random_.Chance(1, 30)) Checkpoint(journal);
    }
    if (!rig_.listener.failures.empty()) {
      const uint64_t durable = rig_.listener.durable;
      Steps(100);
      EXPECT_EQ(rig_.listener.failures.size(), 1u);
      EXPECT_EQ(rig_.listener.durable, durable);
    }
    EndProcess();
  }

  // Replays and opens. Null: it died on the way, or could not open because of a fault.
  Journal* Boot() {
    CheckReplay();
    if (testing::Test::HasFailure()) return nullptr;
    if (random_.Chance(1, 8)) {
      EndProcess();
      return nullptr;
    }
    // A bookie flushes what was replayed and moves the mark before it opens a journal. Without that
    // it must work too.
    if (random_.Chance(2, 3)) {
      mark_ = replayed_end_;
      fixed_.clear();
    }
    JournalOptions options = options_;
    options.file_id_above = mark_.file_id;
    checkpointed_ = 0;
    if (random_.Chance(1, 6)) {
      rig_.process->Spawn(OpenAndForget(rig_.env, options, &rig_.listener));
      Steps(random_.Below(60));
      EndProcess();
      return nullptr;
    }
    return rig_.Open(options);
  }

  static Task<void> OpenAndForget(Env env, JournalOptions options, JournalListener* listener) {
    (co_await OpenJournal(env, std::move(options), listener)).status().IgnoreError();
  }

  void Steps(uint64_t count) {
    // Nothing left to do is no error here.
    rig_.world.scheduler().RunUntil([&] { return count-- == 0; }).IgnoreError();
  }

  // Storage has everything that is durable; the mark follows; old files go while life goes on.
  void Checkpoint(Journal* journal) {
    const JournalMark mark = journal->DurableMark();
    EXPECT_GE(mark, mark_);
    mark_ = mark;
    fixed_.clear();
    const auto durable = static_cast<ptrdiff_t>(rig_.listener.durable - checkpointed_);
    appended_.erase(appended_.begin(), appended_.begin() + durable);
    checkpointed_ = rig_.listener.durable;
    if (random_.Chance(1, 2)) rig_.process->Spawn(TrimAndForget(journal, mark));
  }

  static Task<void> TrimAndForget(Journal* journal, JournalMark mark) {
    (co_await journal->Trim(mark)).IgnoreError();
  }

  // F20 to F22, F24: some write, sync or rename fails, once.
  void InjectOneFailure() {
    uint64_t left = random_.Below(80);
    rig_.disk.fail = [left](const FileRequest& request) mutable {
      const bool is_candidate = request.operation == FileOperation::kWrite ||
                                request.operation == FileOperation::kSync ||
                                request.operation == FileOperation::kRename ||
                                request.operation == FileOperation::kSyncDirectory;
      if (!is_candidate || left-- != 0) return absl::OkStatus();
      return MakeError(ErrorCode::kIoError, "EIO");
    };
  }

  void EndProcess() {
    acked_ = rig_.listener.durable - checkpointed_;
    checkpointed_ = 0;
    rig_.disk.fail = nullptr;
    if (random_.Chance(1, 2)) {
      rig_.Crash();
    } else {
      rig_.PowerCut();
    }
  }

  // Replays from the mark: first what earlier replays have seen, then all acknowledged records of
  // the last life, then perhaps some that were appended behind them. Twice, with one outcome (I10).
  void CheckReplay() {
    const Replayed replayed = rig_.Replay(mark_);
    ASSERT_TRUE(replayed.status.ok()) << replayed.status;
    std::vector<int64_t> numbers;
    for (const std::string& body : replayed.bodies) {
      numbers.push_back(NumberOf(body));
      ASSERT_EQ(body, BodyOf(numbers.back()));
    }
    ASSERT_GE(numbers.size(), fixed_.size() + acked_);
    fixed_.insert(fixed_.end(), appended_.begin(), appended_.end());
    ASSERT_LE(numbers.size(), fixed_.size());
    ASSERT_TRUE(std::equal(numbers.begin(), numbers.end(), fixed_.begin()));
    fixed_ = std::move(numbers);
    appended_.clear();
    acked_ = 0;

    replayed_end_ = replayed.report.end;
    EXPECT_GE(replayed_end_, mark_);
    const Replayed again = rig_.Replay(mark_);
    EXPECT_EQ(again.bodies, replayed.bodies);
    EXPECT_EQ(again.report.end, replayed.report.end);
    const Replayed behind = rig_.Replay(replayed_end_);
    EXPECT_TRUE(behind.status.ok()) << behind.status;
    EXPECT_TRUE(behind.bodies.empty());
  }

  JournalRig rig_;
  SimRandom random_;
  JournalOptions options_;
  int64_t next_ = 0;
  JournalMark mark_;
  JournalMark replayed_end_;
  std::vector<int64_t> fixed_;     // what lies behind the mark, as the last replay saw it
  std::vector<int64_t> appended_;  // in this life, behind the mark
  uint64_t checkpointed_ = 0;      // records of this life before the mark
  uint64_t acked_ = 0;             // of appended_, when the life has ended
};

class JournalCrashTest : public testing::TestWithParam<int> {};

TEST_P(JournalCrashTest, F1F2F20WhatWasReportedDurableIsReplayed) {
  constexpr uint64_t kSeedsPerCase = 20;
  for (uint64_t i = 0; i < kSeedsPerCase; ++i) {
    const uint64_t seed = static_cast<uint64_t>(GetParam()) * kSeedsPerCase + i + 1;
    SCOPED_TRACE(StrCat("seed ", seed));
    CrashStory(seed).Run();
    if (HasFailure()) return;
  }
}

// A byte of what an idle journal had written changes: replay gives what was acknowledged, or says
// that it cannot and where.
TEST(JournalDamageTest, F3AFlippedByteOfAnAcknowledgedJournalIsNoticedOrHarmless) {
  int noticed = 0;
  int harmless = 0;
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(StrCat("seed ", seed));
    JournalRig rig(seed);
    SimRandom random = SimRandom(seed).Child("flip");
    Journal* const journal = rig.Open();
    std::vector<std::string> appended;
    const auto count = static_cast<int64_t>(1 + random.Below(60));
    for (int64_t n = 0; n < count; ++n) {
      appended.push_back(BodyOf(n));
      journal->Append(Buffer::CopyOf(appended.back()));
      if (random.Chance(1, 3)) rig.RunFor(absl::Microseconds(random.Below(500)));
    }
    // Idle: the last batch is claimed.
    rig.RunFor(absl::Seconds(1));
    ASSERT_EQ(rig.listener.durable, static_cast<uint64_t>(count));
    const JournalMark end = journal->DurableMark();
    rig.PowerCut();

    const std::vector<std::string> names = rig.FileNames();
    const std::string name = names[random.Below(names.size())];
    // Up to the claim, which nothing claims: without it the journal is whole all the same.
    const size_t size = name == JournalFileName(end.file_id) ? static_cast<size_t>(end.offset_bytes)
                                                             : rig.ReadFile(name).size();
    rig.FlipByte(name, random.Below(size));
    const Replayed replayed = rig.Replay();
    if (replayed.status.ok()) {
      EXPECT_EQ(replayed.bodies, appended);
      ++harmless;
    } else {
      EXPECT_EQ(CodeOf(replayed.status), ErrorCode::kCorruptData);
      EXPECT_NE(ToStd(replayed.status.message()).find(name), std::string_view::npos)
          << replayed.status;
      ++noticed;
    }
  }
  EXPECT_GT(noticed, 10);
  EXPECT_GT(harmless, 3);
}

// Java's files have no checksums. A payload that changes is for its digest to find. A length that
// cannot be stops the replay, or ends the file with a note that there is more. What nobody can
// tell, Java neither, is a length that can be: its record, or padding, has swallowed what followed.
TEST(JournalDamageTest, F4AFlippedBitOfAJavaJournalIsNoticedUnlessALengthStaysPossible) {
  JavaFileBuilder file(6);
  std::vector<std::string> bodies;
  std::vector<size_t> lengths;  // where they are
  for (int64_t n = 0; n < 6; ++n) {
    bodies.push_back(EntryBody(n, std::string(static_cast<size_t>(100 + 70 * n), 'p')));
    lengths.push_back(file.size());
    file.Record(bodies.back());
    if (n % 2 == 0) continue;
    lengths.push_back(file.size());      // the mark of the padding
    lengths.push_back(file.size() + 4);  // its length
    file.Flush();
  }
  const std::string content = file.Raw(std::string(4096, '\0')).content();
  const std::string name = JournalFileName(5);
  JournalRig rig;
  int silent = 0;
  for (const size_t at : lengths) {
    for (size_t bit = 0; bit < 32; ++bit) {
      SCOPED_TRACE(StrCat("bit ", bit, " of the length at ", at));
      std::string damaged = content;
      damaged[at + bit / 8] = static_cast<char>(damaged[at + bit / 8] ^ (1 << bit % 8));
      rig.WriteFile(name, damaged);
      const Replayed replayed = rig.Replay();
      if (!replayed.status.ok()) {
        EXPECT_EQ(CodeOf(replayed.status), ErrorCode::kCorruptData);
        EXPECT_NE(ToStd(replayed.status.message()).find(name), std::string_view::npos);
      } else if (replayed.bodies.size() != bodies.size() && replayed.report.notes.empty()) {
        ++silent;
      }
    }
  }
  EXPECT_LT(silent, static_cast<int>(2 * lengths.size())) << "of 32 bits of each length";
}

INSTANTIATE_TEST_SUITE_P(Seeds, JournalCrashTest, testing::Range(0, 10));

}  // namespace
}  // namespace stele::bookie
