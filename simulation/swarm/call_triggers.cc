#include "simulation/swarm/call_triggers.h"

#include <utility>

namespace stele::simulation {

void CallTriggers::Add(const SimProcess* process, int64_t calls, Job job) {
  waiting_.push_back({process, calls, std::move(job)});
  scheduler_->set_seam_hook(this);
}

void CallTriggers::Clear() {
  waiting_.clear();
  scheduler_->set_seam_hook(nullptr);
}

SeamVerdict CallTriggers::OnCall(const SeamCall& call) {
  for (size_t i = 0; i < waiting_.size();) {
    Trigger& trigger = waiting_[i];
    if (trigger.process != call.process || --trigger.calls_left > 0) {
      ++i;
      continue;
    }
    scheduler_->Enqueue(scheduler_->world(), std::move(trigger.job));
    waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(i));
  }
  if (waiting_.empty()) scheduler_->set_seam_hook(nullptr);
  return SeamVerdict::kProceed;
}

}  // namespace stele::simulation
