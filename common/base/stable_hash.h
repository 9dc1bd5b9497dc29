// A hash whose value is fixed for ever: for sharding and for anything stored or compared between
// runs. (absl::Hash changes per process.)
#pragma once

#include <cstdint>
#include <string_view>

namespace stele {

// Mixes all bits of `value` (the finaliser of MurmurHash3, a public-domain function).
constexpr uint64_t StableHash(uint64_t value) {
  value ^= value >> 33;
  value *= 0xff51afd7ed558ccdULL;
  value ^= value >> 33;
  value *= 0xc4ceb9fe1a85ec53ULL;
  value ^= value >> 33;
  return value;
}

// FNV-1a, then mixed.
constexpr uint64_t StableHash(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325ULL;
  for (const char c : bytes) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return StableHash(hash);
}

}  // namespace stele
