// CRC-32C (Castagnoli): the checksum of journal batches and of the CRC32C digest.
#pragma once

#include <cstdint>
#include <string_view>

namespace stele {

// The checksum of what `crc` is the checksum of (0: nothing), followed by `bytes`.
uint32_t ExtendCrc32c(uint32_t crc, std::string_view bytes);

inline uint32_t Crc32c(std::string_view bytes) { return ExtendCrc32c(0, bytes); }

}  // namespace stele
