// The numbers of version 2 of the protocol. Layout of its frames, big-endian, offsets after the
// length prefix:
//
//   header        0 version u8, 1 opcode u8, 2 flags u16. Version 0: the whole word is the opcode
//   ADD           4 master key [20], 24 entry packet (its ids are the only ones)
//   READ          4 ledger, 12 entry, [20 master key [20] when fencing]
//   BATCH_READ    4 ledger, 12 first entry, 20 request id, 28 count max i32, 32 size max i64,
//                 [40 master key [20] when fencing]
//   AUTH          4 AuthMessage of version 3
//   replies       4 code i32, 8 ledger, 16 entry
//                 READ: 24 entry packet
//                 BATCH_READ: 24 request id, 32 size i32 and entry packet, again and again
//                 AUTH instead of all this: 4 AuthMessage, no code, no ids
#pragma once

#include <cstddef>
#include <cstdint>

#include "common/base/endian.h"
#include "common/wire/bookie_messages.h"

namespace stele::wire::v2 {

inline constexpr uint8_t kVersionMax = 2;

enum Opcode : uint8_t { kAdd = 1, kRead = 2, kAuth = 3, kBatchRead = 7 };

enum Flag : uint16_t { kFence = 0x0001, kRecoveryAdd = 0x0002, kHighPriority = 0x0004 };

inline constexpr size_t kHeaderSize = 4;
inline constexpr size_t kAddBodyOffset = kHeaderSize + kMasterKeySize;
inline constexpr size_t kReadSize = 20;
inline constexpr size_t kBatchReadSize = 40;
inline constexpr size_t kReplySize = 24;
inline constexpr size_t kBatchReadReplySize = 32;

struct Header {
  uint8_t version = kVersionMax;
  uint8_t opcode = 0;
  uint16_t flags = 0;
};

inline Header LoadHeader(const char* from) {
  const auto word = LoadBigEndian<uint32_t>(from);
  const auto version = static_cast<uint8_t>(word >> 24);
  if (version == 0) return {.version = 0, .opcode = static_cast<uint8_t>(word), .flags = 0};
  return {.version = version,
          .opcode = static_cast<uint8_t>(word >> 16),
          .flags = static_cast<uint16_t>(word)};
}

inline void StoreHeader(char* to, const Header& header) {
  const uint32_t word = header.version == 0
                            ? header.opcode
                            : static_cast<uint32_t>(header.version) << 24 |
                                  static_cast<uint32_t>(header.opcode) << 16 | header.flags;
  StoreBigEndian(to, word);
}

}  // namespace stele::wire::v2
