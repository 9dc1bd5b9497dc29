#include "bookie/journal/stream_judge.h"

#include <gtest/gtest.h>

namespace stele::bookie {
namespace {

using Verdict = StreamJudge::Verdict;

struct Seen {
  uint64_t sequence;
  uint64_t durable;
  bool is_intact = true;
  bool is_contiguous = true;
};

Verdict Judge(StreamJudge* judge, Seen seen) {
  return judge->Judge({.sequence = seen.sequence, .durable_sequence = seen.durable}, seen.is_intact,
                      seen.is_contiguous);
}

TEST(StreamJudgeTest, ConsecutiveBatchesAreGood) {
  StreamJudge judge(1);
  EXPECT_EQ(Judge(&judge, {1, 0}), Verdict::kGood);
  EXPECT_EQ(Judge(&judge, {2, 0}), Verdict::kGood);
  EXPECT_EQ(Judge(&judge, {3, 2}), Verdict::kGood);
  EXPECT_FALSE(judge.has_hole());
}

TEST(StreamJudgeTest, ABatchThatIsNotGoodMakesAHole) {
  for (const Seen& bad : {Seen{5, 3, false, true}, Seen{5, 3, true, false}, Seen{6, 4}}) {
    StreamJudge judge(5);
    EXPECT_EQ(Judge(&judge, bad), Verdict::kBehindHole);
    EXPECT_TRUE(judge.has_hole());
    EXPECT_EQ(judge.expected(), 5u);
  }
}

TEST(StreamJudgeTest, BehindAHoleNothingIsGood) {
  StreamJudge judge(5);
  EXPECT_EQ(Judge(&judge, {6, 4}), Verdict::kBehindHole);
  EXPECT_EQ(Judge(&judge, {7, 4}), Verdict::kBehindHole);
  EXPECT_EQ(Judge(&judge, {5, 4}), Verdict::kBehindHole);
}

TEST(StreamJudgeTest, AClaimProvesThatTheHoleWasAcknowledged) {
  StreamJudge judge(5);
  EXPECT_EQ(Judge(&judge, {6, 4}), Verdict::kBehindHole);
  EXPECT_EQ(Judge(&judge, {7, 5}), Verdict::kProof);
  EXPECT_EQ(Judge(&judge, {8, 7}), Verdict::kProof);
}

// A footer is believed although the records of its batch are damaged: it has its own checksum.
TEST(StreamJudgeTest, TheFirstBatchBehindTheHoleMayClaimAndBeDamaged) {
  StreamJudge judge(5);
  EXPECT_EQ(Judge(&judge, {6, 5, false, false}), Verdict::kProof);
}

TEST(StreamJudgeTest, WithALimitOfTwoInFlightTheSecondFooterBehindAlwaysClaims) {
  // Batch n is submitted when n - 2 is durable, so that footer n claims n - 2 at least.
  StreamJudge judge(5);
  EXPECT_EQ(Judge(&judge, {6, 4}), Verdict::kBehindHole);
  EXPECT_EQ(Judge(&judge, {7, 5}), Verdict::kProof);
}

TEST(StreamJudgeTest, LowerSequencesAreOfAnotherPlace) {
  StreamJudge judge(5);
  EXPECT_EQ(Judge(&judge, {4, 9}), Verdict::kStale);
  EXPECT_FALSE(judge.has_hole());
  EXPECT_EQ(Judge(&judge, {5, 4}), Verdict::kGood);
}

TEST(StreamJudgeTest, WithoutAnExpectedSequenceTheFirstGoodBatchTells) {
  StreamJudge judge(std::nullopt);
  EXPECT_EQ(Judge(&judge, {9, 7}), Verdict::kGood);
  EXPECT_EQ(judge.expected(), 10u);
  StreamJudge lost(std::nullopt);
  EXPECT_EQ(Judge(&lost, {9, 0, true, false}), Verdict::kProof);
  StreamJudge damaged(std::nullopt);
  EXPECT_EQ(Judge(&damaged, {9, 0, false, true}), Verdict::kProof);
}

}  // namespace
}  // namespace stele::bookie
