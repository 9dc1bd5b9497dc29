// Window: what one measured stretch of time has brought.
#pragma once

#include <cstdint>

#include "common/observe/histogram.h"

namespace stele::bench {

struct Window {
  int64_t operations = 0;  // entries acknowledged, read or seen; or ledgers
  int64_t bytes = 0;       // of their payloads
  int64_t failed = 0;      // operations; a window with one is not worth much
  int64_t nanoseconds = 0;
  // Of each append, from the time it was due; of each read request; of each ledger.
  observe::Histogram latency_nanoseconds;
  // Of a tail: from the call of the append.
  observe::Histogram since_call_nanoseconds;
};

}  // namespace stele::bench
