#include "common/wire/digest.h"

#include <isa-l/crc.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/base/endian.h"
#include "common/base/strings.h"

namespace stele::wire {
namespace {

// ISA-L does both checksums at memory speed (carry-less multiplication); digest_bench.cc has the
// figures. Its functions take non-const bytes, and do not write to them.
unsigned char* BytesOf(std::string_view bytes) {
  return reinterpret_cast<unsigned char*>(const_cast<char*>(bytes.data()));
}

std::array<char, 20> Sha1(std::string_view prefix, std::string_view password) {
  const std::string text = StrCat(prefix, password);
  std::array<char, 20> result;
  unsigned size = 0;
  STELE_CHECK(EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(result.data()),
                         &size, EVP_sha1(), nullptr) == 1);
  STELE_CHECK(size == result.size());
  return result;
}

}  // namespace

MasterKey MakeMasterKey(std::string_view password) { return Sha1("ledger", password); }

MacKey MakeMacKey(std::string_view password) { return Sha1("mac", password); }

uint32_t ExtendCrc32(uint32_t crc, std::string_view bytes) {
  return crc32_gzip_refl(crc, BytesOf(bytes), bytes.size());
}

// Keeps one OpenSSL context with the key inside: starting it again is about three times cheaper
// than making one.
struct Digester::MacState {
  explicit MacState(const MacKey& key) {
    EVP_MAC* mac = EVP_MAC_fetch(nullptr, "HMAC", nullptr);
    context = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    char digest_name[] = "SHA1";
    const OSSL_PARAM parameters[] = {OSSL_PARAM_construct_utf8_string("digest", digest_name, 0),
                                     OSSL_PARAM_construct_end()};
    STELE_CHECK(context != nullptr);
    STELE_CHECK(EVP_MAC_init(context, reinterpret_cast<const unsigned char*>(key.data()),
                             key.size(), parameters) == 1);
  }
  ~MacState() { EVP_MAC_CTX_free(context); }
  MacState(const MacState&) = delete;
  MacState& operator=(const MacState&) = delete;

  void Compute(std::string_view head, std::string_view payload, char* to) {
    size_t size = 0;
    const bool ok = EVP_MAC_init(context, nullptr, 0, nullptr) == 1 &&
                    EVP_MAC_update(context, BytesOf(head), head.size()) == 1 &&
                    EVP_MAC_update(context, BytesOf(payload), payload.size()) == 1 &&
                    EVP_MAC_final(context, reinterpret_cast<unsigned char*>(to), &size,
                                  DigestSize(DigestType::kMac)) == 1;
    STELE_CHECK(ok && size == DigestSize(DigestType::kMac));
  }

  EVP_MAC_CTX* context = nullptr;
};

Digester::Digester(DigestType type, std::string_view password) : type_(type) {
  if (type == DigestType::kMac) mac_ = std::make_unique<MacState>(MakeMacKey(password));
}
Digester::Digester(Digester&&) noexcept = default;
Digester& Digester::operator=(Digester&&) noexcept = default;
Digester::~Digester() = default;

void Digester::Compute(std::string_view head, std::string_view payload, char* to) const {
  switch (type_) {
    case DigestType::kCrc32:
      StoreBigEndian<uint64_t>(to, ExtendCrc32(ExtendCrc32(0, head), payload));
      return;
    case DigestType::kCrc32c:
      StoreBigEndian<uint32_t>(to, ExtendCrc32c(ExtendCrc32c(0, head), payload));
      return;
    case DigestType::kMac: mac_->Compute(head, payload, to); return;
    case DigestType::kDummy: return;
  }
}

bool Digester::Matches(std::string_view head, std::string_view digest,
                       std::string_view payload) const {
  if (digest.size() != digest_size()) return false;
  std::array<char, kDigestSizeMax> expected;
  Compute(head, payload, expected.data());
  // In constant time, so that a bookie cannot guess a MAC byte by byte.
  return CRYPTO_memcmp(expected.data(), digest.data(), digest.size()) == 0;
}

}  // namespace stele::wire
