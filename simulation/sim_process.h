// SimProcess: one process of the simulated cluster: its executors, its clocks, what lives in it,
// and its death. A crash is destruction: the process's jobs and timers are dropped, its tasks and
// objects are destroyed, and nothing of it runs any more. Destructors of product code therefore do
// no I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/time/time.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "simulation/scheduler.h"
#include "simulation/sim_clock.h"

namespace stele::simulation {

class SimProcess {
 public:
  SimProcess(const SimProcess&) = delete;
  SimProcess& operator=(const SimProcess&) = delete;

  const std::string& name() const { return name_; }
  int shard_count() const { return static_cast<int>(shards_.size()); }
  SimExecutor* executor(int shard = 0) { return &*shards_[shard]->executor; }
  SimClock* clock(int shard = 0) { return shards_[shard]->clock.get(); }
  // The shard's stream of this life of the process.
  SimRandom* random(int shard = 0) { return shards_[shard]->random.get(); }

  // Keeps `object` until the process ends; the last one given is destroyed first. Gives it back.
  template <typename T>
  T* Own(std::unique_ptr<T> object) {
    T* result = object.get();
    owned_.push_back(std::shared_ptr<void>(std::move(object)));
    return result;
  }

  // Starts `task` on a shard, owned by the process, from the ready queue.
  void Spawn(Task<void> task, int shard = 0);
  // Spawned tasks that have not ended.
  size_t waiting_tasks() const;

  // Ends the process. Called by one of its own jobs, it takes effect at once for all that the job
  // still asks of the world, and destroys when the job has ended.
  void Crash();
  // A new life: empty, with a new random stream. The process must not be alive.
  void Restart();
  bool alive() const { return alive_; }
  // How often it was started.
  uint64_t life() const { return life_; }

  // As SIGSTOP: nothing of the process runs, while the world goes on. Timers that end meanwhile
  // fire all at once when it resumes, and it does not know that time has passed. Use World::Pause,
  // which tells the metadata server. A crash ends a pause.
  void Pause();
  void Resume();
  bool paused() const { return paused_; }

  // For the seams: `hook` runs at the end of each crash. It must stay callable as long as the
  // process exists.
  void AtCrash(absl::AnyInvocable<void()> hook) { crash_hooks_.push_back(std::move(hook)); }

  // What WallNow() of this process adds to the true time.
  void set_wall_offset(absl::Duration offset) { wall_offset_ = offset; }
  // How fast its monotonic clocks run, in thousandths of the true time; 1 or more. From now on, and
  // in later lives.
  void set_clock_rate(int64_t thousandths);

 private:
  friend class Scheduler;
  struct Shard {
    std::unique_ptr<SimExecutor> executor;
    std::unique_ptr<SimClock> clock;
    std::unique_ptr<SimRandom> random;
    std::unique_ptr<TaskScope> tasks;
  };

  SimProcess(Scheduler* scheduler, std::string name, int shards);
  void Start();
  void Destroy();

  Scheduler* scheduler_;
  std::string name_;
  bool alive_ = false;
  bool paused_ = false;
  uint64_t life_ = 0;
  int64_t clock_rate_thousandths_ = 1'000;
  absl::Duration wall_offset_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::vector<std::shared_ptr<void>> owned_;
  std::vector<absl::AnyInvocable<void()>> crash_hooks_;
};

}  // namespace stele::simulation
