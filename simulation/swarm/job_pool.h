// JobPool: runs scenarios in processes of their own, several at a time, so that a run which dies or
// hangs is a finding and not the end.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <string>

#include <sys/types.h>

#include "simulation/swarm/run.h"
#include "simulation/swarm/scenario.h"

namespace stele::simulation {

struct JobResult {
  Scenario scenario;
  // A run that died has one finding: "Crash" or "Hang", with what it printed.
  RunResult run;
  double seconds = 0;
};

class JobPool {
 public:
  explicit JobPool(int jobs) : jobs_(jobs) {}
  // Ends what still runs.
  ~JobPool();

  bool is_full() const { return static_cast<int>(running_.size()) >= jobs_; }
  bool is_empty() const { return running_.empty(); }
  // It is not full.
  void Start(const Scenario& scenario);
  // Waits for the next that ends. It is not empty.
  JobResult Wait();

 private:
  struct Job {
    Scenario scenario;
    pid_t pid = 0;
    int pipe = -1;
    std::string output;
    std::chrono::steady_clock::time_point begin;
  };

  JobResult Finish(std::list<Job>::iterator job);

  const int jobs_;
  std::list<Job> running_;
};

}  // namespace stele::simulation
