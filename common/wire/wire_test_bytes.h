// Bytes for tests: hexadecimal text, whole frames, and the entry that the worked frames carry.
#pragma once

#include <string>
#include <string_view>

#include "common/base/buffer.h"
#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/wire/bookie_messages.h"
#include "common/wire/digest.h"

namespace stele::wire {

// "0a 0b" without regard to spaces and line ends.
inline std::string FromHex(std::string_view text) {
  std::string digits;
  for (const char c : text) {
    if (c != ' ' && c != '\n') digits += c;
  }
  STELE_CHECK(digits.size() % 2 == 0);
  std::string bytes;
  for (size_t i = 0; i < digits.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

inline std::string ToHex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    text += kDigits[static_cast<uint8_t>(c) >> 4];
    text += kDigits[static_cast<uint8_t>(c) & 15];
  }
  return text;
}

// What Transport delivers of a frame that is written with its length prefix.
inline Buffer FrameOf(std::string_view hex_with_prefix) {
  const std::string bytes = FromHex(hex_with_prefix);
  STELE_CHECK(bytes.size() >= 4);
  STELE_CHECK_OP(LoadBigEndian<uint32_t>(bytes.data()), ==, bytes.size() - 4);
  return Buffer::CopyOf(std::string_view(bytes).substr(4));
}

inline Buffer Flatten(const OutgoingFrame& frame) {
  return Buffer::CopyOf(frame.head + frame.body.ToString());
}

// What Transport would send, in hexadecimal without spaces.
inline std::string HexOnTheWire(const OutgoingFrame& frame) {
  const std::string bytes = frame.head + frame.body.ToString();
  std::string prefix;
  AppendBigEndian(prefix, static_cast<uint32_t>(bytes.size()));
  return ToHex(prefix + bytes);
}

// The same text without spaces and line ends, to compare with HexOnTheWire.
inline std::string Compact(std::string_view hex) { return ToHex(FromHex(hex)); }

// The same numbers in every run (splitmix64).
class TestRandom {
 public:
  explicit TestRandom(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
  }
  uint64_t Below(uint64_t bound) { return Next() % bound; }
  bool Chance() { return Below(2) == 0; }
  // Often small, sometimes of any size, sometimes an extreme.
  int64_t Int64() {
    switch (Below(6)) {
      case 0: return static_cast<int64_t>(Next());
      case 1: return -1;
      case 2: return INT64_MAX;
      case 3: return INT64_MIN;
      default: return static_cast<int64_t>(Below(300));
    }
  }
  std::string Bytes(size_t size_max) {
    std::string bytes(Below(size_max + 1), '\0');
    for (char& c : bytes) c = static_cast<char>(Next());
    return bytes;
  }

 private:
  uint64_t state_;
};

inline constexpr std::string_view kTestPassword = "testPasswd";
inline MasterKey TestKey() { return MakeMasterKey(kTestPassword); }

// Ledger 1, entry 0, LAC -1, length 11, CRC32C, "hello world": example A of docs/PROTOCOL.md.
inline constexpr std::string_view kHelloPacketHex =
    "0000000000000001 0000000000000000 ffffffffffffffff 000000000000000b bd424207"
    "68656c6c6f20776f726c64";
inline Buffer HelloPacket() { return Buffer::CopyOf(FromHex(kHelloPacketHex)); }

}  // namespace stele::wire
