// BlockingPool: a few threads for calls that block (synced writes, names of files, name resolution,
// embedded databases). Its threads run the call and post its result back; they decide nothing.
//
// An append waits for one such call, so handing it over costs one wake-up and no more: each idle
// thread sleeps on a semaphore of its own, and the one that worked last is woken first.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "common/async/completion.h"
#include "common/async/executor.h"
#include "common/async/task.h"
#include "common/real/mutex.h"

namespace stele::real {

class BlockingPool {
 public:
  // Threads start when there is work for them, up to `threads_max`.
  explicit BlockingPool(size_t threads_max);
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;
  // Waits for the calls that run; those that have not begun are destroyed without running.
  ~BlockingPool();

  // Runs `work` on one of the threads; in order of submission when threads_max is 1. From any
  // thread.
  void Submit(Job work);

  // Blocks until nothing is queued and nothing runs. Not from a thread of the pool.
  void WaitUntilIdle();

  // Runs `call` on one of the threads and gives its result on `executor`, the awaiting shard.
  // Abandoning the task does not stop the call; its result is then destroyed on the shard.
  template <typename Call>
  Task<std::invoke_result_t<Call>> Run(Executor* executor, Call call);

 private:
  struct Worker;

  void RunWorker(Worker* worker);
  // The next job for `worker`, waiting for it if need be; null: stop.
  Job NextJob(Worker* worker);

  const size_t threads_max_;
  Mutex mutex_;
  std::vector<std::unique_ptr<Worker>> workers_ ABSL_GUARDED_BY(mutex_);
  std::vector<Worker*> idle_ ABSL_GUARDED_BY(mutex_);  // the one that worked last is at the back
  std::deque<Job> queue_ ABSL_GUARDED_BY(mutex_);      // empty while somebody is idle
  size_t unfinished_ ABSL_GUARDED_BY(mutex_) = 0;
  std::condition_variable_any all_idle_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
};

template <typename Call>
Task<std::invoke_result_t<Call>> BlockingPool::Run(Executor* executor, Call call) {
  using Result = std::invoke_result_t<Call>;
  Completion<Result> done(executor);
  Submit([executor, completer = done.GetCompleter(), work = std::move(call)]() mutable {
    executor->PostFromAnyThread(
        [completer = std::move(completer), result = std::move(work)()]() mutable {
          completer.Set(std::move(result));
        });
  });
  co_return co_await done;
}

}  // namespace stele::real
