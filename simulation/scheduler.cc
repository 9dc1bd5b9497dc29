#include "simulation/scheduler.h"

#include <algorithm>
#include <utility>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "simulation/sim_process.h"

namespace stele::simulation {

void SimExecutor::Post(Job job) {
  STELE_CHECK(scheduler_->current() == this || scheduler_->current() == nullptr ||
              scheduler_->current()->process() == nullptr);
  scheduler_->Enqueue(this, std::move(job));
}

void SimExecutor::PostFromAnyThread(Job job) { scheduler_->Enqueue(this, std::move(job)); }

bool SimExecutor::IsCurrent() const { return scheduler_->current() == this; }

Scheduler::Scheduler(SchedulerOptions options)
    : step_limit_(options.step_limit),
      random_(options.seed),
      picks_(random_.Child("scheduler")),
      world_(new SimExecutor(this, nullptr, executors_made_++)) {}

Scheduler::~Scheduler() {
  for (auto process = processes_.rbegin(); process != processes_.rend(); ++process) {
    if ((*process)->alive()) (*process)->Crash();
  }
  world_->alive_ = false;
  DropJobs(world_.get());
}

SimProcess* Scheduler::AddProcess(std::string name, int shards) {
  STELE_CHECK(shards >= 1);
  processes_.push_back(std::unique_ptr<SimProcess>(new SimProcess(this, std::move(name), shards)));
  return processes_.back().get();
}

Scheduler::ReadyJob Scheduler::Store(SimExecutor* executor, Job job) {
  uint32_t index;
  if (free_slots_.empty()) {
    index = static_cast<uint32_t>(slots_.size());
    slots_.emplace_back();
  } else {
    index = free_slots_.back();
    free_slots_.pop_back();
  }
  Slot& slot = slots_[index];
  slot.job = std::move(job);
  slot.executor = executor;
  return {index, slot.generation};
}

Job Scheduler::Release(uint32_t index) {
  Slot& slot = slots_[index];
  Job job = std::move(slot.job);
  slot.job = nullptr;
  slot.executor = nullptr;
  ++slot.generation;
  free_slots_.push_back(index);
  return job;
}

void Scheduler::Enqueue(SimExecutor* executor, Job job) {
  if (!executor->alive_) return;
  ready_.push_back(Store(executor, std::move(job)));
}

Scheduler::TimerId Scheduler::CallAt(SimExecutor* executor, MonotonicTime deadline, Job job) {
  if (!executor->alive_) return TimerId{0, UINT32_MAX};
  const ReadyJob stored = Store(executor, std::move(job));
  timers_.push_back({std::max(deadline.nanoseconds(), now_nanoseconds_), timers_made_++,
                     stored.slot, stored.generation});
  std::push_heap(timers_.begin(), timers_.end());
  return {stored.slot, stored.generation};
}

void Scheduler::Cancel(TimerId timer) {
  if (timer.slot >= slots_.size() || IsStale(timer.slot, timer.generation)) return;
  const Job dropped = Release(timer.slot);
  ++cancelled_timers_;
  if (cancelled_timers_ > 64 && cancelled_timers_ * 2 > timers_.size()) DropCancelledTimers();
}

void Scheduler::DropCancelledTimers() {
  std::erase_if(
      timers_, [this](const PendingTimer& timer) { return IsStale(timer.slot, timer.generation); });
  std::make_heap(timers_.begin(), timers_.end());
  cancelled_timers_ = 0;
}

void Scheduler::SetNow(int64_t nanoseconds) {
  if (nanoseconds == now_nanoseconds_) return;
  now_nanoseconds_ = nanoseconds;
  steps_before_now_ = steps_;
}

Scheduler::StepResult Scheduler::Advance(int64_t deadline_nanoseconds) {
  bool found = false;
  while (!timers_.empty()) {
    const PendingTimer next = timers_.front();
    const bool stale = IsStale(next.slot, next.generation);
    if (!stale) {
      if (next.deadline_nanoseconds == INT64_MAX) break;  // never
      if (found && next.deadline_nanoseconds > now_nanoseconds_) break;
      if (next.deadline_nanoseconds > deadline_nanoseconds) return StepResult::kDeadline;
      SetNow(next.deadline_nanoseconds);
      found = true;
      ready_.push_back({next.slot, next.generation});
    } else if (cancelled_timers_ > 0) {
      --cancelled_timers_;
    }
    std::pop_heap(timers_.begin(), timers_.end());
    timers_.pop_back();
  }
  return found ? StepResult::kRan : StepResult::kIdle;
}

Scheduler::StepResult Scheduler::Step(int64_t deadline_nanoseconds) {
  for (;;) {
    if (ready_.empty()) {
      const StepResult advanced = Advance(deadline_nanoseconds);
      if (advanced != StepResult::kRan) return advanced;
    }
    const size_t index = ready_.size() == 1 ? 0 : picks_.Below(ready_.size());
    const ReadyJob picked = ready_[index];
    ready_[index] = ready_.back();
    ready_.pop_back();
    if (IsStale(picked.slot, picked.generation)) continue;
    if (SimExecutor* executor = slots_[picked.slot].executor; executor->paused_) {
      executor->held_.push_back(picked);
      continue;
    }

    current_ = slots_[picked.slot].executor;
    trace_.Record(TraceKind::kJob, current_->id(), static_cast<uint64_t>(now_nanoseconds_));
    {
      Job job = Release(picked.slot);
      std::move(job)();
    }
    current_ = nullptr;
    trace_.EndStep(++steps_);
    while (!crash_later_.empty()) {
      SimProcess* process = crash_later_.back();
      crash_later_.pop_back();
      process->Destroy();
    }
    return StepResult::kRan;
  }
}

absl::Status Scheduler::RunUntil(absl::FunctionRef<bool()> done, MonotonicTime deadline) {
  STELE_CHECK(current_ == nullptr);
  while (!done()) {
    if (IsStuck()) return Stuck();
    switch (Step(deadline.nanoseconds())) {
      case StepResult::kRan: break;
      case StepResult::kIdle:
        return MakeError(ErrorCode::kDeadline, StrCat("no progress: ", Waiting()));
      case StepResult::kDeadline:
        return MakeError(ErrorCode::kDeadline, StrCat("virtual time is up: ", Waiting()));
    }
  }
  return absl::OkStatus();
}

absl::Status Scheduler::RunFor(absl::Duration duration) {
  STELE_CHECK(current_ == nullptr);
  const int64_t end = (Now() + duration).nanoseconds();
  do {
    if (IsStuck()) return Stuck();
  } while (Step(end) == StepResult::kRan);
  SetNow(end);
  return absl::OkStatus();
}

void Scheduler::SetPaused(SimExecutor* executor, bool paused) {
  executor->paused_ = paused;
  if (paused) return;
  ready_.insert(ready_.end(), executor->held_.begin(), executor->held_.end());
  executor->held_.clear();
}

void Scheduler::DropJobs(SimExecutor* executor) {
  // Destroying a job may destroy what posts or cancels others: collect first.
  std::vector<Job> dropped;
  for (uint32_t index = 0; index < slots_.size(); ++index) {
    if (slots_[index].executor == executor) dropped.push_back(Release(index));
  }
  std::erase_if(ready_, [this](const ReadyJob& job) { return IsStale(job.slot, job.generation); });
  executor->held_.clear();
  DropCancelledTimers();
}

absl::Status Scheduler::Stuck() const {
  const bool over = steps_ >= step_limit_;
  return MakeError(
      ErrorCode::kDeadline,
      StrCat(over ? "the step limit is reached" : "live-lock, no time passes", ": ", Waiting()));
}

std::string Scheduler::Waiting() const {
  size_t tasks = 0;
  std::string who;
  for (const std::unique_ptr<SimProcess>& process : processes_) {
    if (process->waiting_tasks() == 0) continue;
    tasks += process->waiting_tasks();
    who += StrCat(who.empty() ? " (" : ", ", process->name(), ": ", process->waiting_tasks());
  }
  if (!who.empty()) who += ")";
  return StrCat(tasks, " tasks wait", who, "; ", ready_.size(), " jobs ready, ", timers_.size(),
                " timers, step ", steps_, ", ", now_nanoseconds_, " ns");
}

}  // namespace stele::simulation
