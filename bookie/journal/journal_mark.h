// JournalMark: a position in a journal stream.
#pragma once

#include <compare>
#include <cstdint>

namespace stele::bookie {

// Everything before it is durable and needs no replay. Stored as `lastMark` (last_mark.h).
struct JournalMark {
  int64_t file_id = 0;
  int64_t offset_bytes = 0;
  friend auto operator<=>(const JournalMark&, const JournalMark&) = default;
};

}  // namespace stele::bookie
