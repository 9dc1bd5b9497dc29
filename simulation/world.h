// World: a scheduler with a network, a metadata server, machines, their disks and the processes on
// them: what a test needs to run code on the simulated seams.
//   World world({.seed = 1});
//   SimMachine* machine = world.AddMachine("bookie-1");
//   SimProcess* process = world.AddProcess(machine, "bookie-1");
//   EXPECT_TRUE(world.RunToEnd(process, Body(world.env(process))).ok());
//   world.PowerCut(machine);
//   process->Restart();
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/async/task.h"
#include "common/seams/env.h"
#include "simulation/scheduler.h"
#include "simulation/sim_disk.h"
#include "simulation/sim_file_system.h"
#include "simulation/sim_metadata_store.h"
#include "simulation/sim_network.h"
#include "simulation/sim_process.h"

namespace stele::simulation {

// A host with one disk. Lives as long as the world.
class SimMachine {
 public:
  SimMachine(Scheduler* scheduler, std::string host, SimDiskOptions disk_options)
      : host_(std::move(host)), disk_(scheduler, host_, disk_options) {}

  const std::string& host() const { return host_; }
  SimDisk& disk() { return disk_; }

 private:
  std::string host_;
  SimDisk disk_;
};

class World {
 public:
  explicit World(SchedulerOptions options, SimNetworkOptions network_options = {},
                 SimMetadataOptions metadata_options = {});
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  // Crashes all processes.
  ~World();

  Scheduler& scheduler() { return scheduler_; }
  SimNetwork& network() { return network_; }
  SimMetadataServer& metadata() { return metadata_; }

  // `host` is unique.
  SimMachine* AddMachine(std::string host, SimDiskOptions disk_options = {});

  // A running process. `name` is unique. Crash and restart it with its own calls.
  SimProcess* AddProcess(SimMachine* machine, std::string name, int shards = 1);

  // The seams of one shard; the same in every life of the process.
  Env env(SimProcess* process, int shard = 0);

  // A session of one shard with the metadata server.
  std::unique_ptr<metadata::MetadataStore> NewMetadataStore(SimProcess* process, int shard = 0) {
    return metadata_.NewStore(process->executor(shard));
  }

  // Runs the world until `task`, started on shard 0 of `process`, has ended. Errors as RunUntil; a
  // task that did not end stays in its process, so what it points to must too.
  absl::Status RunToEnd(SimProcess* process, Task<void> task);

  // As SIGSTOP and SIGCONT: see SimProcess::Pause. Its metadata sessions may time out meanwhile.
  void Pause(SimProcess* process);
  void Resume(SimProcess* process);

  // The network, the metadata server, the disks and the clocks work from now on, and paused
  // processes go on. What has died stays dead, what is damaged stays damaged.
  void HealAll();

  // Crashes the processes of the machine, and leaves on its disk what the seed lets survive. Not
  // from a job of one of them.
  void PowerCut(SimMachine* machine);

 private:
  // The seams of one shard.
  struct Seams {
    SimExecutor* executor;
    std::unique_ptr<SimFileSystem> files;
    std::unique_ptr<SimTransport> transport;
  };
  struct Resident {
    SimMachine* machine;
    SimProcess* process;
    std::vector<Seams> shards;
  };

  Scheduler scheduler_;
  SimNetwork network_;
  SimMetadataServer metadata_;
  std::vector<std::unique_ptr<SimMachine>> machines_;
  std::vector<Resident> residents_;
};

}  // namespace stele::simulation
