// A whole bookie where clocks are wrong and peers ask for what is not there.
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "bookie/testing/bookie_world.h"

namespace stele::bookie {
namespace {

using wire::ReplyCode;

constexpr absl::Duration kCentury = absl::Hours(100 * 365 * 24);
const LedgerRequests kRequests{LedgerId(7)};

int WarningsOfClock(BookieWorld& world) {
  int count = 0;
  for (const std::string& line : world.log().lines()) {
    if (line.starts_with("the clock of this machine is wrong")) ++count;
  }
  return count;
}

TEST(HostileWorldTest, AClockBefore1970OrAfter2100IsToldAndChangesNothing) {
  BookieWorld world(1);
  int64_t entry = 0;
  // Each restart finds the journals of one with another date.
  for (const absl::Duration offset : {-kCentury, kCentury, absl::ZeroDuration(), -kCentury}) {
    world.process()->set_wall_offset(offset);
    const int before = WarningsOfClock(world);
    ASSERT_TRUE(world.Start().ok());
    EXPECT_EQ(WarningsOfClock(world) - before, offset == absl::ZeroDuration() ? 0 : 1);
    EXPECT_EQ(world.CodeOfCall(kRequests.Add(entry, "x", entry - 1)), ReplyCode::kOk);
    ++entry;
    for (int64_t i = 0; i < entry; ++i) {
      EXPECT_EQ(world.CodeOfCall(kRequests.Read(i)), ReplyCode::kOk) << i;
    }
    world.Kill();
  }
}

TEST(HostileWorldTest, ReadsOfLedgersThatAreNotThereLeaveNothing) {
  BookieWorld world(1);
  ASSERT_TRUE(world.Start().ok());
  ASSERT_EQ(world.CodeOfCall(kRequests.Add(0, "x")), ReplyCode::kOk);
  for (int64_t ledger = 1'000; ledger < 3'000; ++ledger) {
    ASSERT_EQ(world.CodeOfCall(LedgerRequests{LedgerId(ledger * 7'919)}.Read(0)),
              ReplyCode::kNoSuchLedger);
  }
  EXPECT_EQ(world.bookie()->Status().storage.ledgers, 1);
}

}  // namespace
}  // namespace stele::bookie
