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

inline constexpr std::string_view kTestPassword = "testPasswd";
inline MasterKey TestKey() { return MakeMasterKey(kTestPassword); }

// Ledger 1, entry 0, LAC -1, length 11, CRC32C, "hello world": example A of docs/PROTOCOL.md.
inline constexpr std::string_view kHelloPacketHex =
    "0000000000000001 0000000000000000 ffffffffffffffff 000000000000000b bd424207"
    "68656c6c6f20776f726c64";
inline Buffer HelloPacket() { return Buffer::CopyOf(FromHex(kHelloPacketHex)); }

}  // namespace stele::wire
