// How the scrubber (scrubber.h) goes about its work.
#pragma once

#include <cstdint>

#include "absl/time/time.h"

namespace stele::bookie {

struct ScrubOptions {
  bool enabled = false;  // passes by itself; as with Apache, an operator switches them on
  absl::Duration pause = absl::Hours(24);    // between passes
  absl::Duration first = absl::Minutes(10);  // from the start to the first pass
  uint64_t bytes_per_second = 8ull << 20;    // read
  // Damaged entries in one pass from which the disk is no longer trusted with new ones.
  int64_t damage_max = 100;
};

}  // namespace stele::bookie
