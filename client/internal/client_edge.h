// ClientEdge: how calls of users, from any thread, become operations on the client's shard, and how
// results come back in the three forms of the public API.
#pragma once

#include <future>
#include <memory>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "client/internal/client_core.h"
#include "common/async/completion.h"
#include "common/async/launch.h"
#include "common/async/launch_queue.h"
#include "common/async/task.h"
#include "common/base/errors.h"

namespace stele::client {

// Shared by the client and its handles; of use only while the queue is open.
class ClientEdge {
 public:
  template <typename Result>
  using Make = absl::AnyInvocable<Task<Result>(ClientCore&) &&>;

  ClientEdge(ClientCore* core, Executor* executor)
      : core_(core), executor_(executor), queue_(core->queue()) {}

  LaunchQueue& queue() { return *queue_; }

  // Runs what `make` gives on the shard, in the order of calls. `done` is called there; with
  // kStopped, at once, when the client is closed.
  template <typename Result>
  void Start(Make<Result> make, ResultCallback<Result> done) {
    Operation<Result> operation{core_, std::move(make), std::move(done)};
    if (!queue_->Run(std::move(operation))) std::move(operation.done)(Result(StoppedError()));
  }

  template <typename Result>
  std::future<Result> Start(Make<Result> make, UseFuture) {
    auto [done, future] = MakeFutureCallback<Result>();
    Start<Result>(std::move(make), std::move(done));
    return std::move(future);
  }

  // Starts at once; the task only waits. On the shard.
  template <typename Result>
  Task<Result> Start(Make<Result> make) {
    Completion<Result> result(executor_);
    Start<Result>(std::move(make), [completer = result.GetCompleter()](Result value) mutable {
      completer.Set(std::move(value));
    });
    return Wait<Result>(std::move(result));
  }

  // For operations that need no ClientCore: the task waits for the callback that `start` is given.
  template <typename Result, typename Function>
  Task<Result> WaitFor(Function start) {
    Completion<Result> result(executor_);
    start(ResultCallback<Result>([completer = result.GetCompleter()](Result value) mutable {
      completer.Set(std::move(value));
    }));
    return Wait<Result>(std::move(result));
  }

  ClientCore* core() { return core_; }

  static absl::Status StoppedError() {
    return MakeError(ErrorCode::kStopped, "the client is closed");
  }

 private:
  template <typename Result>
  struct Operation {
    ClientCore* core;
    Make<Result> make;
    ResultCallback<Result> done;
    void operator()() {
      Launch<Result>(&core->operations(), std::move(make)(*core), std::move(done));
    }
  };

  template <typename Result>
  static Task<Result> Wait(Completion<Result> result) {
    co_return co_await result;
  }

  ClientCore* core_;
  Executor* executor_;
  std::shared_ptr<LaunchQueue> queue_;
};

// What public handles share: a handle's state and the way to it. The last one gives the state back
// to the client, on the shard, whatever thread it dies on.
template <typename State>
class Lease {
 public:
  Lease(std::shared_ptr<ClientEdge> edge, Held<State> held)
      : edge_(std::move(edge)), held_(std::move(held)) {}
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() {
    // The client holds the state as well until this runs, or until it has let go of it itself. What
    // this held goes with the job: kept until here it could be the last to go, on this thread.
    edge_->queue().RunLater(
        [core = edge_->core(), held = std::move(held_)] { core->Release(held); });
  }

  ClientEdge& edge() const { return *edge_; }
  State* operator->() const { return held_.state.get(); }
  const std::shared_ptr<State>& state() const { return held_.state; }

 private:
  const std::shared_ptr<ClientEdge> edge_;
  Held<State> held_;
};

}  // namespace stele::client
