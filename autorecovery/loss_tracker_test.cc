#include "autorecovery/loss_tracker.h"

#include <gtest/gtest.h>

#include "common/base/strings.h"

namespace stele::autorecovery {
namespace {

BookieId B(int number) { return BookieId(StrCat("b", number)); }
std::set<BookieId> Bookies(int first, int last) {
  std::set<BookieId> bookies;
  for (int i = first; i <= last; ++i) bookies.insert(B(i));
  return bookies;
}
MonotonicTime At(int64_t seconds) {
  return MonotonicTime::FromNanoseconds(1'000'000'000 * (1'000'000 + seconds));
}
using Set = std::set<BookieId>;

constexpr LossRules kRules{.recovery_delay = absl::Seconds(300)};
constexpr LossRules kNoDelay{.recovery_delay = absl::ZeroDuration()};

TEST(LossTrackerTest, OneAloneHasTimeToComeBack) {
  LossTracker losses;
  losses.Update(kRules, Bookies(1, 5), Bookies(1, 5), At(0));
  EXPECT_EQ(losses.Update(kRules, Bookies(1, 5), Bookies(2, 5), At(10)).lost,
            std::vector<BookieId>{B(1)});
  EXPECT_EQ(losses.ToRepair(kRules, At(309)), Set{});
  EXPECT_EQ(losses.Waiting(kRules, At(309)), Set{B(1)});
  EXPECT_EQ(losses.NextChange(kRules, At(10)), At(310));
  EXPECT_EQ(losses.ToRepair(kRules, At(310)), Set{B(1)});
  EXPECT_EQ(losses.NextChange(kRules, At(310)), std::nullopt);
}

TEST(LossTrackerTest, WhoComesBackIsForgotten) {
  LossTracker losses;
  losses.Update(kRules, Bookies(1, 5), Bookies(2, 5), At(0));
  EXPECT_EQ(losses.Update(kRules, Bookies(1, 5), Bookies(1, 5), At(200)).back,
            std::vector<BookieId>{B(1)});
  EXPECT_EQ(losses.Lost(), Set{});
  // Lost again, its time begins anew.
  losses.Update(kRules, Bookies(1, 5), Bookies(2, 5), At(250));
  EXPECT_EQ(losses.ToRepair(kRules, At(400)), Set{});
}

TEST(LossTrackerTest, WhoIsRemovedFromTheClusterIsNotMissed) {
  LossTracker losses;
  losses.Update(kRules, Bookies(1, 5), Bookies(2, 5), At(0));
  losses.Update(kRules, Bookies(2, 5), Bookies(2, 5), At(1));
  EXPECT_EQ(losses.Lost(), Set{});
}

TEST(LossTrackerTest, ASecondLossEndsTheDelayOfBothForGood) {
  LossTracker losses;
  losses.Update(kRules, Bookies(1, 9), Bookies(2, 9), At(0));
  losses.Update(kRules, Bookies(1, 9), Bookies(3, 9), At(100));
  EXPECT_EQ(losses.ToRepair(kRules, At(100)), (Set{B(1), B(2)}));
  EXPECT_EQ(losses.ToRepair(kRules, At(350)), (Set{B(1), B(2)}));
}

TEST(LossTrackerTest, ALossLongAgoTakesNoTimeFromTheNext) {
  LossTracker losses;
  losses.Update(kRules, Bookies(1, 9), Bookies(2, 9), At(0));
  losses.Update(kRules, Bookies(1, 9), Bookies(3, 9), At(1000));
  EXPECT_EQ(losses.ToRepair(kRules, At(1000)), Set{B(1)});
}

TEST(LossTrackerTest, ASuccessorHonoursTheRest) {
  LossTracker losses;
  losses.Remember(B(1), absl::Seconds(100), At(0));
  losses.Update(kRules, Bookies(1, 5), Bookies(2, 5), At(0));
  EXPECT_EQ(losses.ToRepair(kRules, At(199)), Set{});
  EXPECT_EQ(losses.ToRepair(kRules, At(200)), Set{B(1)});
}

// T46
TEST(LossTrackerTest, AWrongDateNeitherShortensBelowNothingNorLengthensTheDelay) {
  LossTracker future;
  future.Remember(B(1), -absl::Hours(24), At(0));
  future.Update(kRules, Bookies(1, 5), Bookies(2, 5), At(0));
  EXPECT_EQ(future.ToRepair(kRules, At(300)), Set{B(1)});
  LossTracker past;
  past.Remember(B(1), absl::Hours(24 * 1000), At(0));
  past.Update(kRules, Bookies(1, 5), Bookies(2, 5), At(0));
  EXPECT_EQ(past.ToRepair(kRules, At(0)), Set{B(1)});
}

TEST(LossTrackerTest, AnOrderEndsAllDelays) {
  LossTracker losses;
  losses.Update(kRules, Bookies(1, 5), Bookies(2, 5), At(0));
  losses.EndDelays();
  EXPECT_EQ(losses.ToRepair(kRules, At(1)), Set{B(1)});
}

TEST(LossTrackerTest, ManyAtOnceAreAStorm) {
  LossTracker losses;
  losses.Update(kNoDelay, Bookies(1, 9), Bookies(1, 9), At(0));
  losses.Update(kNoDelay, Bookies(1, 9), Bookies(3, 9), At(10));
  EXPECT_EQ(losses.ToRepair(kNoDelay, At(10)), (Set{B(1), B(2)}));  // two may fail together
  losses.Update(kNoDelay, Bookies(1, 9), Bookies(4, 9), At(30));
  EXPECT_TRUE(losses.IsStorm(kNoDelay, At(30)));
  EXPECT_EQ(losses.ToRepair(kNoDelay, At(30)), Set{});
  // It ends when they come back, or when nobody will come back any more.
  EXPECT_EQ(losses.ToRepair(kNoDelay, *losses.NextChange(kNoDelay, At(30))),
            (Set{B(1), B(2), B(3)}));
  losses.Update(kNoDelay, Bookies(1, 9), Bookies(3, 9), At(60));
  EXPECT_FALSE(losses.IsStorm(kNoDelay, At(60)));
}

TEST(LossTrackerTest, AStormThatArrivesLittleByLittleIsNoticedBeforeAnythingIsRepaired) {
  constexpr LossRules kSettling{.recovery_delay = absl::ZeroDuration(), .settle = absl::Seconds(4)};
  LossTracker losses;
  for (int lost = 0; lost < 3; ++lost) {
    losses.Update(kSettling, Bookies(1, 9), Bookies(2 + lost, 9), At(3 * lost));
    EXPECT_EQ(losses.ToRepair(kSettling, At(3 * lost + 2)), Set{});
  }
  EXPECT_TRUE(losses.IsStorm(kSettling, At(6)));
}

TEST(LossTrackerTest, LossesWithoutEndHoldNobodyUpForLong) {
  constexpr LossRules kSettling{
      .recovery_delay = absl::ZeroDuration(), .storm_percent = 100, .settle = absl::Seconds(4)};
  LossTracker losses;
  for (int lost = 0; lost < 5; ++lost) {
    losses.Update(kSettling, Bookies(1, 9), Bookies(2 + lost, 9), At(3 * lost));
  }
  EXPECT_EQ(losses.ToRepair(kSettling, At(12)), Set{B(1)});
  EXPECT_LE(*losses.NextChange(kSettling, At(12)), At(15));
  EXPECT_EQ(losses.ToRepair(kSettling, At(16)), (Set{B(1), B(2), B(3), B(4), B(5)}));
}

TEST(LossTrackerTest, LossesFarApartAreNoStorm) {
  LossTracker losses;
  for (int lost = 0; lost < 4; ++lost) {
    losses.Update(kNoDelay, Bookies(1, 9), Bookies(1 + lost, 9), At(61 * lost));
  }
  EXPECT_FALSE(losses.IsStorm(kNoDelay, At(300)));
}

}  // namespace
}  // namespace stele::autorecovery
