#include "common/real/event_loop.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include "common/base/check.h"

namespace stele::real {
namespace {

// Jobs that post jobs may not keep the sockets waiting for longer than this many.
constexpr int kJobsPerTurnMax = 1024;

thread_local const EventLoop* current_loop = nullptr;

}  // namespace

// The hint 1 tells asio that one thread runs the context; posting from other threads stays safe.
EventLoop::EventLoop() : io_(std::make_unique<boost::asio::io_context>(1)) {}

EventLoop::~EventLoop() { DropJobs(); }

void EventLoop::CheckThread() const {
  // Before and after the loop runs, whoever holds it may set things up and take them apart.
  STELE_CHECK(current_loop == this || !is_running_.load(std::memory_order_relaxed));
}

void EventLoop::Post(Job job) {
  CheckThread();
  ready_.push_back(std::move(job));
}

void EventLoop::PostAtTurnEnd(Job job) {
  CheckThread();
  turn_end_.push_back(std::move(job));
}

void EventLoop::PostFromAnyThread(Job job) {
  bool was_empty = false;
  {
    const MutexLock lock(&outside_mutex_);
    was_empty = outside_.empty();
    outside_.push_back(std::move(job));
  }
  // One wake-up for all jobs that arrive before the loop takes them.
  if (was_empty) boost::asio::post(*io_, [this] { TakePostedFromOutside(); });
}

void EventLoop::TakePostedFromOutside() {
  const MutexLock lock(&outside_mutex_);
  if (ready_.empty()) {
    ready_.swap(outside_);
  } else {
    std::move(outside_.begin(), outside_.end(), std::back_inserter(ready_));
    outside_.clear();
  }
}

bool EventLoop::IsCurrent() const { return current_loop == this; }

void EventLoop::Wake() {
  boost::asio::post(*io_, [] {});
}

void EventLoop::RunUntil(const std::function<bool()>& done) {
  STELE_CHECK(!is_running_.exchange(true));
  const EventLoop* const outer = std::exchange(current_loop, this);
  // Without work the context would return at once instead of waiting.
  const auto guard = boost::asio::make_work_guard(*io_);
  io_->restart();
  while (!done()) {
    Turn();
    if (done()) break;
    if (ready_.empty() && running_next_ == running_.size() && turn_end_.empty()) io_->run_one();
  }
  current_loop = outer;
  is_running_.store(false);
}

void EventLoop::Turn() {
  io_->poll();
  RunReadyJobs();
  RunTurnEndJobs();
  for (Flusher* flusher : flushers_) flusher->Flush();
}

void EventLoop::RunReadyJobs() {
  for (int i = 0; i < kJobsPerTurnMax; ++i) {
    if (running_next_ == running_.size()) {
      running_.clear();
      running_next_ = 0;
      if (ready_.empty()) return;
      running_.swap(ready_);
    }
    Job job = std::move(running_[running_next_++]);
    std::move(job)();
  }
}

void EventLoop::RunTurnEndJobs() {
  // A job posted from here belongs to the end of the next turn, so a turn always ends.
  turn_end_running_.swap(turn_end_);
  for (Job& job : turn_end_running_) std::exchange(job, nullptr)();
  turn_end_running_.clear();
}

void EventLoop::DropJobs() {
  STELE_CHECK(!is_running_.load());
  for (;;) {
    std::vector<Job> dropped = std::move(running_);
    running_.clear();
    running_next_ = 0;
    std::move(ready_.begin(), ready_.end(), std::back_inserter(dropped));
    ready_.clear();
    std::move(turn_end_.begin(), turn_end_.end(), std::back_inserter(dropped));
    turn_end_.clear();
    {
      const MutexLock lock(&outside_mutex_);
      std::move(outside_.begin(), outside_.end(), std::back_inserter(dropped));
      outside_.clear();
    }
    if (dropped.empty()) return;
  }
}

void EventLoop::AddFlusher(Flusher* flusher) { flushers_.push_back(flusher); }

void EventLoop::RemoveFlusher(Flusher* flusher) { std::erase(flushers_, flusher); }

}  // namespace stele::real
