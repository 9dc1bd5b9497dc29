// QueueExecutor: a ready queue that runs when it is told to, for tests and benchmarks of what needs
// no time and no shard.
#pragma once

#include <deque>
#include <utility>

#include "common/async/executor.h"

namespace stele {

class QueueExecutor final : public Executor {
 public:
  void Post(Job job) override { jobs_.push_back(std::move(job)); }
  void PostFromAnyThread(Job job) override { Post(std::move(job)); }
  void PostAtTurnEnd(Job job) override { Post(std::move(job)); }
  bool IsCurrent() const override { return true; }
  // Until nothing is left to do.
  void Run() {
    while (!jobs_.empty()) {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      std::move(job)();
    }
  }

 private:
  std::deque<Job> jobs_;
};

}  // namespace stele
