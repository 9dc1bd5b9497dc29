// How entry logs are read here: in windows, with a bound on what counts as a record.
#pragma once

#include <cstddef>
#include <cstdint>

namespace stele::dump {

inline constexpr size_t kWindowBytes = 1 << 20;
inline constexpr uint32_t kRecordSizeMaxBytes = 64 << 20;

}  // namespace stele::dump
