#include "common/real/real_clock.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "absl/time/clock.h"
#include "common/base/check.h"

namespace stele::real {
namespace {

// Four children per node: shallower than a binary heap, and they share a cache line.
constexpr size_t kFanOut = 4;

MonotonicTime MonotonicNow() {
  return MonotonicTime::FromNanoseconds(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                            std::chrono::steady_clock::now().time_since_epoch())
                                            .count());
}

}  // namespace

class RealClock::PendingTimer final : public Timer {
 public:
  PendingTimer(RealClock* clock, MonotonicTime deadline, uint64_t sequence, Job job)
      : clock_(clock), deadline_(deadline), sequence_(sequence), job_(std::move(job)) {}
  ~PendingTimer() override {
    if (clock_ != nullptr) clock_->Remove(this);
  }

 private:
  friend class RealClock;
  RealClock* clock_;  // null when the timer is no longer in the heap
  const MonotonicTime deadline_;
  const uint64_t sequence_;  // equal deadlines ring in the order of their making
  size_t position_ = 0;
  Job job_;
};

// One asio timer, which is one timerfd of the loop.
class RealClock::Alarm {
 public:
  Alarm(EventLoop* loop, RealClock* clock) : loop_(loop), clock_(clock), timer_(loop->io()) {}

  void Set(MonotonicTime deadline) {
    timer_.expires_at(
        std::chrono::steady_clock::time_point(std::chrono::nanoseconds(deadline.nanoseconds())));
    timer_.async_wait([this](const boost::system::error_code& error) {
      // A wait that was replaced ends with an error, possibly after this object is gone. The hop
      // keeps a timer that is always due again from holding up the other events.
      if (!error) loop_->Post([clock = clock_] { clock->RunDueTimers(); });
    });
  }

 private:
  EventLoop* const loop_;
  RealClock* const clock_;
  boost::asio::steady_timer timer_;
};

RealClock::RealClock(EventLoop* loop) : alarm_(std::make_unique<Alarm>(loop, this)) {}

RealClock::~RealClock() {
  for (PendingTimer* timer : heap_) timer->clock_ = nullptr;
}

MonotonicTime RealClock::Now() const { return MonotonicNow(); }

absl::Time RealClock::WallNow() const { return absl::Now(); }

std::unique_ptr<Timer> RealClock::CallAt(MonotonicTime deadline, Job job) {
  auto timer = std::make_unique<PendingTimer>(this, deadline, timers_made_++, std::move(job));
  heap_.push_back(timer.get());
  Place(heap_.size() - 1, timer.get());
  SiftUp(heap_.size() - 1);
  if (timer->position_ == 0) ArmFor(deadline);
  return timer;
}

void RealClock::ArmFor(MonotonicTime deadline) {
  // An alarm that rings too early is cheaper than one that is moved with each cancelled timer.
  if (deadline >= armed_) return;
  armed_ = deadline;
  alarm_->Set(deadline);
}

void RealClock::RunDueTimers() {
  armed_ = MonotonicTime::Infinite();
  // Timers that the jobs make meanwhile wait for the next round, also when they are due already.
  const MonotonicTime now = MonotonicNow();
  const uint64_t made_before = timers_made_;
  while (!heap_.empty() && heap_[0]->deadline_ <= now && heap_[0]->sequence_ < made_before) {
    PendingTimer* const timer = heap_[0];
    Remove(timer);
    // The job may destroy its own timer.
    Job job = std::move(timer->job_);
    std::move(job)();
  }
  if (!heap_.empty()) ArmFor(heap_[0]->deadline_);
}

bool RealClock::IsBefore(const PendingTimer& a, const PendingTimer& b) {
  if (a.deadline_ != b.deadline_) return a.deadline_ < b.deadline_;
  return a.sequence_ < b.sequence_;
}

void RealClock::Place(size_t position, PendingTimer* timer) {
  heap_[position] = timer;
  timer->position_ = position;
}

void RealClock::SiftUp(size_t position) {
  PendingTimer* const timer = heap_[position];
  while (position > 0) {
    const size_t parent = (position - 1) / kFanOut;
    if (!IsBefore(*timer, *heap_[parent])) break;
    Place(position, heap_[parent]);
    position = parent;
  }
  Place(position, timer);
}

void RealClock::SiftDown(size_t position) {
  PendingTimer* const timer = heap_[position];
  for (;;) {
    const size_t first = position * kFanOut + 1;
    const size_t end = std::min(first + kFanOut, heap_.size());
    if (first >= end) break;
    size_t least = first;
    for (size_t child = first + 1; child < end; ++child) {
      if (IsBefore(*heap_[child], *heap_[least])) least = child;
    }
    if (!IsBefore(*heap_[least], *timer)) break;
    Place(position, heap_[least]);
    position = least;
  }
  Place(position, timer);
}

void RealClock::Remove(PendingTimer* timer) {
  const size_t position = timer->position_;
  STELE_CHECK(position < heap_.size() && heap_[position] == timer);
  timer->clock_ = nullptr;
  PendingTimer* const last = heap_.back();
  heap_.pop_back();
  if (last == timer) return;
  Place(position, last);
  SiftUp(position);
  SiftDown(last->position_);
}

}  // namespace stele::real
