#include "simulation/sim_process.h"

#include "common/base/check.h"
#include "common/base/strings.h"

namespace stele::simulation {

SimProcess::SimProcess(Scheduler* scheduler, std::string name, int shards)
    : scheduler_(scheduler), name_(std::move(name)) {
  for (int i = 0; i < shards; ++i) {
    auto shard = std::make_unique<Shard>();
    shard->executor.reset(new SimExecutor(scheduler, this, scheduler->executors_made_++));
    shard->clock = std::make_unique<SimClock>(shard->executor.get(), &wall_offset_);
    shards_.push_back(std::move(shard));
  }
  Start();
}

void SimProcess::Start() {
  STELE_CHECK(!alive_);
  alive_ = true;
  ++life_;
  scheduler_->trace().Record(TraceKind::kStart, executor()->id(), life_);
  for (int i = 0; i < shard_count(); ++i) {
    Shard& shard = *shards_[i];
    shard.executor->alive_ = true;
    SimRandom stream = scheduler_->random().Child(StrCat(name_, "/", life_, "/", i));
    // Monotonic clocks have nothing in common between two processes, nor between two lives of one.
    shard.clock->Begin(static_cast<int64_t>(scheduler_->random()
                                                .Child(StrCat(name_, "/", life_, "/origin"))
                                                .Below(uint64_t{1} << 50)),
                       clock_rate_thousandths_);
    shard.random = std::make_unique<SimRandom>(std::move(stream));
    shard.tasks = std::make_unique<TaskScope>(shard.executor.get());
  }
}

void SimProcess::Restart() { Start(); }

void SimProcess::Pause() {
  STELE_CHECK(alive_ && !paused_);
  paused_ = true;
  scheduler_->trace().Record(TraceKind::kPause, executor()->id(), 1);
  scheduler_->faults().Count("process.pause");
  for (const std::unique_ptr<Shard>& shard : shards_) {
    scheduler_->SetPaused(shard->executor.get(), true);
  }
}

void SimProcess::Resume() {
  STELE_CHECK(paused_);
  paused_ = false;
  scheduler_->trace().Record(TraceKind::kPause, executor()->id(), 0);
  for (const std::unique_ptr<Shard>& shard : shards_) {
    scheduler_->SetPaused(shard->executor.get(), false);
  }
}

void SimProcess::set_clock_rate(int64_t thousandths) {
  STELE_CHECK(thousandths >= 1);
  clock_rate_thousandths_ = thousandths;
  for (const std::unique_ptr<Shard>& shard : shards_) shard->clock->SetRate(thousandths);
}

void SimProcess::Spawn(Task<void> task, int shard) {
  executor(shard)->PostFromAnyThread(
      [scope = shards_[shard]->tasks.get(), task = std::move(task)]() mutable {
        scope->Spawn(std::move(task));
      });
}

size_t SimProcess::waiting_tasks() const {
  size_t result = 0;
  for (const std::unique_ptr<Shard>& shard : shards_) {
    if (shard->tasks != nullptr) result += shard->tasks->size();
  }
  return result;
}

void SimProcess::Crash() {
  STELE_CHECK(alive_);
  if (paused_) Resume();
  alive_ = false;
  scheduler_->trace().Record(TraceKind::kCrash, executor()->id(), life_);
  for (const std::unique_ptr<Shard>& shard : shards_) shard->executor->alive_ = false;
  const SimExecutor* current = scheduler_->current();
  if (current != nullptr && current->process() == this) {
    scheduler_->CrashLater(this);
  } else {
    Destroy();
  }
}

void SimProcess::Destroy() {
  for (const std::unique_ptr<Shard>& shard : shards_) scheduler_->DropJobs(shard->executor.get());
  for (const std::unique_ptr<Shard>& shard : shards_) shard->tasks.reset();
  while (!owned_.empty()) {
    const std::shared_ptr<void> last = std::move(owned_.back());
    owned_.pop_back();
  }
  for (absl::AnyInvocable<void()>& hook : crash_hooks_) hook();
}

}  // namespace stele::simulation
