// LaunchQueue: where calls from other threads enter a shard, in their order. The one lock of a
// library whose users have threads; everything behind it belongs to the shard alone.
#pragma once

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "common/async/executor.h"

namespace stele {

// Handles share it and may outlive the shard: once it is closed it runs nothing and touches no
// executor.
class LaunchQueue : public std::enable_shared_from_this<LaunchQueue> {
 public:
  // `executor` is used until Close.
  explicit LaunchQueue(Executor* executor) : executor_(executor) {}

  // Runs `job` on the shard after all jobs given before: at once when this is the shard's thread,
  // else later. False, and `job` is not touched, when the queue is closed. From any thread.
  template <typename Function>
  bool Run(Function&& job) {
    std::vector<Job> before;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (executor_ == nullptr) return false;
      if (!executor_->IsCurrent()) {
        jobs_.emplace_back(std::forward<Function>(job));
        ScheduleLocked();
        return true;
      }
      before.swap(jobs_);
    }
    for (Job& earlier : before) std::move(earlier)();
    std::forward<Function>(job)();
    return true;
  }

  // As Run, but never at once: what is destroyed with `job` may be on the stack now.
  template <typename Function>
  bool RunLater(Function&& job) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (executor_ == nullptr) return false;
    jobs_.emplace_back(std::forward<Function>(job));
    ScheduleLocked();
    return true;
  }

  // From now on Run refuses. On the shard, while what the jobs need is still there: runs those that
  // were given before.
  void Close() {
    for (Job& job : CloseAndTake()) std::move(job)();
  }

  // As Close, but destroys the jobs without running them.
  void Abandon() { CloseAndTake().clear(); }

 private:
  std::vector<Job> CloseAndTake() {
    const std::lock_guard<std::mutex> lock(mutex_);
    executor_ = nullptr;
    return std::exchange(jobs_, {});
  }

  void ScheduleLocked() {
    if (std::exchange(is_scheduled_, true)) return;
    executor_->PostFromAnyThread([self = shared_from_this()] { self->RunAll(); });
  }

  void RunAll() {
    std::vector<Job> jobs;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      is_scheduled_ = false;
      jobs.swap(jobs_);
    }
    for (Job& job : jobs) std::move(job)();
  }

  std::mutex mutex_;
  Executor* executor_;     // null: closed
  std::vector<Job> jobs_;  // in the order of Run
  bool is_scheduled_ = false;
};

}  // namespace stele
