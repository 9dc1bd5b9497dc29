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

TEST(HostileWorldTest, F43AClockBefore1970OrAfter2100IsToldAndChangesNothing) {
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

// F43: the wall clock jumps while somebody waits. Only the other clock counts.
Task<void> PollOverAJump(BookieWorld* world, absl::Duration jump) {
  WireClient client(world->peer_env(), wire::ProtocolVersion::kV3);
  EXPECT_TRUE((co_await client.Connect(world->endpoint())).ok());
  const Clock* clock = world->peer_env().clock;
  const MonotonicTime begin = clock->Now();
  client.Send(kRequests.LongPoll(0, 60'000));
  co_await SleepFor(world->peer_env().executor, world->peer_env().clock, absl::Seconds(10));
  world->process()->set_wall_offset(jump);
  const auto reply = co_await client.Receive();
  EXPECT_TRUE(reply.ok() && reply->code == ReplyCode::kOk);
  EXPECT_GE(clock->Now() - begin, absl::Seconds(60));
  EXPECT_LE(clock->Now() - begin, absl::Seconds(61));
}

TEST(HostileWorldTest, F43AJumpOfTheClockNeitherEndsALongPollNorKeepsIt) {
  BookieWorld world(1);
  ASSERT_TRUE(world.Start().ok());
  ASSERT_EQ(world.CodeOfCall(kRequests.Add(0, "x")), ReplyCode::kOk);
  for (const absl::Duration jump : {absl::Hours(24), -absl::Hours(24)}) {
    world.Run(PollOverAJump(&world, jump));
  }
}

}  // namespace
}  // namespace stele::bookie
