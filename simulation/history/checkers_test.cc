// Each rule with histories that keep it and histories that break it, in the file format.
#include "simulation/history/checkers.h"

#include <ostream>
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "simulation/history/text_format.h"

namespace stele::history {
namespace {

// What most stories begin with: ledger 7 by w, entries 0 and 1 acknowledged.
constexpr std::string_view kBegin =
    "1 w 1 invoke create replication=3/3/2 handle=1\n"
    "2 w 1 ok ledger=7\n"
    "3 w 2 invoke append ledger=7 handle=1 entry=0 payload=7/0/1/0/100\n"
    "4 w 3 invoke append ledger=7 handle=1 entry=1 payload=7/1/1/1/100\n"
    "5 w 2 ok entry=0 lac=0\n"
    "6 w 3 ok entry=1 lac=1\n";
// The same with deferred sync.
constexpr std::string_view kDeferred =
    "1 w 1 invoke create replication=3/3/2 handle=1 deferred=1\n"
    "2 w 1 ok ledger=7\n"
    "3 w 2 invoke append ledger=7 handle=1 entry=0 payload=7/0/1/0/100\n"
    "4 w 3 invoke append ledger=7 handle=1 entry=1 payload=7/1/1/1/100\n"
    "5 w 2 ok entry=0 lac=-1\n"
    "6 w 3 ok entry=1 lac=-1\n";
// A reader of it.
constexpr std::string_view kReader =
    "10 r 10 invoke open ledger=7 handle=2\n"
    "11 r 10 ok lac=1\n";

struct Story {
  std::string name;
  std::string_view begin;
  std::string text;
  std::set<std::string> broken;  // the checkers that must object, and no others
};
void PrintTo(const Story& story, std::ostream* out) { *out << story.name; }

class CheckersTest : public testing::TestWithParam<Story> {};

TEST_P(CheckersTest, ObjectToThisAndOnlyThis) {
  const Story& story = GetParam();
  const auto history = ParseHistory(std::string(story.begin) + story.text);
  ASSERT_TRUE(history.ok()) << history.status();
  std::set<std::string> broken;
  std::string all;
  for (const Violation& violation : CheckHistory(*history)) {
    broken.insert(violation.checker);
    all += violation.checker + ": " + violation.text;
  }
  EXPECT_EQ(broken, story.broken) << all;
}

std::vector<Story> Stories() {
  const std::string reader(kReader);
  return {
      {"AllIsWell",
       kBegin,
       reader + "12 r 11 invoke read ledger=7 handle=2 first=0 last=1\n"
                "13 r 11 ok 0=7/0/1/0/100 1=7/1/1/1/100\n"
                "14 w 12 invoke close ledger=7 handle=1\n"
                "15 w 12 ok last=1 length=200\n"
                "16 r 13 invoke open ledger=7 handle=3 recover=1\n"
                "17 r 13 ok lac=1 state=closed last=1 length=200\n"
                "18 - - end\n",
       {}},

      // G1
      {"AckedEntrySaidToBeMissing",
       kBegin,
       reader + "12 r 11 invoke read ledger=7 handle=2 first=0 last=1\n"
                "13 r 11 error NoSuchEntry none\n",
       {"AllAckedEntriesAreReadable"}},
      {"EntryBehindTheAckedOnesMayBeMissing",
       kBegin,
       reader + "12 r 11 invoke read-unconfirmed ledger=7 handle=2 first=1 last=2\n"
                "13 r 11 error NoSuchEntry none\n",
       {}},
      {"ReadsOfADeletedLedgerMayFindNothing",
       kBegin,
       reader + "12 r 11 invoke read ledger=7 handle=2 first=0 last=1\n"
                "13 w 12 invoke delete ledger=7\n"
                "14 r 11 error NoSuchLedger none\n",
       {}},
      {"ADeleteThatWasRefusedExcusesNothing",
       kBegin,
       reader + "12 w 12 invoke delete ledger=7\n"
                "13 w 12 error MetadataUnavailable none\n"
                "14 r 11 invoke read ledger=7 handle=2 first=0 last=1\n"
                "15 r 11 error NoSuchLedger none\n",
       {"AllAckedEntriesAreReadable"}},
      {"AnErrorThatCanBeTriedAgainIsNoLoss",
       kBegin,
       reader + "12 r 11 invoke read ledger=7 handle=2 first=0 last=1\n"
                "13 r 11 error ConnectionLost none\n",
       {}},
      {"TheEndCutsOffAnAckedEntry",
       kBegin,
       "10 r 10 invoke open ledger=7 handle=2 recover=1\n"
       "11 r 10 ok lac=0 state=closed last=0 length=100\n",
       {"EndKeepsAcknowledged", "LacIsTrue"}},
      {"ABookieThatForgotItsFenceExcusesAnAckThatWasCutOff",
       kBegin,
       std::string(kReader) + "12 r 11 invoke read ledger=7 handle=2 first=0 last=1\n"
                              "13 r 11 ok 0=7/0/1/0/100 1=7/1/1/1/100\n"
                              "13 - - late-ack 7 1\n"
                              "14 x 12 invoke open ledger=7 handle=3 recover=1\n"
                              "15 x 12 ok lac=0 state=closed last=0 length=100\n"
                              "16 r 13 invoke read-lac ledger=7 handle=2\n"
                              "17 r 13 ok lac=0\n"
                              "18 r 14 invoke read ledger=7 handle=2 first=0 last=1\n"
                              "19 r 14 error NoSuchEntry none\n"
                              "20 - - reckoning\n"
                              "21 x 15 invoke read ledger=7 handle=3 first=0 last=0\n"
                              "22 x 15 ok 0=7/0/1/0/100\n",
       {}},
      {"ButNotOneThatTheEndKeeps",
       kBegin,
       "9 - - late-ack 7 1\n"
       "10 r 10 invoke open ledger=7 handle=2 recover=1\n"
       "11 r 10 ok lac=1 state=closed last=1 length=200\n"
       "12 r 11 invoke read ledger=7 handle=2 first=0 last=1\n"
       "13 r 11 error NoSuchEntry none\n",
       {"AllAckedEntriesAreReadable"}},
      {"AndNoOtherEntry",
       kBegin,
       "9 - - late-ack 7 2\n9 - - late-ack 8 1\n"
       "10 r 10 invoke open ledger=7 handle=2 recover=1\n"
       "11 r 10 ok lac=0 state=closed last=0 length=100\n",
       {"EndKeepsAcknowledged", "LacIsTrue"}},
      {"WhatFollowsOneIsCutOffWithIt",
       kBegin,
       "9 - - late-ack 7 0\n"
       "10 r 10 invoke open ledger=7 handle=2 recover=1\n"
       "11 r 10 ok lac=-1 state=closed last=-1 length=0\n"
       "12 - - reckoning\n",
       {}},
      {"ALedgerIsSaidToBeMissing",
       kBegin,
       "10 r 10 invoke open ledger=7 handle=2\n11 r 10 error NoSuchLedgerMetadata none\n",
       {"AllAckedEntriesAreReadable"}},
      {"AtTheReckoningAnEntryIsMissing",
       kBegin,
       reader + "12 - - reckoning\n"
                "13 r 11 invoke read ledger=7 handle=2 first=0 last=0\n"
                "14 r 11 ok 0=7/0/1/0/100\n",
       {"AllAckedEntriesAreReadable"}},
      {"DeferredEntriesMayBeCutOffBeforeTheForce",
       kDeferred,
       "10 r 10 invoke open ledger=7 handle=2 recover=1\n"
       "11 r 10 ok lac=0 state=closed last=0 length=100\n",
       {}},
      {"DeferredEntriesMayNotBeCutOffAfterTheForce",
       kDeferred,
       "7 w 4 invoke force ledger=7 handle=1\n8 w 4 ok\n"
       "10 r 10 invoke open ledger=7 handle=2 recover=1\n"
       "11 r 10 ok lac=0 state=closed last=0 length=100\n",
       {"EndKeepsAcknowledged"}},

      // G2
      {"AnAckIsLeftOut",
       kBegin,
       "7 w 4 invoke append ledger=7 handle=1 entry=2 payload=7/2/1/2/100\n"
       "8 w 5 invoke append ledger=7 handle=1 entry=3 payload=7/3/1/3/100\n"
       "9 w 5 ok entry=3 lac=3\n",
       {"AckedPrefix"}},
      {"AnAckAfterAnError",
       kBegin,
       "7 w 4 invoke append ledger=7 handle=1 entry=2 payload=7/2/1/2/100\n"
       "8 w 5 invoke append ledger=7 handle=1 entry=3 payload=7/3/1/3/100\n"
       "9 w 5 error LedgerFenced unknown\n10 w 4 ok entry=2 lac=2\n",
       {"AckedPrefix"}},
      {"ARefusalEndsNothing",
       kBegin,
       "7 w 4 invoke append ledger=7 handle=1 entry=2 payload=7/2/1/2/100\n"
       "8 w 4 error Overloaded none\n"
       "9 w 5 invoke append ledger=7 handle=1 entry=2 payload=7/2/1/3/100\n"
       "10 w 5 ok entry=2 lac=2\n",
       {}},
      {"AnIdOtherThanTheCallsOrderSays",
       kBegin,
       "7 w 4 invoke append ledger=7 handle=1 entry=3 payload=7/3/1/2/100\n"
       "8 w 4 ok entry=2 lac=2\n",
       {"AckedPrefix"}},
      {"AnAppendAfterClose",
       kBegin,
       "7 w 4 invoke close ledger=7 handle=1\n8 w 4 ok last=1\n"
       "9 w 5 invoke append ledger=7 handle=1 entry=2 payload=7/2/1/2/100\n"
       "10 w 5 ok entry=2 lac=2\n",
       {"AckedPrefix", "EndKeepsAcknowledged", "LacIsTrue"}},

      // G3, G4
      {"TwoReadersTwoTruths",
       kBegin,
       reader + "12 w 4 invoke append ledger=7 handle=1 entry=2 payload=7/2/1/2/100\n"
                "13 w 5 invoke append ledger=7 handle=9 entry=2 payload=7/2/9/0/100\n"
                "14 r 11 invoke read ledger=7 handle=2 first=2 last=2\n"
                "15 r 11 ok 2=7/2/1/2/100\n"
                "16 r 12 invoke read ledger=7 handle=2 first=2 last=2\n"
                "17 r 12 ok 2=7/2/9/0/100\n",
       {"ReadersAgree"}},
      {"BytesOfAnotherEntry",
       kBegin,
       reader + "12 r 11 invoke read ledger=7 handle=2 first=0 last=0\n"
                "13 r 11 ok 0=7/1/1/1/100\n",
       {"NoOutOfOrderEntries"}},
      {"BytesThatNobodyWrote",
       kBegin,
       reader + "12 r 11 invoke read-unconfirmed ledger=7 handle=2 first=0 last=0\n"
                "13 r 11 ok 0=raw/1234/100\n",
       {"NoOutOfOrderEntries"}},
      {"BytesOfAnAppendThatWasRefused",
       kBegin,
       reader + "12 w 4 invoke append ledger=7 handle=1 entry=2 payload=7/2/1/2/100\n"
                "13 w 4 error Overloaded none\n"
                "14 r 11 invoke read-unconfirmed ledger=7 handle=2 first=2 last=2\n"
                "15 r 11 ok 2=7/2/1/2/100\n",
       {"NoOutOfOrderEntries"}},
      {"BytesOfADuplicateThatLost",
       kBegin,
       reader + "12 w 4 invoke append ledger=7 handle=1 entry=1 payload=7/1/1/2/100\n"
                "13 r 11 invoke read ledger=7 handle=2 first=1 last=1\n"
                "14 r 11 ok 1=7/1/1/2/100\n",
       {"NoOutOfOrderEntries"}},

      // G5, G6
      {"ALacThatNobodyAcknowledged",
       kBegin,
       "10 r 10 invoke open ledger=7 handle=2\n11 r 10 ok lac=2\n",
       {"LacIsTrue"}},
      {"ALacOfAWriterThatCrashedBeforeItWasTold",
       kBegin,
       "7 w 4 invoke append ledger=7 handle=1 entry=2 payload=7/2/1/2/100\n8 w - crash\n"
       "10 r 10 invoke open ledger=7 handle=2\n11 r 10 ok lac=2\n",
       {}},
      {"ALacFromARecoveryThatNobodySawBeforeTheDeletion",
       kBegin,
       "7 w 4 invoke append ledger=7 handle=1 entry=2 payload=7/2/1/2/100\n"
       "8 w 4 error LedgerFenced unknown\n"
       "10 r 10 invoke open ledger=7 handle=2\n11 r 10 ok lac=2\n"
       "12 d 12 invoke delete ledger=7\n13 d 12 ok\n",
       {}},
      {"ALacOfWhatWasRefusedBeforeTheDeletion",
       kBegin,
       "7 w 4 invoke append ledger=7 handle=1 entry=2 payload=7/2/1/2/100\n"
       "8 w 4 error LedgerFenced none\n"
       "10 r 10 invoke open ledger=7 handle=2\n11 r 10 ok lac=2\n"
       "12 d 12 invoke delete ledger=7\n13 d 12 ok\n",
       {"LacIsTrue"}},
      {"ALacAboveTheEnd",
       kBegin,
       "7 w 4 invoke append ledger=7 handle=1 entry=2 payload=7/2/1/2/100\n8 w - crash\n"
       "10 r 10 invoke open ledger=7 handle=2\n11 r 10 ok lac=2\n"
       "12 r 11 invoke open ledger=7 handle=3 recover=1\n"
       "13 r 11 ok lac=1 state=closed last=1 length=200\n",
       {"LacIsTrue"}},
      {"ADeferredLacBeforeTheForce",
       kDeferred,
       "10 r 10 invoke open ledger=7 handle=2\n11 r 10 ok lac=1\n",
       {"LacIsTrue"}},
      {"ADeferredLacDuringTheForce",
       kDeferred,
       "7 w 4 invoke force ledger=7 handle=1\n"
       "10 r 10 invoke open ledger=7 handle=2\n11 r 10 ok lac=1\n12 w 4 ok\n",
       {}},
      {"ADeferredLacOfAnEntryAcknowledgedDuringTheForce",
       kDeferred,
       "7 w 4 invoke append ledger=7 handle=1 entry=2 payload=7/2/1/2/100\n"
       "8 w 5 invoke force ledger=7 handle=1\n9 w 4 ok entry=2 lac=-1\n"
       "10 r 10 invoke open ledger=7 handle=2\n11 r 10 ok lac=2\n12 w 5 ok\n",
       {}},
      {"ADeferredLacOfAnEntryAcknowledgedAfterTheForce",
       kDeferred,
       "7 w 4 invoke append ledger=7 handle=1 entry=2 payload=7/2/1/2/100\n"
       "8 w 5 invoke force ledger=7 handle=1\n9 w 5 ok\n10 w 4 ok entry=2 lac=1\n"
       "11 r 10 invoke open ledger=7 handle=2\n12 r 10 ok lac=2\n",
       {"LacIsTrue"}},
      {"ALacThatShrinks",
       kBegin,
       reader + "12 r 11 invoke read-lac ledger=7 handle=2\n13 r 11 ok lac=0\n",
       {"LacMonotone"}},
      {"AReadableRangeThatShrinks",
       kBegin,
       "10 r 10 invoke open ledger=7 handle=2\n11 r 10 ok lac=0\n"
       "12 r 11 invoke tail ledger=7 handle=2 entry=1\n13 r 11 ok 1=7/1/1/1/100\n"
       "14 r 12 invoke read-lac ledger=7 handle=2\n15 r 12 ok lac=0\n",
       {"LacMonotone"}},
      {"TwoLacReadsAtOnceMayEndInAnyOrder",
       kBegin,
       "10 r 10 invoke open ledger=7 handle=2\n11 r 10 ok lac=-1\n"
       "12 r 11 invoke read-lac ledger=7 handle=2\n13 r 12 invoke read-lac ledger=7 handle=2\n"
       "14 r 11 ok lac=1\n15 r 12 ok lac=0\n",
       {}},

      // G7, G10
      {"TwoEnds",
       kBegin,
       "10 r 10 invoke open ledger=7 handle=2 recover=1\n"
       "11 r 10 ok lac=1 state=closed last=1 length=200\n"
       "12 w 4 invoke close ledger=7 handle=1\n13 w 4 ok last=2\n",
       {"OneEnd"}},
      {"TwoLengths",
       kBegin,
       "10 r 10 invoke open ledger=7 handle=2 recover=1\n"
       "11 r 10 ok lac=1 state=closed last=1 length=200\n"
       "12 r 11 invoke metadata ledger=7\n13 r 11 ok state=closed last=1 length=100\n",
       {"OneEnd"}},
      {"AnAckAboveTheEnd",
       kBegin,
       "7 w 4 invoke append ledger=7 handle=1 entry=2 payload=7/2/1/2/100\n"
       "10 r 10 invoke open ledger=7 handle=2 recover=1\n"
       "11 r 10 ok lac=1 state=closed last=1 length=200\n12 w 4 ok entry=2 lac=2\n",
       {"NoLateAck", "EndKeepsAcknowledged", "LacIsTrue"}},

      // The rest
      {"AReadWithAHole",
       kBegin,
       reader + "12 r 11 invoke read ledger=7 handle=2 first=0 last=1\n"
                "13 r 11 ok 1=7/1/1/1/100\n",
       {"ReadContract"}},
      {"AReadThatStopsShort",
       kBegin,
       reader + "12 r 11 invoke read ledger=7 handle=2 first=0 last=1\n"
                "13 r 11 ok 0=7/0/1/0/100\n",
       {"ReadContract"}},
      {"ABatchOfNothing",
       kBegin,
       reader + "12 r 11 invoke read-batch ledger=7 handle=2 first=0\n13 r 11 ok\n",
       {"ReadContract"}},
      {"ABatchOfAny",
       kBegin,
       reader + "12 r 11 invoke read-batch ledger=7 handle=2 first=0\n"
                "13 r 11 ok 0=7/0/1/0/100 1=7/1/1/1/100\n",
       {}},
      {"OneIdTwoCreators",
       kBegin,
       "10 v 10 invoke create replication=3/3/2 ledger=7 handle=3\n11 v 10 ok ledger=7\n",
       {"CreatedOnce"}},
      {"AnErrorOfNobody",
       kBegin,
       "10 r 10 invoke open ledger=7 handle=2\n11 r 10 error Foreign unknown\n",
       {"EffectOfErrors"}},
      {"ACallThatHangs",
       kBegin,
       "10 r 10 invoke open ledger=7 handle=2\n20 - - end\n",
       {"NothingHangs"}},
      {"ACallOfACrashedProcess",
       kBegin,
       "10 r 10 invoke open ledger=7 handle=2\n11 r - crash\n20 - - end\n",
       {}},
      {"AnAddAfterTheFence",
       kBegin,
       "10 p 10 invoke bookie-fence ledger=7 bookie=b1\n11 p 10 ok\n"
       "12 p 11 invoke bookie-add ledger=7 bookie=b1 entry=5 payload=raw/1/1\n13 p 11 ok\n",
       {"FenceMonotone"}},
      {"AnAddElsewhereAfterTheFence",
       kBegin,
       "10 p 10 invoke bookie-fence ledger=7 bookie=b1\n11 p 10 ok\n"
       "12 p 11 invoke bookie-add ledger=7 bookie=b2 entry=5 payload=raw/1/1\n13 p 11 ok\n",
       {}},
      {"ALacForgottenByItsBookie",
       kBegin,
       "10 p 10 invoke bookie-write-lac ledger=7 bookie=b1 last=1\n11 p 10 ok\n"
       "12 p 11 invoke bookie-lac ledger=7 bookie=b1\n13 p 11 ok lac=0\n",
       {"LacDurable"}},
  };
}

INSTANTIATE_TEST_SUITE_P(Stories, CheckersTest, testing::ValuesIn(Stories()),
                         [](const auto& info) { return info.param.name; });

TEST(BeyondBudgetTest, LossIsAllowedAndInventionIsNot) {
  const CheckOptions beyond{.beyond_budget = true};
  const auto lost = ParseHistory(std::string(kBegin) + std::string(kReader) +
                                 "12 r 11 invoke read ledger=7 handle=2 first=0 last=1\n"
                                 "13 r 11 error NoSuchEntry none\n");
  ASSERT_TRUE(lost.ok()) << lost.status();
  EXPECT_EQ(CheckHistory(*lost, beyond).size(), 0u);
  const auto invented = ParseHistory(std::string(kBegin) + std::string(kReader) +
                                     "12 r 11 invoke read ledger=7 handle=2 first=0 last=0\n"
                                     "13 r 11 ok 0=raw/1/100\n");
  ASSERT_TRUE(invented.ok()) << invented.status();
  EXPECT_EQ(CheckHistory(*invented, beyond).size(), 1u);
}

TEST(BeyondBudgetTest, WhoCannotTellMayNotCloseBelowWhatWasAcknowledged) {
  const auto refused = ParseHistory(std::string(kBegin) +
                                    "10 r 10 invoke open ledger=7 handle=2 recover=1\n"
                                    "11 r 10 error RecoveryFailed none\n");
  ASSERT_TRUE(refused.ok()) << refused.status();
  EXPECT_EQ(CheckHistory(*refused, {.beyond_budget = true}).size(), 0u);
  const auto cut = ParseHistory(std::string(kBegin) +
                                "10 r 10 invoke open ledger=7 handle=2 recover=1\n"
                                "11 r 10 ok lac=0 state=closed last=0 length=100\n");
  ASSERT_TRUE(cut.ok()) << cut.status();
  const Violations violations = CheckHistory(*cut, {.beyond_budget = true});
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].checker, "EndKeepsAcknowledged");
}

}  // namespace
}  // namespace stele::history
