// The entry packet: an entry as it travels in ADD and READ and as a bookie stores it, the same
// bytes everywhere, in both versions of the protocol.
//
//   offset  size  field (big-endian)
//        0     8  ledger
//        8     8  entry
//       16     8  last add confirmed that the writer knew when it sent the entry; -1: none
//       24     8  length: payload bytes of the ledger up to and including this entry
//       32     D  digest over the bytes 0..31 and the payload; D by type, see digest.h
//     32+D        payload, may be empty
//
// The explicit-LAC packet, body of WRITE_LAC: ledger, LAC, digest over these 16 bytes; nothing
// else.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"
#include "common/wire/digest.h"

namespace stele::wire {

// What a bookie needs of a packet: ledger, entry and LAC. Shorter ones are refused.
inline constexpr size_t kEntryIdsSize = 24;
// What a reader needs: these fields and the length.
inline constexpr size_t kEntryFieldsSize = 32;
inline constexpr size_t kExplicitLacFieldsSize = 16;

struct EntryHeader {
  LedgerId ledger;
  EntryId entry;
  EntryId last_add_confirmed = kNoEntry;
  int64_t length_bytes = 0;

  friend bool operator==(const EntryHeader&, const EntryHeader&) = default;
};

// Reads the fields of a packet and judges none of them. kCorruptData when it has no
// kEntryFieldsSize bytes.
absl::StatusOr<EntryHeader> ParseEntryHeader(std::string_view packet);

// The first kEntryIdsSize bytes of a packet.
struct EntryIds {
  LedgerId ledger;
  EntryId entry;
  EntryId last_add_confirmed;
};
absl::StatusOr<EntryIds> ParseEntryIds(std::string_view packet);

// The bytes before the payload: fields and digest. A value without heap memory.
class EntryHead {
 public:
  EntryHead() = default;
  EntryHead(const EntryHeader& header, std::string_view payload, const Digester& digester);
  std::string_view view() const { return {bytes_.data(), size_}; }
  size_t size() const { return size_; }

 private:
  std::array<char, kEntryFieldsSize + kDigestSizeMax> bytes_{};
  size_t size_ = 0;
};

// The packet in one piece; copies the payload.
Buffer MakeEntryPacket(const EntryHeader& header, std::string_view payload,
                       const Digester& digester);

struct VerifiedEntry {
  EntryHeader header;
  Buffer payload;  // a view into the packet
};

// Checks what a bookie sent: size, digest, ledger, entry, in this order. `entry` is kNoEntry when
// the last entry was asked for, whatever its id.
//   errors   kDigestMismatch   try another bookie
absl::StatusOr<VerifiedEntry> VerifyEntry(const Buffer& packet, const Digester& digester,
                                          LedgerId ledger, EntryId entry);

// Is the packet long enough for this digest, and does the digest match? For a bookie, which learns
// a ledger's type (kCrc32 or kCrc32c) by trying.
bool DigestMatches(std::string_view packet, const Digester& digester);

Buffer MakeExplicitLacPacket(LedgerId ledger, EntryId lac, const Digester& digester);

struct ExplicitLac {
  LedgerId ledger;
  EntryId lac;
};
// kCorruptData unless the size is that of an explicit-LAC packet of some digest type.
absl::StatusOr<ExplicitLac> ParseExplicitLac(std::string_view packet);

// Checks size, digest and ledger. kDigestMismatch as VerifyEntry.
absl::StatusOr<EntryId> VerifyExplicitLac(std::string_view packet, const Digester& digester,
                                          LedgerId ledger);

}  // namespace stele::wire
