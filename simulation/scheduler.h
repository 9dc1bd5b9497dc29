// Scheduler: runs all shards of all processes of a simulated cluster on one thread, in virtual
// time. The next job is picked by the seed among all that are ready; when none is ready, time jumps
// to the next timer. The same seed and the same code give the same run, which the trace proves.
//
// A step is one job. Jobs take no virtual time; only timers move it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/async/executor.h"
#include "common/base/time.h"
#include "simulation/fault_counts.h"
#include "simulation/seam_hook.h"
#include "simulation/sim_random.h"
#include "simulation/trace.h"

namespace stele::simulation {

class Scheduler;
class SimProcess;

// One shard of a simulated process, or the world (the network, the disks, the faults).
class SimExecutor : public Executor {
 public:
  // For the shard itself, and for the world between two jobs; a call from another shard is a bug.
  void Post(Job job) override;
  void PostFromAnyThread(Job job) override;
  void PostAtTurnEnd(Job job) override { Post(std::move(job)); }
  bool IsCurrent() const override;

  Scheduler* scheduler() const { return scheduler_; }
  // Null for the world.
  SimProcess* process() const { return process_; }
  // The number of this executor in the trace, in the order of making.
  uint64_t id() const { return id_; }
  // False after a crash until the restart: posted jobs are dropped.
  bool alive() const { return alive_; }

 private:
  friend class Scheduler;
  friend class SimProcess;
  // Names one pending job; stale ones are ignored.
  struct JobId {
    uint32_t slot;
    uint32_t generation;
  };
  SimExecutor(Scheduler* scheduler, SimProcess* process, uint64_t id)
      : scheduler_(scheduler), process_(process), id_(id) {}

  Scheduler* scheduler_;
  SimProcess* process_;
  uint64_t id_;
  bool alive_ = true;
  bool paused_ = false;
  std::vector<JobId> held_;  // ready jobs of a paused process
};

struct SchedulerOptions {
  uint64_t seed = 1;
  uint64_t step_limit = 100'000'000;
};

class Scheduler {
 public:
  // Names one pending job; stale ones are ignored.
  struct TimerId {
    uint32_t slot = 0;
    uint32_t generation = 0;
  };

  explicit Scheduler(SchedulerOptions options);
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;
  // Crashes all processes.
  ~Scheduler();

  // A running process. It lives as long as the scheduler, also when it has crashed.
  //   name     unique; what its random streams are forked by
  //   shards   its executors, at least 1
  SimProcess* AddProcess(std::string name, int shards = 1);
  const std::vector<std::unique_ptr<SimProcess>>& processes() const { return processes_; }

  // The executor of what belongs to no process. Never crashes.
  SimExecutor* world() { return world_.get(); }

  MonotonicTime Now() const { return MonotonicTime::FromNanoseconds(now_nanoseconds_); }
  uint64_t steps() const { return steps_; }
  Trace& trace() { return trace_; }
  const SimRandom& random() const { return random_; }
  FaultCounts& faults() { return faults_; }

  // Null: none. Must outlive its use here.
  void set_seam_hook(SeamHook* hook) { seam_hook_ = hook; }
  // For the seams, at each call of a living process.
  SeamVerdict AskSeamHook(const SeamCall& call) {
    return seam_hook_ == nullptr ? SeamVerdict::kProceed : seam_hook_->OnCall(call);
  }

  // Runs until `done()`, which is asked before the first and after each step.
  // kDeadline with a text that says who waits: nothing is left to run ("no progress"), it is stuck,
  // or virtual time would pass `deadline`.
  absl::Status RunUntil(absl::FunctionRef<bool()> done,
                        MonotonicTime deadline = MonotonicTime::Infinite());

  // Runs everything that happens within `duration` and moves the time to its end.
  // kDeadline: it is stuck.
  absl::Status RunFor(absl::Duration duration);

  // The step limit is reached; or so many jobs ran at one moment that somebody works in a circle
  // without ever waiting, which would keep a real processor as busy.
  bool IsStuck() const {
    return steps_ >= step_limit_ || steps_ - steps_before_now_ >= kStepsWithoutTimeMax;
  }

  // For the seams. All are allowed at any time; jobs of an executor that is not alive are dropped.
  void Enqueue(SimExecutor* executor, Job job);
  TimerId CallAt(SimExecutor* executor, MonotonicTime deadline, Job job);
  TimerId CallAfter(SimExecutor* executor, absl::Duration delay, Job job) {
    return CallAt(executor, Now() + delay, std::move(job));
  }
  void Cancel(TimerId timer);
  // The executor whose job runs now, or null.
  SimExecutor* current() const { return current_; }

 private:
  friend class SimProcess;

  struct Slot {
    Job job;
    SimExecutor* executor = nullptr;  // null: the slot is free
    uint32_t generation = 0;
  };
  using ReadyJob = SimExecutor::JobId;
  struct PendingTimer {
    int64_t deadline_nanoseconds;
    uint64_t sequence;
    uint32_t slot;
    uint32_t generation;
    // For a heap with the earliest on top.
    bool operator<(const PendingTimer& other) const {
      return deadline_nanoseconds != other.deadline_nanoseconds
                 ? deadline_nanoseconds > other.deadline_nanoseconds
                 : sequence > other.sequence;
    }
  };
  static constexpr uint64_t kStepsWithoutTimeMax = 500'000;
  enum class StepResult { kRan, kIdle, kDeadline };

  ReadyJob Store(SimExecutor* executor, Job job);
  Job Release(uint32_t slot);
  bool IsStale(uint32_t slot, uint32_t generation) const {
    return slots_[slot].generation != generation;
  }
  StepResult Step(int64_t deadline_nanoseconds);
  void SetNow(int64_t nanoseconds);
  // Makes the jobs of the next deadline ready; kRan when there are any.
  StepResult Advance(int64_t deadline_nanoseconds);
  void DropCancelledTimers();
  // Drops all jobs and timers of `executor`.
  void DropJobs(SimExecutor* executor);
  void SetPaused(SimExecutor* executor, bool paused);
  // Crashes after the current step.
  void CrashLater(SimProcess* process) { crash_later_.push_back(process); }
  absl::Status Stuck() const;
  std::string Waiting() const;

  const uint64_t step_limit_;
  SimRandom random_;
  SimRandom picks_;
  Trace trace_;
  FaultCounts faults_;
  SeamHook* seam_hook_ = nullptr;
  int64_t now_nanoseconds_ = 0;
  uint64_t steps_ = 0;
  uint64_t steps_before_now_ = 0;
  uint64_t timers_made_ = 0;
  uint64_t cancelled_timers_ = 0;  // those still in timers_
  uint64_t executors_made_ = 0;
  SimExecutor* current_ = nullptr;
  std::vector<Slot> slots_;
  std::vector<uint32_t> free_slots_;
  std::vector<ReadyJob> ready_;
  std::vector<PendingTimer> timers_;  // a heap
  std::vector<SimProcess*> crash_later_;
  std::unique_ptr<SimExecutor> world_;
  std::vector<std::unique_ptr<SimProcess>> processes_;
};

// Cancels a job when it is destroyed.
class ScopedTimer {
 public:
  ScopedTimer(Scheduler* scheduler, Scheduler::TimerId timer)
      : scheduler_(scheduler), timer_(timer) {}
  ScopedTimer(const ScopedTimer&) = delete;
  ScopedTimer& operator=(const ScopedTimer&) = delete;
  ~ScopedTimer() { scheduler_->Cancel(timer_); }

 private:
  Scheduler* scheduler_;
  Scheduler::TimerId timer_;
};

}  // namespace stele::simulation
