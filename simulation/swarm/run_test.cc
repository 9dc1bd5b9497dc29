// The swarm itself: a small quiet run ends well and is the same twice; what breaks takes effect.
#include "simulation/swarm/run.h"

#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "common/base/sometimes.h"
#include "simulation/swarm/result_text.h"

namespace stele::simulation {
namespace {

constexpr std::string_view kQuiet =
    "seed 5\nbookies 3\nduration 5000\n"
    "actor writer 101 operations=40 window=4 size=200\n"
    "actor tailer 102 operations=30\n"
    "actor recoverer 103 operations=5\n";
constexpr std::string_view kFaults =
    "fault power at=1000 for=300 a=1\n"
    "fault reset at=1500 a=2 b=101\n"
    "fault store-lose-reply at=1700 a=101 b=1\n";

Scenario Parse(std::string_view text) {
  auto parsed = ParseScenario(text);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  return *std::move(parsed);
}

std::string Findings(const RunResult& result) {
  std::string text;
  for (const Finding& finding : result.findings) text += finding.checker + ": " + finding.text;
  return text;
}

TEST(RunTest, AQuietRunEndsWellAndIsTheSameTwice) {
  const RunResult first = RunScenario(Parse(kQuiet));
  EXPECT_EQ(Findings(first), "");
  EXPECT_GT(first.calls_ok, 40u);
  EXPECT_EQ(RunScenario(Parse(kQuiet)).trace_hash, first.trace_hash);
}

TEST(RunTest, FaultsTakeEffectAndAreSurvived) {
  const RunResult result = RunScenario(Parse(std::string(kQuiet) + std::string(kFaults)));
  EXPECT_EQ(Findings(result), "");
  for (const char* fault : {"swarm.power", "swarm.reset", "swarm.store-lose-reply"}) {
    EXPECT_EQ(result.faults.at(fault), 1u) << fault;
  }
}

// One bookie twice: to what it was a moment ago, and to its first day.
constexpr std::string_view kSetBack =
    "seed 7\nbookies 4\nduration 60000\nlosses 1\n"
    "actor writer 101 operations=400 window=4 size=200\n"
    "actor writer 102 operations=400 window=4 size=200\n"
    "actor recoverer 103 operations=100\n"
    "actor reader 104 operations=400\n"
    "fault set-back at=3000 for=2000 a=1 b=0\n"
    "fault set-back at=30000 for=1 a=1 b=1\n";

TEST(RunTest, ADiskThatIsSetBackIsNoticedAndItsLedgersAreHealed) {
  const RunResult result = RunScenario(Parse(kSetBack));
  EXPECT_EQ(Findings(result), "");
  EXPECT_EQ(result.faults.at("swarm: a disk is set back"), 2u);
  for (const Sometimes place : {Sometimes::kLimboEntered, Sometimes::kLimboLeft}) {
    EXPECT_GT(result.sometimes.at(std::string(TextOf(place))), 0u) << TextOf(place);
  }
}

// Apache's bookies, and writers of its kind that recoverers come between.
constexpr std::string_view kMixed =
    "seed 61\nprofile mixed\nbookies 3\nduration 60000\njava 3\n"
    "actor writer 101 at=0 operations=200 window=2 size=100 flags=1184\n"
    "actor writer 102 at=0 operations=200 window=2 size=100 flags=1184\n"
    "actor recoverer 103 at=500 operations=100\n"
    "actor recoverer 104 at=500 operations=100\n";

TEST(RunTest, WhatPeersOfApachesKindDoIsJudgedForWhatTheyAre) {
  const RunResult result = RunScenario(Parse(kMixed));
  EXPECT_EQ(Findings(result), "");
  for (const char* what :
       {"java.stray frame", "java.early fence", "java.early fence lost", "java.add despite a fence",
        "java.late ack", "java.close over a recovery"}) {
    EXPECT_TRUE(result.faults.contains(what)) << what;
  }
  for (const Sometimes place : {Sometimes::kStrayReply, Sometimes::kCloseOverridesRecovery}) {
    EXPECT_GT(result.sometimes.at(std::string(TextOf(place))), 0u) << TextOf(place);
  }
}

TEST(RunTest, PlacesThatNoSeedReachesAreReachedOnPurpose) {
  const std::pair<const char*, Sometimes> kRare[] = {
      {"rare-compaction-overtaken", Sometimes::kCompactionOvertaken},
      {"rare-garbage-brake", Sometimes::kGarbageBrake},
      {"rare-flush-of-a-deleted-ledger", Sometimes::kFlushOfDeletedLedger},
  };
  for (const auto& [name, place] : kRare) {
    std::ifstream in(std::string("simulation/scenarios/") + name + ".txt");
    const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const RunResult result = RunScenario(Parse(text));
    EXPECT_EQ(Findings(result), "") << name;
    EXPECT_GT(result.sometimes.at(std::string(TextOf(place))), 0u) << name;
  }
}

TEST(RunTest, StopsAtAStepWithoutAVerdict) {
  const RunResult result = RunScenario(Parse(kQuiet), {.until_step = 3'000});
  EXPECT_EQ(result.steps, 3'000u);
  EXPECT_EQ(Findings(result), "");
}

TEST(ResultTextTest, IsItsTextAndBack) {
  RunResult result{.trace_hash = 7, .steps = 8, .virtual_ms = 9, .calls = 10, .calls_ok = 11};
  result.findings.push_back({"Checker", "two\nlines with \\ and \\n"});
  result.last_lines = {"a line\n"};
  result.history = "1 w 1 invoke\n";
  result.faults["network.reset"] = 4;
  result.sometimes["a rare thing"] = 2;
  RunResult parsed;
  std::string noise;
  ASSERT_TRUE(ParseResult("noise\n" + ToText(result), &parsed, &noise));
  EXPECT_EQ(noise, "noise\n");
  EXPECT_EQ(ToText(parsed), ToText(result));
  EXPECT_FALSE(
      ParseResult("\x01"
                  "hash 3\n",
                  &parsed, &noise));
}

}  // namespace
}  // namespace stele::simulation
