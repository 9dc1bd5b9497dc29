#include "simulation/history/text_format.h"

#include <string>

#include <gtest/gtest.h>

#include "common/base/errors.h"

namespace stele::history {
namespace {

// Every operation, every kind of end, every mark.
constexpr std::string_view kAll =
    "1 w 1 invoke create replication=5/3/2 ledger=7 handle=1 deferred=1 caller-ids=1\n"
    "2 w 1 ok ledger=7\n"
    "3 w 2 invoke append ledger=7 handle=1 entry=0 payload=7/0/1/0/100\n"
    "3 w 3 invoke append ledger=7 handle=1 entry=1 payload=raw/ab12/3\n"
    "4 w 2 ok entry=0 lac=-1\n"
    "5 w 3 error Overloaded none\n"
    "6 w 4 invoke force ledger=7 handle=1\n"
    "7 w 4 error Deadline unknown\n"
    "8 n - note bookie 3 loses power, comes back at 12 s\n"
    "9 r 10 invoke open ledger=7 handle=2 recover=1\n"
    "10 r 10 ok lac=0 state=closed last=0 length=100\n"
    "11 r 11 invoke read ledger=7 handle=2 first=0 last=0\n"
    "12 r 11 ok 0=7/0/1/0/100\n"
    "13 r 22 invoke read-batch ledger=7 handle=2 first=0\n"
    "13 r 22 ok 0=7/0/1/0/100\n"
    "13 r 12 invoke read-unconfirmed ledger=7 handle=2 first=0 last=4\n"
    "14 r 12 ok 0=7/0/1/0/100 1=raw/ab12/3\n"
    "15 r 13 invoke read-lac ledger=7 handle=2\n"
    "16 r 13 ok lac=0\n"
    "17 r 14 invoke wait ledger=7 handle=2 entry=1\n"
    "18 r 14 ok lac=0\n"
    "19 r 15 invoke tail ledger=7 handle=2 entry=1\n"
    "20 r 15 ok state=closed last=0\n"
    "21 w 16 invoke close ledger=7 handle=1\n"
    "22 w 16 ok last=0\n"
    "23 w 17 invoke metadata ledger=7\n"
    "24 w 17 ok state=in-recovery\n"
    "25 w 18 invoke delete ledger=7\n"
    "26 w - crash\n"
    "27 p 19 invoke bookie-fence ledger=7 bookie=b1:3181\n"
    "28 p 19 ok\n"
    "29 p 20 invoke bookie-write-lac ledger=7 bookie=b1:3181 last=4\n"
    "30 p 21 invoke bookie-lac ledger=7 bookie=b1:3181\n"
    "31 p 23 invoke bookie-add ledger=7 bookie=b1:3181 entry=4 payload=raw/1/0\n"
    "31 w - override 7\n"
    "31 - - late-ack 7 2\n"
    "32 - - reckoning\n"
    "33 - - end\n";

TEST(TextFormatTest, WhatIsParsedIsPrintedAsItWas) {
  const auto history = ParseHistory(kAll);
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_EQ(ToText(*history), kAll);
}

TEST(TextFormatTest, CommentsAndEmptyLinesAreSkipped) {
  const auto history = ParseHistory("# a comment\n\n1 w 1 invoke metadata ledger=7\n");
  ASSERT_TRUE(history.ok()) << history.status();
  EXPECT_EQ(history->calls().size(), 1u);
}

TEST(TextFormatTest, ALineThatIsWrongIsNamed) {
  for (const char* line : {
           "x w 1 invoke metadata ledger=7",
           "1 w x invoke metadata ledger=7",
           "1 w 1 invoke nothing ledger=7",
           "1 w 1 invoke metadata ledger=x",
           "1 w 1 invoke metadata colour=red",
           "1 w 1 invoke metadata ledger",
           "1 w 1 ok",
           "1 w 0 invoke metadata ledger=7",
           "1 w 0 ok colour=red",
           "1 w 0 ok 5=x",
           "1 w 0 error Nonsense none",
           "1 w 0 error Deadline maybe",
           "1 w 0 sideways",
       }) {
    const auto history =
        ParseHistory(std::string("1 w 0 invoke metadata ledger=1\n") + line + "\n");
    ASSERT_FALSE(history.ok()) << line;
    EXPECT_EQ(CodeOf(history.status()), ErrorCode::kInvalidArgument);
    EXPECT_NE(std::string(history.status().message()).find("line 2"), std::string::npos)
        << history.status();
  }
}

}  // namespace
}  // namespace stele::history
