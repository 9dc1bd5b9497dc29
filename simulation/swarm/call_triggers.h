// CallTriggers: jobs for the moment at which a process makes its so-manieth call through a seam, so
// that what breaks breaks in the middle of what the process does.
#pragma once

#include <cstdint>
#include <vector>

#include "simulation/scheduler.h"
#include "simulation/seam_hook.h"

namespace stele::simulation {

class CallTriggers final : public SeamHook {
 public:
  // `scheduler` outlives it.
  explicit CallTriggers(Scheduler* scheduler) : scheduler_(scheduler) {}
  CallTriggers(const CallTriggers&) = delete;
  CallTriggers& operator=(const CallTriggers&) = delete;
  ~CallTriggers() override { scheduler_->set_seam_hook(nullptr); }

  // Runs the job when the process has made `calls` calls from now on, in whatever life: from the
  // ready queue, so the last of them is under way then.
  void Add(const SimProcess* process, int64_t calls, Job job);
  void Clear();

  SeamVerdict OnCall(const SeamCall& call) override;

 private:
  struct Trigger {
    const SimProcess* process;
    int64_t calls_left;
    Job job;
  };

  Scheduler* scheduler_;
  std::vector<Trigger> waiting_;
};

}  // namespace stele::simulation
