// Entry: what a reader gets.
#pragma once

#include <cstdint>

#include "common/base/buffer.h"
#include "common/base/ids.h"

namespace stele::client {

struct Entry {
  LedgerId ledger;
  EntryId id;
  Buffer payload;
  // Payload bytes of the ledger up to and including this entry, as its writer counted.
  int64_t length_bytes = 0;
};

}  // namespace stele::client
