// Load: work for a cluster that goes on until it is stopped, and is counted in windows.
#pragma once

#include "absl/status/status.h"
#include "common/async/task.h"
#include "tools/bench/window.h"

namespace stele::bench {

class Load {
 public:
  virtual ~Load() = default;

  // Gets ready and begins.
  virtual Task<absl::Status> Start() = 0;

  virtual void BeginWindow() = 0;
  virtual Window EndWindow() = 0;

  // The first error. What it befell goes on no more.
  virtual const absl::Status& failure() const = 0;

  // Begins nothing new and waits for what is under way. Gives the first error.
  virtual Task<absl::Status> Stop() = 0;
};

}  // namespace stele::bench
