#include "autorecovery/repair_window.h"

#include <algorithm>
#include <deque>

#include <gtest/gtest.h>

namespace stele::autorecovery {
namespace {

constexpr int64_t kEntry = 64 << 10;

// A bookie that serves one request after the other, and a repair that has always as much on its way
// as its window says.
class Bookie {
 public:
  // What clients add to the wait of each request.
  absl::Duration others = absl::ZeroDuration();
  // Of one request: what it takes alone, and what it occupies the bookie.
  absl::Duration alone = absl::Milliseconds(1);
  absl::Duration service = absl::Microseconds(500);

  // Bytes per second that are repaired.
  double RepairFor(RepairWindow* window, absl::Duration duration) {
    const MonotonicTime end = now_ + duration;
    int64_t bytes = 0;
    longest_ = absl::ZeroDuration();
    absl::Duration all;
    while (now_ < end) {
      while (now_ >= pause_until_ &&
             (on_the_way_.empty() ||
              static_cast<int64_t>(on_the_way_.size() + 1) * kEntry <= window->bytes())) {
        free_at_ = std::max(free_at_, now_) + service;
        on_the_way_.push_back({now_, std::max(free_at_, now_ + alone) + others});
      }
      if (on_the_way_.empty()) {
        now_ = pause_until_;
        continue;
      }
      const auto [sent, answered] = on_the_way_.front();
      on_the_way_.pop_front();
      now_ = std::max(now_, answered);
      longest_ = std::max(longest_, now_ - sent);
      all += now_ - sent;
      bytes += kEntry;
      window->OnAnswer(kEntry, now_ - sent, now_);
      pause_until_ = now_ + window->PauseAfter(kEntry, now_ - sent);
    }
    mean_ = all * static_cast<double>(kEntry) / static_cast<double>(bytes);
    return static_cast<double>(bytes) / absl::ToDoubleSeconds(duration);
  }
  absl::Duration longest() const { return longest_; }
  absl::Duration mean() const { return mean_; }
  double rate_max() const { return static_cast<double>(kEntry) / absl::ToDoubleSeconds(service); }

 private:
  struct Request {
    MonotonicTime sent;
    MonotonicTime answered;
  };
  MonotonicTime now_ = MonotonicTime::FromNanoseconds(1'000'000'000);
  MonotonicTime free_at_;
  MonotonicTime pause_until_;
  std::deque<Request> on_the_way_;
  absl::Duration longest_;
  absl::Duration mean_;
};

TEST(RepairWindowTest, AnIdleBookieIsUsedToTheFullAndItsQueueStaysShort) {
  Bookie bookie;
  RepairWindow window;
  EXPECT_GT(bookie.RepairFor(&window, absl::Seconds(1)), 0.85 * bookie.rate_max());
  for (int i = 0; i < 10; ++i) {
    EXPECT_GT(bookie.RepairFor(&window, absl::Seconds(20)), 0.95 * bookie.rate_max());
    EXPECT_LT(bookie.longest(), absl::Milliseconds(5));
  }
}

TEST(RepairWindowTest, ABookieThatWaitsLongForItsDiskIsUsedToTheFullToo) {
  Bookie bookie;
  bookie.alone = absl::Milliseconds(20);
  RepairWindow window;
  bookie.RepairFor(&window, absl::Seconds(5));
  for (int i = 0; i < 10; ++i) {
    EXPECT_GT(bookie.RepairFor(&window, absl::Seconds(20)), 0.95 * bookie.rate_max());
    EXPECT_LT(bookie.longest(), absl::Milliseconds(35));
  }
}

TEST(RepairWindowTest, WhenOthersComeOnlyTheLeastIsAskedFor) {
  Bookie bookie;
  RepairWindow window;
  bookie.RepairFor(&window, absl::Seconds(12));
  bookie.others = absl::Milliseconds(10);
  bookie.RepairFor(&window, absl::Seconds(1));
  const double rate = bookie.RepairFor(&window, absl::Seconds(5));
  EXPECT_LT(rate, 1.1 * RepairWindow::kRateMin);
  EXPECT_GT(rate, 0.9 * RepairWindow::kRateMin);
  bookie.others = absl::ZeroDuration();
  bookie.RepairFor(&window, absl::Seconds(1));
  EXPECT_GT(bookie.RepairFor(&window, absl::Seconds(5)), 0.9 * bookie.rate_max());
}

TEST(RepairWindowTest, WhoAlwaysHasOthersWaitsHalfAsLongAgainForRepair) {
  Bookie bookie;
  RepairWindow window;
  bookie.RepairFor(&window, absl::Seconds(5));
  bookie.others = absl::Milliseconds(10);
  bookie.RepairFor(&window, absl::Seconds(30));
  EXPECT_GT(bookie.RepairFor(&window, absl::Seconds(20)), 2 * RepairWindow::kRateMin);
  EXPECT_LT(bookie.mean(), absl::Milliseconds(11) * 1.6);
  // After each look at what answers take alone, all of the window is sent at once.
  EXPECT_LT(bookie.longest(), absl::Milliseconds(11) * 2.6);
}

TEST(RepairWindowTest, AnswersThatTakeForEverDoNotEndIt) {
  RepairWindow window;
  const MonotonicTime now = MonotonicTime::FromNanoseconds(1);
  window.OnAnswer(kEntry, absl::Milliseconds(1), now);
  for (int i = 0; i < 100; ++i) window.OnAnswer(kEntry, absl::Hours(1), now);
  EXPECT_GT(window.bytes(), 0);
  EXPECT_LT(window.bytes(), kEntry);
  EXPECT_EQ(window.PauseAfter(kEntry, absl::Hours(1)), absl::ZeroDuration());
}

TEST(RepairWindowTest, LargeRequestsAreNotMeasuredByTheTimeOfSmallOnes) {
  RepairWindow window;
  const MonotonicTime now = MonotonicTime::FromNanoseconds(1);
  for (int i = 0; i < 100; ++i) window.OnAnswer(4096, absl::Microseconds(300), now);
  const int64_t before = window.bytes();
  for (int i = 0; i < 100; ++i) window.OnAnswer(4 << 20, absl::Milliseconds(40), now);
  EXPECT_GT(window.bytes(), before);
}

TEST(RepairWindowTest, AfterALongSilenceItBeginsAnew) {
  Bookie bookie;
  RepairWindow window;
  const int64_t first = window.bytes();
  bookie.RepairFor(&window, absl::Seconds(5));
  EXPECT_GT(window.bytes(), 4 * first);
  window.OnAnswer(kEntry, absl::Milliseconds(1),
                  MonotonicTime::FromNanoseconds(1'000'000'000) + absl::Hours(1));
  EXPECT_LE(window.bytes(), 2 * first);
}

}  // namespace
}  // namespace stele::autorecovery
