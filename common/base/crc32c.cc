#include "common/base/crc32c.h"

#include <algorithm>
#include <cstddef>

#include <isa-l/crc.h>

namespace stele {

uint32_t ExtendCrc32c(uint32_t crc, std::string_view bytes) {
  // ISA-L takes an int as length, and the state without the usual inversion at both ends.
  constexpr size_t kPieceBytes = size_t{1} << 30;
  uint32_t state = ~crc;
  while (!bytes.empty()) {
    const size_t piece = std::min(bytes.size(), kPieceBytes);
    state = crc32_iscsi(reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data())),
                        static_cast<int>(piece), state);
    bytes.remove_prefix(piece);
  }
  return ~state;
}

}  // namespace stele
