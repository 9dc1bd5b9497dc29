// What the drivers write into an entry: a function of its place, so that whoever reads it can tell
// whether these are the bytes that were written there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "common/base/ids.h"

namespace stele::integration {

inline std::string PayloadOf(LedgerId ledger, EntryId entry, size_t size) {
  const auto base =
      static_cast<uint64_t>(ledger.value()) * 131 + static_cast<uint64_t>(entry.value()) * 31;
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(base + i * 7 + (i >> 8));
  return bytes;
}

}  // namespace stele::integration
