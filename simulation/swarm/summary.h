// What a number of runs have shown, for people.
#pragma once

#include <cstdint>
#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "simulation/swarm/job_pool.h"

namespace stele::simulation {

class Summary {
 public:
  void Add(const JobResult& result);
  uint64_t runs() const { return runs_; }
  uint64_t failed() const { return failed_.size(); }
  void Print(std::ostream& out) const;

 private:
  struct Counter {
    uint64_t hits = 0;
    uint64_t seeds = 0;
  };
  struct Failure {
    uint64_t seed;
    std::string profile;
    std::string checker;
  };

  uint64_t runs_ = 0;
  std::vector<Failure> failed_;
  uint64_t steps_ = 0;
  uint64_t calls_ = 0;
  uint64_t calls_ok_ = 0;
  uint64_t checks_ = 0;
  int64_t virtual_ms_ = 0;
  std::vector<double> seconds_;
  std::map<std::string, Counter> faults_;
  std::map<std::string, Counter> sometimes_;
};

// Everything that is known of a run that failed, and the line that replays it.
void PrintFailure(const JobResult& result, std::ostream& out);

}  // namespace stele::simulation
