// Entry packets: any bytes are refused or are what we would have made of the same fields. The first
// byte of the input chooses the digest.
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "common/wire/entry_packet.h"

namespace stele::wire {
namespace {

const Digester& DigesterOf(uint8_t choice) {
  static const Digester digesters[] = {Digester(DigestType::kCrc32),
                                       Digester(DigestType::kMac, "testPasswd"),
                                       Digester(DigestType::kCrc32c), Digester(DigestType::kDummy)};
  return digesters[choice % 4];
}

void CheckEntry(const Buffer& packet, const Digester& digester) {
  const auto header = ParseEntryHeader(packet.view());
  STELE_CHECK(header.ok() == (packet.size() >= kEntryFieldsSize));
  if (!header.ok()) {
    STELE_CHECK(!DigestMatches(packet.view(), digester));
    return;
  }
  const auto entry = VerifyEntry(packet, digester, header->ledger, header->entry);
  STELE_CHECK(entry.ok() == DigestMatches(packet.view(), digester));
  if (entry.ok()) {
    STELE_CHECK(MakeEntryPacket(entry->header, entry->payload.view(), digester) == packet);
  }
  // The same bytes as payload of a packet that is right.
  const Buffer made = MakeEntryPacket(*header, packet.view(), digester);
  const auto verified = VerifyEntry(made, digester, header->ledger, header->entry);
  STELE_CHECK(verified.ok() && verified->payload == packet && verified->header == *header);
}

void CheckExplicitLac(std::string_view packet, const Digester& digester) {
  const auto parsed = ParseExplicitLac(packet);
  if (!parsed.ok()) return;
  const auto lac = VerifyExplicitLac(packet, digester, parsed->ledger);
  if (lac.ok()) STELE_CHECK(*lac == parsed->lac);
}

}  // namespace
}  // namespace stele::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace stele::wire;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Digester& digester = DigesterOf(data[0]);
  CheckEntry(stele::Buffer::Borrow(bytes), digester);
  CheckExplicitLac(bytes, digester);
  return 0;
}
