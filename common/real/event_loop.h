// EventLoop: the executor of one shard, on top of one boost::asio::io_context.
//
// A turn of the loop: take what the operating system has ready, run the ready jobs, run the jobs of
// PostAtTurnEnd, let the edges flush (sockets write, the ring submits), and block only when nothing
// is ready. So all that one turn gathers leaves in as few system calls as possible, and nothing
// waits for a timer to be sent.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "common/async/executor.h"
#include "common/real/mutex.h"

namespace boost::asio {
class io_context;
}

namespace stele::real {

// An edge that gathers work during a turn and hands it to the operating system at its end.
class Flusher {
 public:
  virtual ~Flusher() = default;
  // Runs once per turn, after the jobs of PostAtTurnEnd. May post jobs: they are of the next turn.
  virtual void Flush() = 0;
};

class EventLoop final : public Executor {
 public:
  EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;
  // Drops the jobs that are left; see DropJobs.
  ~EventLoop() override;

  void Post(Job job) override;
  void PostFromAnyThread(Job job) override;
  void PostAtTurnEnd(Job job) override;
  bool IsCurrent() const override;

  // Turns until `done()` is true, on the calling thread, which is the shard's while this runs.
  // `done` is asked between turns. One thread at a time.
  void RunUntil(const std::function<bool()>& done);

  // Lets a RunUntil that blocks look at its `done` again. From any thread.
  void Wake();

  // Destroys all jobs without running them, and what their destructors post. Not while the loop
  // runs.
  void DropJobs();

  // `flusher` is called in the order of registration and stays until RemoveFlusher.
  void AddFlusher(Flusher* flusher);
  void RemoveFlusher(Flusher* flusher);

  boost::asio::io_context& io() { return *io_; }

 private:
  void Turn();
  void RunReadyJobs();
  void RunTurnEndJobs();
  void TakePostedFromOutside();
  void CheckThread() const;

  std::unique_ptr<boost::asio::io_context> io_;
  std::vector<Job> ready_;    // posted, not yet begun
  std::vector<Job> running_;  // the batch being run, from running_next_ on
  size_t running_next_ = 0;
  std::vector<Job> turn_end_;
  std::vector<Job> turn_end_running_;
  std::vector<Flusher*> flushers_;
  std::atomic<bool> is_running_ = false;

  Mutex outside_mutex_;
  std::vector<Job> outside_ ABSL_GUARDED_BY(outside_mutex_);
};

}  // namespace stele::real
