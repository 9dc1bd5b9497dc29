// What the connections of a shard may hold of its memory without giving or taking bytes.
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
};

class Shard;

// For all connections of `shard`, from now on.
void SetLinkLimits(Shard* shard, LinkLimits limits);

}  // namespace stele::real
