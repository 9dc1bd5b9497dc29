// Shard: one event loop with the real seams of its own. It runs either on a thread of its own
// (Start, Stop) or on the caller's (RunUntil, Run), never on both at once.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/real/blocking_pool.h"
#include "common/real/event_loop.h"
#include "common/real/real_file_system.h"
#include "common/seams/env.h"

namespace stele::real {

struct ShardOptions {
  std::string name = "shard";  // of the thread; the first 15 bytes are shown by the system
  FileBackend file_backend = FileBackend::kProbe;
};

// Threads: while the loop runs, everything that belongs to the shard is used on its thread only;
// PostFromAnyThread of the executor is the way in. Before and after, the thread that owns the Shard
// may set things up and take them apart.
class Shard {
 public:
  explicit Shard(ShardOptions options = {});
  Shard(const Shard&) = delete;
  Shard& operator=(const Shard&) = delete;
  // Stops the thread and drops the jobs that were not run. What lives on the shard (components,
  // scopes of suspended tasks, connections, files) is destroyed before.
  ~Shard();

  // The seams; valid as long as the shard.
  Env env() const;
  Executor* executor() const;

  // For calls that block (embedded databases); shared with the names of files.
  BlockingPool* blocking_pool() const;

  // For the other edges in this directory.
  EventLoop* loop() const;

  // Runs the loop on a new thread until Stop.
  void Start();

  // Ends the thread after its current turn and waits for it and for the disk operations that it
  // began. Jobs that are not run yet, and suspended tasks, stay as they are. Without effect when no
  // thread runs. Not from the shard's own thread.
  void Stop();

  // Runs the loop on the calling thread until RequestStop.
  void Run();

  // Ends Run after its current turn; a Run that comes later returns at once. From any thread, and
  // from jobs.
  void RequestStop();

  // Runs `task` to its end on the calling thread, and all else that is on the shard meanwhile.
  template <typename T>
  T RunUntil(Task<T> task);

 private:
  struct Seams;

  void RunLoopUntil(const std::function<bool()>& done);
  template <typename T>
  using Result = std::optional<std::conditional_t<std::is_void_v<T>, bool, T>>;
  template <typename T>
  static Task<void> Keep(Task<T> task, Result<T>* result);

  const std::string name_;
  std::unique_ptr<Seams> seams_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

template <typename T>
Task<void> Shard::Keep(Task<T> task, Result<T>* result) {
  if constexpr (std::is_void_v<T>) {
    co_await std::move(task);
    result->emplace(true);
  } else {
    result->emplace(co_await std::move(task));
  }
}

template <typename T>
T Shard::RunUntil(Task<T> task) {
  Result<T> result;
  TaskScope scope(executor());
  // From a job, so that the task is on the shard from its first line.
  executor()->Post(
      [&scope, root = Keep(std::move(task), &result)]() mutable { scope.Spawn(std::move(root)); });
  RunLoopUntil([&] { return result.has_value() && scope.size() == 0; });
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

}  // namespace stele::real
