#include "autorecovery/repair_plan.h"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::autorecovery {
namespace {

using metadata::LedgerMetadata;
using metadata::LedgerState;

BookieId B(int number) { return BookieId(StrCat("b", number, ":1")); }

LedgerMetadata Ledger(LedgerState state, int64_t last_entry, std::vector<int64_t> firsts) {
  metadata::LedgerMetadataFields fields;
  fields.replication = {.ensemble_size = 3, .write_quorum_size = 2, .ack_quorum_size = 2};
  fields.state = state;
  if (state == LedgerState::kClosed) fields.last_entry = EntryId(last_entry);
  int next = 1;
  for (int64_t first : firsts) {
    fields.fragments.push_back({EntryId(first), {B(next), B(next + 1), B(next + 2)}});
    ++next;
  }
  return *LedgerMetadata::Create(fields);
}

std::vector<std::pair<int64_t, int64_t>> RangesOf(const LedgerMetadata& metadata) {
  std::vector<std::pair<int64_t, int64_t>> ranges;
  for (const SealedFragment& fragment : SealedFragments(metadata)) {
    ranges.emplace_back(fragment.first.value(), fragment.last.value());
  }
  return ranges;
}

TEST(SealedFragmentsTest, TheLastFragmentIsSealedWhenTheLedgerIsClosed) {
  using Ranges = std::vector<std::pair<int64_t, int64_t>>;
  EXPECT_EQ(RangesOf(Ledger(LedgerState::kOpen, 0, {0, 10, 25})), (Ranges{{0, 9}, {10, 24}}));
  EXPECT_EQ(RangesOf(Ledger(LedgerState::kInRecovery, 0, {0, 10})), (Ranges{{0, 9}}));
  EXPECT_EQ(RangesOf(Ledger(LedgerState::kClosed, 30, {0, 10})), (Ranges{{0, 9}, {10, 30}}));
  // Nothing was written behind the change, or nothing of it was kept.
  EXPECT_EQ(RangesOf(Ledger(LedgerState::kClosed, 9, {0, 10})), (Ranges{{0, 9}, {10, 9}}));
  EXPECT_EQ(RangesOf(Ledger(LedgerState::kClosed, -1, {0})), (Ranges{{0, -1}}));
}

TEST(TailTest, ATailIsBrokenByAMemberThatIsNotRegisteredAndByNothingElse) {
  const LedgerMetadata open = Ledger(LedgerState::kOpen, 0, {0, 10});
  EXPECT_FALSE(IsTailBroken(open, {.writable = {B(2), B(3), B(4)}}));
  EXPECT_FALSE(IsTailBroken(open, {.writable = {B(2), B(3)}, .read_only = {B(4)}}));
  EXPECT_TRUE(IsTailBroken(open, {.writable = {B(1), B(2), B(3)}}));
  EXPECT_FALSE(IsTailBroken(Ledger(LedgerState::kClosed, 30, {0, 10}), {}));
}

// Against a count entry by entry, for all small replications.
TEST(CopiesLeftTest, ItIsTheCountOfTheWorstEntry) {
  for (int e = 1; e <= 5; ++e) {
    for (int qw = 1; qw <= e; ++qw) {
      for (int64_t length = 0; length <= 7; ++length) {
        for (unsigned up = 0; up < (1U << e); ++up) {
          const quorum::Replication replication{e, qw, 1};
          SealedFragment fragment{EntryId(3), EntryId(2 + length), {}};
          metadata::BookieSet bookies;
          for (int i = 0; i < e; ++i) {
            fragment.ensemble.push_back(B(i));
            if ((up >> i & 1U) != 0) bookies.writable.push_back(B(i));
          }
          int expected = qw;
          for (EntryId entry = fragment.first; entry <= fragment.last; entry = entry.Next()) {
            int copies = 0;
            for (int i = 0; i < e; ++i) {
              const bool holds = quorum::WriteSet(entry, replication).Contains(i);
              if (holds && (up >> i & 1U) != 0) ++copies;
            }
            expected = std::min(expected, copies);
          }
          ASSERT_EQ(CopiesLeft(fragment, replication, bookies, {}), expected);
        }
      }
    }
  }
}

TEST(NextMissingTest, OnlyEntriesOfThePositionCount) {
  const quorum::Replication replication{5, 2, 2};
  const SealedFragment fragment{EntryId(10), EntryId(21), {B(0), B(1), B(2), B(3), B(4)}};
  // Position 0 holds the entries that are 0 or 4 modulo 5.
  wire::AvailabilityBuilder builder;
  for (int64_t entry : {10, 14, 19}) builder.Add(EntryId(entry));
  const auto stored = wire::Availability::Parse(std::move(builder).Finish());
  ASSERT_TRUE(stored.ok());
  EXPECT_EQ(NextMissing(fragment, replication, 0, &*stored, fragment.first), EntryId(15));
  EXPECT_EQ(NextMissing(fragment, replication, 0, &*stored, EntryId(16)), EntryId(20));
  EXPECT_EQ(NextMissing(fragment, replication, 0, &*stored, EntryId(21)), kNoEntry);
  EXPECT_EQ(NextMissing(fragment, replication, 0, nullptr, fragment.first), EntryId(10));
  EXPECT_FALSE(HoldsEntries({EntryId(11), EntryId(12), fragment.ensemble}, replication, 0));
}

TEST(ChooseTargetTest, TheChoiceIsTheSameForAllAndSpreadsOverAll) {
  std::vector<BookieId> writable;
  for (int i = 0; i < 10; ++i) writable.push_back(B(i));
  std::map<BookieId, int> counts;
  for (int64_t ledger = 0; ledger < 10'000; ++ledger) {
    const auto chosen = ChooseTarget(LedgerId(ledger), writable, {B(3)});
    ASSERT_TRUE(chosen.has_value());
    EXPECT_EQ(chosen, ChooseTarget(LedgerId(ledger), writable, {B(3)}));
    // One that comes and is not chosen changes nothing.
    const auto second = ChooseTarget(LedgerId(ledger), writable, {B(3), *chosen});
    EXPECT_NE(second, chosen);
    ++counts[*chosen];
  }
  EXPECT_EQ(counts.size(), 9u);
  for (const auto& [bookie, count] : counts) {
    EXPECT_GT(count, 900) << bookie.value();
    EXPECT_LT(count, 1'350) << bookie.value();
  }
  EXPECT_EQ(ChooseTarget(LedgerId(1), {B(1)}, {B(1)}), std::nullopt);
}

TEST(UrgencyTest, FewestCopiesFirstThenTheOldest) {
  const auto task = [](int64_t id, std::vector<BookieId> replicas, int64_t ms) {
    return metadata::RepairTask{
        .ledger = LedgerId(id),
        .mark = {.replicas = std::move(replicas), .marked_at = absl::FromUnixMillis(ms)}};
  };
  std::vector<metadata::RepairTask> tasks = {task(1, {B(1)}, 5), task(2, {B(1), B(2)}, 9),
                                             task(3, {B(1)}, 2), task(4, {}, 1)};
  SortByUrgency(&tasks);
  std::vector<int64_t> order;
  for (const auto& sorted : tasks) order.push_back(sorted.ledger.value());
  EXPECT_EQ(order, (std::vector<int64_t>{2, 3, 1, 4}));
}

TEST(WithRepairedFragmentTest, NamesTheNewMembers) {
  const LedgerMetadata before = Ledger(LedgerState::kClosed, 30, {0, 10});
  const std::vector<MemberRepair> repairs = {{0, B(1), B(9)}, {2, B(3), B(3)}};
  EXPECT_TRUE(NamesReplaced(before, EntryId(0), repairs));
  const auto after = WithRepairedFragment(before, EntryId(0), repairs);
  ASSERT_TRUE(after.ok()) << after.status();
  EXPECT_EQ(after->fragments()[0].ensemble, (metadata::Ensemble{B(9), B(2), B(3)}));
  EXPECT_EQ(after->fragments()[1], before.fragments()[1]);
  EXPECT_FALSE(NamesReplaced(*after, EntryId(0), repairs));
}

// T17
TEST(WithRepairedFragmentTest, TwoWhoChooseTheSameBookieDoNotNameItTwice) {
  const LedgerMetadata before = Ledger(LedgerState::kClosed, 30, {0});
  const auto first = WithRepairedFragment(before, EntryId(0), {{0, B(1), B(9)}});
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(CodeOf(WithRepairedFragment(*first, EntryId(0), {{1, B(2), B(9)}}).status()),
            ErrorCode::kMetadataConflict);
  EXPECT_EQ(CodeOf(WithRepairedFragment(*first, EntryId(0), {{0, B(1), B(8)}}).status()),
            ErrorCode::kMetadataConflict);
  EXPECT_EQ(CodeOf(WithRepairedFragment(before, EntryId(7), {{0, B(1), B(8)}}).status()),
            ErrorCode::kMetadataConflict);
}

}  // namespace
}  // namespace stele::autorecovery
