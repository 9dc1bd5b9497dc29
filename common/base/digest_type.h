// DigestType: how the entries of a ledger are protected. It is chosen at creation, stored in the
// ledger's metadata, and named nowhere on the wire.
#pragma once

namespace stele {

// The numbers are those in stored ledger metadata.
enum class DigestType : int {
  kCrc32 = 1,
  kMac = 2,  // HMAC-SHA-1 with a key derived from the ledger's password; stored as "HMAC"
  kCrc32c = 3,
  kDummy = 4,  // none
};

}  // namespace stele
