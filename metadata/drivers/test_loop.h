// A shard for the tests of the drivers: the test's own thread, which runs jobs and timers in real
// time while it waits for something.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "common/async/completion.h"
#include "common/async/executor.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/check.h"
#include "common/base/time.h"
#include "common/seams/clock.h"

namespace stele::metadata {

class TestLoop : public Executor, public Clock {
 public:
  // Long enough for a loaded machine with sanitizers; never waited for by a test that passes.
  static constexpr absl::Duration kPatience = absl::Seconds(60);

  void Post(Job job) override { PostFromAnyThread(std::move(job)); }
  void PostFromAnyThread(Job job) override;
  void PostAtTurnEnd(Job job) override { PostFromAnyThread(std::move(job)); }
  bool IsCurrent() const override { return std::this_thread::get_id() == owner_; }

  MonotonicTime Now() const override;
  absl::Time WallNow() const override;
  std::unique_ptr<Timer> CallAt(MonotonicTime deadline, Job job) override;

  // Runs jobs until `done` or until `limit` has passed; says whether `done`.
  bool RunUntil(const std::function<bool()>& done, absl::Duration limit = kPatience);

  // Runs a task to its end and gives its result; aborts when that takes too long.
  template <typename T>
  T Run(Task<T> task) {
    std::optional<T> result;
    TaskScope scope(this);
    scope.Spawn(Store(std::move(task), &result));
    STELE_CHECK(RunUntil([&] { return result.has_value(); }));
    return *std::move(result);
  }
  void Run(Task<void> task) {
    TaskScope scope(this);
    scope.Spawn(std::move(task));
    STELE_CHECK(RunUntil([&] { return scope.size() == 0; }));
  }

 private:
  class TimerHandle;

  template <typename T>
  static Task<void> Store(Task<T> task, std::optional<T>* result) {
    result->emplace(co_await std::move(task));
  }

  const std::thread::id owner_ = std::this_thread::get_id();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;  // guarded by mutex_
  // The owner's own.
  using TimerKey = std::pair<MonotonicTime, uint64_t>;
  std::map<TimerKey, Job> timers_;
  uint64_t last_timer_ = 0;
};

}  // namespace stele::metadata
