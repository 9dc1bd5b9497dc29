// Payloads that say what they are: ledger, entry, writer, attempt and length, then bytes that
// follow from these. Whoever reads one can tell whether it belongs where it was found, without
// having seen the writer, and can tell damage from a mix-up.
//
//   bytes   0  4   8       16     24      32       40     48
//           |"SLPY"|length|ledger|entry|writer|attempt|check| pseudo-random bytes ...
//   Numbers are big-endian; `check` is a hash of all before it, and the seed of what follows. A
//   payload too short for the header is the begin of the pseudo-random bytes alone: its reader
//   needs a list of candidates (the history) to name it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/buffer.h"
#include "common/base/ids.h"

namespace stele::history {

inline constexpr size_t kPayloadHeaderBytes = 48;

struct PayloadId {
  LedgerId ledger;
  EntryId entry;
  int64_t writer = 0;   // one number per write handle ever opened
  int64_t attempt = 0;  // one number per append of the writer
  friend auto operator<=>(const PayloadId&, const PayloadId&) = default;
};

// What can be told about a payload from its bytes. Equal bytes have equal tags.
struct PayloadTag {
  bool is_named = false;  // the bytes name it, and are what they should be
  PayloadId id;           // of a named one
  int64_t length_bytes = 0;
  uint64_t hash = 0;  // of one that is not named
  friend bool operator==(const PayloadTag&, const PayloadTag&) = default;
};

Buffer MakePayload(const PayloadId& id, size_t length_bytes);

// The tag of any bytes.
PayloadTag TagOf(std::string_view payload);

// The tag of MakePayload(id, length_bytes).
PayloadTag TagOf(const PayloadId& id, size_t length_bytes);

// "LEDGER/ENTRY/WRITER/ATTEMPT/LENGTH", or "raw/HASH/LENGTH" with a hash in hexadecimal.
std::string ToText(const PayloadTag& tag);
// False: `text` is no tag.
bool ParseTag(std::string_view text, PayloadTag* tag);

}  // namespace stele::history
