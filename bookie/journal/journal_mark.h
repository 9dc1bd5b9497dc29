// JournalMark: a position in a journal. JournalStream: the files that one process writes there.
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

struct JournalStream {
  uint64_t uuid = 0;  // in the header of each file, and in each batch
  JournalMark begin;
};

}  // namespace stele::bookie
