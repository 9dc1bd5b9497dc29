#include "bookie/storage/same_entry.h"

#include "common/wire/entry_packet.h"

namespace stele::bookie {
namespace {

constexpr size_t kLacOffset = 16;
constexpr size_t kLengthOffset = 24;

// Equal behind a digest of this size. Both have more than kEntryFieldsSize bytes and equal sizes.
bool PayloadIsEqual(std::string_view a, std::string_view b, size_t digest_size) {
  const size_t payload = wire::kEntryFieldsSize + digest_size;
  return a.size() >= payload && a.substr(payload) == b.substr(payload);
}

}  // namespace

bool EntryComparer::IsSame(std::string_view stored, std::string_view offered) const {
  if (stored == offered) return true;
  if (stored.size() != offered.size() || stored.size() < wire::kEntryFieldsSize) return false;
  const auto fields_are_equal = [&](size_t begin, size_t end) {
    return stored.substr(begin, end - begin) == offered.substr(begin, end - begin);
  };
  if (!fields_are_equal(kLengthOffset, wire::kEntryFieldsSize)) return false;
  // With equal fields an equal payload has an equal digest, so the payload differs.
  if (fields_are_equal(kLacOffset, kLengthOffset)) return false;
  for (const wire::Digester* digester : {&crc32c_, &crc32_}) {
    if (wire::DigestMatches(stored, *digester)) {
      return wire::DigestMatches(offered, *digester) &&
             PayloadIsEqual(stored, offered, digester->digest_size());
    }
  }
  return PayloadIsEqual(stored, offered, wire::DigestSize(DigestType::kMac)) ||
         PayloadIsEqual(stored, offered, wire::DigestSize(DigestType::kDummy));
}

}  // namespace stele::bookie
