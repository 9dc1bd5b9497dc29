// A part of the exhaustive set that fits into the tests: runs spread over all of every script. All
// of it: bazel run --config=release //simulation/exhaustive
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "simulation/exhaustive/runs.h"

namespace stele::simulation {
namespace {

// Of each script.
constexpr uint64_t kRunsPlayed = 4;

class ExhaustiveTest : public testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Scripts, ExhaustiveTest, testing::Range<size_t>(0, AllScripts().size()),
                         [](const auto& param_info) {
                           std::string name = AllScripts()[param_info.param].name;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

TEST_P(ExhaustiveTest, WhatWasPromisedIsKeptWhateverCallIsStruck) {
  const Script& script = AllScripts()[GetParam()];
  const ScriptRuns all = RunsOf(script, 1);
  EXPECT_EQ(all.faults, std::vector<std::string>{});
  EXPECT_GT(all.calls.size(), 0u);
  for (uint64_t i = 0; i < kRunsPlayed; ++i) {
    const StruckRun& run = all.runs.at((i * 2 + 1) * all.runs.size() / (2 * kRunsPlayed));
    const RunResult result = PlayRun(script, 1, run);
    EXPECT_EQ(result.faults, std::vector<std::string>{})
        << "--script=" << script.name << " --call=" << run.call
        << " --strike=" << NameOf(run.strike) << " [" << result.struck << "]";
  }
}

}  // namespace
}  // namespace stele::simulation
