// Big-endian integers in byte strings: everything that BookKeeper puts on the wire or on disk is
// big-endian.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>

namespace stele {

static_assert(std::endian::native == std::endian::little,
              "only little-endian machines are supported");

template <std::integral T>
T LoadBigEndian(const char* from) {
  std::make_unsigned_t<T> raw;
  std::memcpy(&raw, from, sizeof(raw));
  if constexpr (sizeof(T) == 8) raw = __builtin_bswap64(raw);
  if constexpr (sizeof(T) == 4) raw = __builtin_bswap32(raw);
  if constexpr (sizeof(T) == 2) raw = __builtin_bswap16(raw);
  return static_cast<T>(raw);
}

template <std::integral T>
void StoreBigEndian(char* to, T value) {
  auto raw = static_cast<std::make_unsigned_t<T>>(value);
  if constexpr (sizeof(T) == 8) raw = __builtin_bswap64(raw);
  if constexpr (sizeof(T) == 4) raw = __builtin_bswap32(raw);
  if constexpr (sizeof(T) == 2) raw = __builtin_bswap16(raw);
  std::memcpy(to, &raw, sizeof(raw));
}

template <std::integral T>
void AppendBigEndian(std::string& to, T value) {
  char raw[sizeof(T)];
  StoreBigEndian(raw, value);
  to.append(raw, sizeof(raw));
}

}  // namespace stele
