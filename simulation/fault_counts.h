// FaultCounts: which faults took effect, and how often. A fault that was asked for and met nothing
// (a reset between hosts without a connection) is not counted: it has proved nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace stele::simulation {

class FaultCounts {
 public:
  // Names are "part.fault": "network.reset", "disk.rot".
  void Count(std::string_view fault, uint64_t times = 1) {
    const auto found = counts_.find(fault);
    if (found == counts_.end()) {
      counts_.emplace(fault, times);
    } else {
      found->second += times;
    }
  }
  uint64_t of(std::string_view fault) const {
    const auto found = counts_.find(fault);
    return found == counts_.end() ? 0 : found->second;
  }
  const std::map<std::string, uint64_t, std::less<>>& all() const { return counts_; }

 private:
  std::map<std::string, uint64_t, std::less<>> counts_;
};

}  // namespace stele::simulation
