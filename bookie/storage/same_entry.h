// Is an entry that is offered again the one that is stored?
#pragma once

#include <string_view>

#include "common/wire/digest.h"

namespace stele::bookie {

// Two packets of one ledger and entry are the same entry when length field and payload are equal;
// the LAC, and with it the digest, may differ, because recovery writes an entry with its own LAC.
// Where the payload begins depends on the digest type, which no packet names. CRC32C and CRC32 are
// found by trying; else the digest is a MAC or there is none, and both readings count.
class EntryComparer {
 public:
  bool IsSame(std::string_view stored, std::string_view offered) const;

 private:
  wire::Digester crc32c_{DigestType::kCrc32c};
  wire::Digester crc32_{DigestType::kCrc32};
};

}  // namespace stele::bookie
