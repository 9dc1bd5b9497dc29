#include "simulation/world.h"

#include <utility>

#include "common/base/check.h"

namespace stele::simulation {
namespace {

Task<void> RunAndMark(Task<void> task, std::shared_ptr<bool> ended) {
  co_await std::move(task);
  *ended = true;
}

}  // namespace

World::World(SchedulerOptions options, SimNetworkOptions network_options,
             SimMetadataOptions metadata_options)
    : scheduler_(options),
      network_(&scheduler_, network_options),
      metadata_(&scheduler_, metadata_options) {}

World::~World() {
  for (auto resident = residents_.rbegin(); resident != residents_.rend(); ++resident) {
    if (resident->process->alive()) resident->process->Crash();
  }
}

SimMachine* World::AddMachine(std::string host, SimDiskOptions disk_options) {
  for (const std::unique_ptr<SimMachine>& machine : machines_) STELE_CHECK(machine->host() != host);
  machines_.push_back(std::make_unique<SimMachine>(&scheduler_, std::move(host), disk_options));
  return machines_.back().get();
}

SimProcess* World::AddProcess(SimMachine* machine, std::string name, int shards) {
  for (const Resident& resident : residents_) STELE_CHECK(resident.process->name() != name);
  Resident& resident = residents_.emplace_back();
  resident.machine = machine;
  resident.process = scheduler_.AddProcess(std::move(name), shards);
  for (int shard = 0; shard < shards; ++shard) {
    SimExecutor* executor = resident.process->executor(shard);
    resident.shards.push_back(
        {executor, std::make_unique<SimFileSystem>(&machine->disk(), executor),
         std::make_unique<SimTransport>(&network_, executor, machine->host())});
  }
  return resident.process;
}

Env World::env(SimProcess* process, int shard) {
  for (Resident& resident : residents_) {
    if (resident.process != process) continue;
    Seams& seams = resident.shards.at(static_cast<size_t>(shard));
    return Env{.executor = seams.executor,
               .clock = process->clock(shard),
               .random = process->random(shard),
               .files = seams.files.get(),
               .transport = seams.transport.get()};
  }
  STELE_CHECK(false);
}

absl::Status World::RunToEnd(SimProcess* process, Task<void> task) {
  auto ended = std::make_shared<bool>(false);
  process->Spawn(RunAndMark(std::move(task), ended));
  return scheduler_.RunUntil([&ended] { return *ended; });
}

void World::Pause(SimProcess* process) {
  process->Pause();
  metadata_.OnPause(process);
}

void World::Resume(SimProcess* process) {
  process->Resume();
  metadata_.OnResume(process);
}

void World::HealAll() {
  network_.HealAllFaults();
  metadata_.Heal();
  for (const std::unique_ptr<SimMachine>& machine : machines_) machine->disk().Heal();
  for (Resident& resident : residents_) {
    if (resident.process->paused()) Resume(resident.process);
    resident.process->set_wall_offset(absl::ZeroDuration());
    resident.process->set_clock_rate(1'000);
  }
}

void World::PowerCut(SimMachine* machine) {
  const SimExecutor* current = scheduler_.current();
  for (const Resident& resident : residents_) {
    STELE_CHECK(resident.machine != machine || current == nullptr ||
                current->process() != resident.process);
  }
  machine->disk().BeginPowerCut();
  for (Resident& resident : residents_) {
    if (resident.machine == machine && resident.process->alive()) resident.process->Crash();
  }
  machine->disk().PowerCut();
}

}  // namespace stele::simulation
