// What the peers of a shard may take of it without giving or taking bytes.
#pragma once

#include <cstddef>

#include "absl/time/time.h"

namespace stele::real {

struct LinkLimits {
  // How long bytes may be queued without the peer taking any; then OnClosed(kDeadline).
  absl::Duration send_stall_max = absl::InfiniteDuration();
  // Parts of frames that are not whole yet. Beyond it connections with more than a few such bytes
  // are not read, but for one, so that somebody gets done.
  size_t partial_frames_max_bytes = 256 << 20;
  // How long a connection that was accepted may say nothing at first; then OnClosed(kDeadline).
  absl::Duration first_byte_max = absl::InfiniteDuration();
  // Connections that each listener takes; more wait in the system's queue. 0: no limit. After quiet
  // times twice as many at once.
  int accepts_per_second_max = 0;
};

class Shard;

// For all connections of `shard`, from now on.
void SetLinkLimits(Shard* shard, LinkLimits limits);

}  // namespace stele::real
