#include "common/async/run_concurrently.h"

#include <algorithm>

#include "common/async/task_scope.h"

namespace stele {
namespace {

struct Run {
  size_t count;
  absl::FunctionRef<Task<absl::Status>(size_t)> work;
  size_t next = 0;
  absl::Status result;
};

Task<void> Work(Run* run) {
  while (run->next < run->count && run->result.ok()) {
    const size_t index = run->next++;
    const absl::Status status = co_await run->work(index);
    if (!status.ok() && run->result.ok()) run->result = status;
  }
}

}  // namespace

Task<absl::Status> RunConcurrently(Executor* executor, size_t count, size_t concurrency_max,
                                   absl::FunctionRef<Task<absl::Status>(size_t)> work) {
  Run run{.count = count, .work = work};
  TaskScope workers(executor);
  for (size_t i = 0; i < std::min(count, concurrency_max); ++i) workers.Spawn(Work(&run));
  co_await workers.Join();
  co_return run.result;
}

}  // namespace stele
