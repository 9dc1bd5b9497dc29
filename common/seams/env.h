// Env: the seams that a component on one shard gets. No component finds the world in any other way.
#pragma once

#include "common/async/executor.h"
#include "common/seams/clock.h"
#include "common/seams/file_system.h"
#include "common/seams/random.h"
#include "common/seams/transport.h"

namespace stele {

// Plain pointers: whoever made the shard keeps what they point to alive longer than everything on
// the shard.
struct Env {
  Executor* executor = nullptr;
  Clock* clock = nullptr;
  Random* random = nullptr;
  FileSystem* files = nullptr;
  Transport* transport = nullptr;
};

}  // namespace stele
