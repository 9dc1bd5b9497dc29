// Digests of entries, and the keys that are made of a ledger's password.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string_view>

#include "common/base/digest_type.h"
#include "common/wire/bookie_messages.h"

namespace stele::wire {

inline constexpr size_t kDigestSizeMax = 20;

// CRC32 is four zero bytes and an IEEE CRC-32, CRC32C is Castagnoli's, MAC is HMAC-SHA-1.
constexpr size_t DigestSize(DigestType type) {
  switch (type) {
    case DigestType::kCrc32: return 8;
    case DigestType::kMac: return 20;
    case DigestType::kCrc32c: return 4;
    case DigestType::kDummy: return 0;
  }
  return 0;
}

// SHA-1 of "ledger" and the password; the same for every digest type and every ledger.
MasterKey MakeMasterKey(std::string_view password);

// SHA-1 of "mac" and the password: the key of kMac. Never sent.
using MacKey = std::array<char, 20>;
MacKey MakeMacKey(std::string_view password);

// IEEE's checksum of what `crc` is the checksum of (0: nothing), followed by `bytes`. CRC-32C is in
// common/base/crc32c.h.
uint32_t ExtendCrc32(uint32_t crc, std::string_view bytes);

// Computes and checks digests of one ledger. Build it once per (type, password) and keep it.
// Threads: one at a time.
class Digester {
 public:
  // The password matters to kMac only.
  explicit Digester(DigestType type, std::string_view password = {});
  Digester(Digester&&) noexcept;
  Digester& operator=(Digester&&) noexcept;
  ~Digester();

  DigestType type() const { return type_; }
  size_t digest_size() const { return DigestSize(type_); }

  // The digest of `head` followed by `payload`, written to the digest_size() bytes at `to`.
  void Compute(std::string_view head, std::string_view payload, char* to) const;

  // Is `digest` the digest of `head` followed by `payload`? False when its size is another.
  bool Matches(std::string_view head, std::string_view digest, std::string_view payload) const;

 private:
  struct MacState;
  DigestType type_;
  std::unique_ptr<MacState> mac_;  // kMac only
};

}  // namespace stele::wire
