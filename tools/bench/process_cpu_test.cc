#include "tools/bench/process_cpu.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"

namespace stele::bench {
namespace {

TEST(ProcessCpuTest, AddsUserAndSystemTimeWhateverTheCommandIsCalled) {
  EXPECT_EQ(ParseCpuTicks("12 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 250 37 0 0 20 0 1").value(), 287);
}

TEST(ProcessCpuTest, RefusesWhatIsNoStat) {
  for (const char* text : {"", "12 (a", "12 (a) S 1 2 3", "12 (a) S 1 2 3 4 5 6 7 8 9 10 x 37"}) {
    EXPECT_EQ(CodeOf(ParseCpuTicks(text).status()), ErrorCode::kCorruptData) << text;
  }
}

TEST(ProcessCpuTest, ReadsOurOwnAndNotThatOfNobody) {
  EXPECT_GE(CpuMilliseconds(0).value(), 0);
  EXPECT_EQ(CodeOf(CpuMilliseconds(int64_t{1} << 40).status()), ErrorCode::kNoSuchFile);
}

}  // namespace
}  // namespace stele::bench
