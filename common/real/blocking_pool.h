// BlockingPool: a few threads for calls that block (names of files, name resolution, embedded
// databases). Its threads run the call and post its result back; they decide nothing.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <thread>
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
  void RunThread();

  const size_t threads_max_;
  Mutex mutex_;
  std::condition_variable_any changed_;
  std::deque<Job> queue_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ ABSL_GUARDED_BY(mutex_);
  size_t running_ ABSL_GUARDED_BY(mutex_) = 0;
  size_t idle_ ABSL_GUARDED_BY(mutex_) = 0;
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
