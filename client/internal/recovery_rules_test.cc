#include "client/internal/recovery_rules.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace stele::client {
namespace {

using quorum::Replication;
using Decision = RecoveryRead::Decision;
using Step = LacQuorum::Step;

constexpr Replication kThreeTwo{3, 3, 2};

constexpr ErrorCode kYes = ErrorCode::kOk;
constexpr ErrorCode kNo = ErrorCode::kNoSuchEntry;
constexpr ErrorCode kNoLedger = ErrorCode::kNoSuchLedger;
constexpr ErrorCode kLate = ErrorCode::kDeadline;
constexpr ErrorCode kLimbo = ErrorCode::kUnknownLedgerState;
constexpr ErrorCode kBad = ErrorCode::kDigestMismatch;
constexpr ErrorCode kLost = ErrorCode::kConnectionLost;

TEST(RecoveryReadTest, TruthTableOfThreeCopiesAndTwoAcks) {
  struct Row {
    std::string name;
    std::vector<ErrorCode> answers;
    Decision decision;
    ErrorCode error;  // checked for kUnknown
  };
  const std::vector<Row> rows = {
      {"first copy wins", {kYes}, Decision::kRecover, {}},
      {"a copy after a denial", {kNo, kYes}, Decision::kRecover, {}},
      {"a copy after an error", {kBad, kYes}, Decision::kRecover, {}},
      {"two denials end it at once, the third may be silent", {kNo, kNo}, Decision::kAbsent, {}},
      {"no such ledger is a denial", {kNoLedger, kNo}, Decision::kAbsent, {}},
      {"one answer decides nothing", {kNo}, Decision::kWait, {}},
      {"timeouts are no denials", {kNo, kLate, kLate}, Decision::kUnknown, kLate},
      {"limbo is no denial", {kNo, kLimbo, kLate}, Decision::kUnknown, kLimbo},
      {"limbo twice and a denial", {kLimbo, kLimbo, kNo}, Decision::kUnknown, kLimbo},
      {"a failed digest beside two denials", {kBad, kNo, kNo}, Decision::kAbsent, {}},
      {"three failed digests", {kBad, kBad, kBad}, Decision::kUnknown, kBad},
      {"nobody reachable", {kLost, kLost, kLost}, Decision::kUnknown, kLost},
      {"I/O errors",
       {ErrorCode::kReadFailed, kNo, kLost},
       Decision::kUnknown,
       ErrorCode::kReadFailed},
  };
  for (const Row& row : rows) {
    RecoveryRead read(EntryId(5), kThreeTwo);
    for (size_t i = 0; i < row.answers.size(); ++i) {
      const Decision decision = read.OnAnswer(row.answers[i]);
      if (i + 1 < row.answers.size()) {
        EXPECT_EQ(decision, Decision::kWait) << row.name;
      }
    }
    EXPECT_EQ(read.decision(), row.decision) << row.name;
    if (row.decision == Decision::kUnknown) {
      EXPECT_EQ(read.error(), row.error) << row.name;
    }
  }
}

// Of two denials and a copy, whichever is complete first decides, and late answers change nothing.
TEST(RecoveryReadTest, DoesNotChangeItsMind) {
  RecoveryRead absent(EntryId(5), kThreeTwo);
  absent.OnAnswer(kNo);
  absent.OnAnswer(kNo);
  EXPECT_EQ(absent.OnAnswer(kYes), Decision::kAbsent);
  RecoveryRead recovered(EntryId(5), kThreeTwo);
  recovered.OnAnswer(kYes);
  recovered.OnAnswer(kNo);
  EXPECT_EQ(recovered.OnAnswer(kNo), Decision::kRecover);
}

// With all configurations and answers: never absent while a silent rest could be an ack quorum.
TEST(RecoveryReadTest, NeverTruncatesWhatMayBeAcknowledged) {
  for (int write = 1; write <= 6; ++write) {
    for (int ack = 1; ack <= write; ++ack) {
      const Replication replication{write, write, ack};
      for (int negatives = 0; negatives <= write; ++negatives) {
        RecoveryRead read(EntryId(0), replication);
        for (int i = 0; i < negatives; ++i) read.OnAnswer(kNo);
        for (int i = negatives; i < write; ++i) read.OnAnswer(kLate);
        const bool may_be_acknowledged = write - negatives >= ack;
        EXPECT_EQ(read.decision(), may_be_acknowledged ? Decision::kUnknown : Decision::kAbsent);
      }
    }
  }
}

TEST(FoldReadErrorTest, Scenario35_NoSuchEntryOnlyWhenEveryReplicaSaidSo) {
  struct Row {
    std::vector<ErrorCode> answers;
    ErrorCode folded;
  };
  const std::vector<Row> rows = {
      {{kNo, kNo, kNo}, kNo},        {{kNoLedger, kNo, kNoLedger}, kNoLedger},
      {{kNo, kNo, kLost}, kLost},    {{kLost, kNo, kNo}, kLost},
      {{kNo, kLost, kBad}, kBad},    {{kLost, kLate, kNo}, kLate},
      {{kBad, kLost, kNo}, kBad},    {{kLimbo, kNo, kNo}, kLimbo},
      {{kNo, kLimbo, kBad}, kLimbo},
  };
  for (const Row& row : rows) {
    ErrorCode folded = ErrorCode::kOk;
    for (ErrorCode answer : row.answers) folded = FoldReadError(folded, answer);
    EXPECT_EQ(folded, row.folded);
  }
}

LastEntryFields Fields(int64_t entry, int64_t lac) {
  return {.entry = EntryId(entry), .last_add_confirmed = EntryId(lac), .length_bytes = 100};
}

TEST(LacQuorumTest, TakesTheHighestLacAndStopsWhenCovered) {
  LacQuorum lac(kThreeTwo, LacQuorum::Kind::kFencing);
  EXPECT_EQ(lac.OnAnswer(1, kYes, Fields(9, 7)), Step::kWait);
  EXPECT_EQ(lac.OnAnswer(0, kNo, std::nullopt), Step::kCovered);
  EXPECT_EQ(lac.last_add_confirmed(), EntryId(7));
}

TEST(LacQuorumTest, ErrorsAndLimboAreUnknown) {
  LacQuorum lac(kThreeTwo, LacQuorum::Kind::kFencing);
  EXPECT_EQ(lac.OnAnswer(0, kLimbo, std::nullopt), Step::kWait);
  EXPECT_EQ(lac.OnAnswer(1, kYes, Fields(1, 0)), Step::kWait);
  EXPECT_EQ(lac.OnAnswer(2, kLate, std::nullopt), Step::kImpossible);
  EXPECT_EQ(lac.error(), kLate);
}

TEST(LacQuorumTest, Scenario42_OneAckNeedsEveryBookie) {
  LacQuorum lac({3, 3, 1}, LacQuorum::Kind::kFencing);
  EXPECT_EQ(lac.OnAnswer(0, kYes, Fields(1, 0)), Step::kWait);
  EXPECT_EQ(lac.OnAnswer(1, kYes, Fields(1, 0)), Step::kWait);
  EXPECT_EQ(lac.OnAnswer(2, kLost, std::nullopt), Step::kImpossible);
}

TEST(LacQuorumTest, AFailedDigestFencedButTellsNothing) {
  LacQuorum fencing(kThreeTwo, LacQuorum::Kind::kFencing);
  fencing.OnAnswer(0, kBad, std::nullopt);
  EXPECT_EQ(fencing.OnAnswer(1, kNo, std::nullopt), Step::kCovered);
  EXPECT_TRUE(fencing.last_add_confirmed().IsNone());
  LacQuorum plain(kThreeTwo, LacQuorum::Kind::kPlain);
  plain.OnAnswer(0, kBad, std::nullopt);
  EXPECT_EQ(plain.OnAnswer(1, kNo, std::nullopt), Step::kWait);
}

TEST(LacQuorumTest, AWrongKeyEndsIt) {
  LacQuorum lac(kThreeTwo, LacQuorum::Kind::kFencing);
  EXPECT_EQ(lac.OnAnswer(2, ErrorCode::kUnauthorized, std::nullopt), Step::kUnauthorized);
}

// Without the floor, recovery would read earlier fragments again and write them where they do not
// belong.
TEST(RecoveryStartTest, Defect2615_NeverBelowTheLastFragment) {
  EXPECT_EQ(RecoveryStart(kNoEntry, EntryId(0)), kNoEntry);
  EXPECT_EQ(RecoveryStart(kNoEntry, EntryId(2000)), EntryId(1999));
  EXPECT_EQ(RecoveryStart(EntryId(2005), EntryId(2000)), EntryId(2005));
  EXPECT_EQ(RecoveryStart(EntryId(17), EntryId(2000)), EntryId(1999));
}

}  // namespace
}  // namespace stele::client
