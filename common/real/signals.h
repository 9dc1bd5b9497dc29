// Signals that ask a program to stop, as calls on a shard.
#pragma once

#include <functional>
#include <memory>

#include "common/real/shard.h"

namespace stele::real {

// While this object lives, SIGTERM and SIGINT do not end the process; each one calls `on_signal`
// with its number on the shard. One per process. Made and destroyed on the shard, or while the
// shard does not run.
class StopSignals {
 public:
  StopSignals(Shard* shard, std::function<void(int signal)> on_signal);
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  ~StopSignals();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace stele::real
