// PrefetchToWrite: tells the processor which cache lines are written next.
#pragma once

#include <algorithm>
#include <cstddef>

namespace stele {

constexpr size_t kCacheLineBytes = 64;

// What is written one piece behind the other into memory that was not touched lately waits for a
// cache line at each of 64 bytes, and the next atomic operation waits for all of them. Asking for
// the place of the next piece while this one is dealt with hides that. At most 2 KiB are asked for.
inline void PrefetchToWrite(char* place, size_t size) {
  constexpr size_t kSizeMaxBytes = 2048;
  for (size_t i = 0; i < std::min(size, kSizeMaxBytes); i += kCacheLineBytes) {
    __builtin_prefetch(place + i, 1);
  }
}

}  // namespace stele
