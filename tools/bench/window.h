// Window: what one measured stretch of time has brought.
#pragma once

#include <cstdint>

#include "common/observe/histogram.h"

namespace stele::bench {

struct Window {
  int64_t operations = 0;  // entries acknowledged, or read
  int64_t bytes = 0;       // of their payloads
  int64_t failed = 0;      // operations; a window with one is not worth much
  int64_t nanoseconds = 0;
  // Of each append, from the time it was due; or of each read request.
  observe::Histogram latency_nanoseconds;
};

}  // namespace stele::bench
