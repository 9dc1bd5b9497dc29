#include "common/wire/entry_packet.h"

#include <cstring>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::wire {
namespace {

EntryHeader LoadHeader(const char* from) {
  return {.ledger = LedgerId(LoadBigEndian<int64_t>(from)),
          .entry = EntryId(LoadBigEndian<int64_t>(from + 8)),
          .last_add_confirmed = EntryId(LoadBigEndian<int64_t>(from + 16)),
          .length_bytes = LoadBigEndian<int64_t>(from + 24)};
}

absl::Status TooShort(std::string_view what, size_t size) {
  return MakeError(ErrorCode::kCorruptData, StrCat(what, " of ", size, " bytes is too short"));
}

absl::Status Mismatch(std::string_view detail) {
  return MakeError(ErrorCode::kDigestMismatch, detail);
}

}  // namespace

absl::StatusOr<EntryHeader> ParseEntryHeader(std::string_view packet) {
  if (packet.size() < kEntryFieldsSize) return TooShort("entry packet", packet.size());
  return LoadHeader(packet.data());
}

absl::StatusOr<EntryIds> ParseEntryIds(std::string_view packet) {
  if (packet.size() < kEntryIdsSize) return TooShort("entry packet", packet.size());
  return EntryIds{.ledger = LedgerId(LoadBigEndian<int64_t>(packet.data())),
                  .entry = EntryId(LoadBigEndian<int64_t>(packet.data() + 8)),
                  .last_add_confirmed = EntryId(LoadBigEndian<int64_t>(packet.data() + 16))};
}

EntryHead::EntryHead(const EntryHeader& header, std::string_view payload,
                     const Digester& digester) {
  char* const to = bytes_.data();
  StoreBigEndian(to, header.ledger.value());
  StoreBigEndian(to + 8, header.entry.value());
  StoreBigEndian(to + 16, header.last_add_confirmed.value());
  StoreBigEndian(to + 24, header.length_bytes);
  digester.Compute({to, kEntryFieldsSize}, payload, to + kEntryFieldsSize);
  size_ = kEntryFieldsSize + digester.digest_size();
}

Buffer MakeEntryPacket(const EntryHeader& header, std::string_view payload,
                       const Digester& digester) {
  const EntryHead head(header, payload, digester);
  MutableBuffer packet(head.size() + payload.size());
  std::memcpy(packet.data(), head.view().data(), head.size());
  if (!payload.empty()) std::memcpy(packet.data() + head.size(), payload.data(), payload.size());
  return std::move(packet).Freeze();
}

bool DigestMatches(std::string_view packet, const Digester& digester) {
  const size_t head_size = kEntryFieldsSize + digester.digest_size();
  if (packet.size() < head_size) return false;
  return digester.Matches(packet.substr(0, kEntryFieldsSize),
                          packet.substr(kEntryFieldsSize, digester.digest_size()),
                          packet.substr(head_size));
}

absl::StatusOr<VerifiedEntry> VerifyEntry(const Buffer& packet, const Digester& digester,
                                          LedgerId ledger, EntryId entry) {
  const size_t head_size = kEntryFieldsSize + digester.digest_size();
  if (packet.size() < head_size) {
    return Mismatch(StrCat("entry packet of ", packet.size(), " bytes is too short"));
  }
  if (!DigestMatches(packet.view(), digester)) return Mismatch("digest differs");
  const EntryHeader header = LoadHeader(packet.data());
  if (header.ledger != ledger) {
    return Mismatch(
        StrCat("entry of ledger ", header.ledger.value(), " instead of ledger ", ledger.value()));
  }
  if (!entry.IsNone() && header.entry != entry) {
    return Mismatch(StrCat("entry ", header.entry.value(), " instead of ", entry.value()));
  }
  return VerifiedEntry{.header = header, .payload = packet.Slice(head_size)};
}

Buffer MakeExplicitLacPacket(LedgerId ledger, EntryId lac, const Digester& digester) {
  MutableBuffer packet(kExplicitLacFieldsSize + digester.digest_size());
  StoreBigEndian(packet.data(), ledger.value());
  StoreBigEndian(packet.data() + 8, lac.value());
  digester.Compute({packet.data(), kExplicitLacFieldsSize}, {},
                   packet.data() + kExplicitLacFieldsSize);
  return std::move(packet).Freeze();
}

absl::StatusOr<ExplicitLac> ParseExplicitLac(std::string_view packet) {
  for (const DigestType type :
       {DigestType::kCrc32, DigestType::kMac, DigestType::kCrc32c, DigestType::kDummy}) {
    if (packet.size() != kExplicitLacFieldsSize + DigestSize(type)) continue;
    return ExplicitLac{.ledger = LedgerId(LoadBigEndian<int64_t>(packet.data())),
                       .lac = EntryId(LoadBigEndian<int64_t>(packet.data() + 8))};
  }
  return MakeError(ErrorCode::kCorruptData,
                   StrCat("no explicit LAC has ", packet.size(), " bytes"));
}

absl::StatusOr<EntryId> VerifyExplicitLac(std::string_view packet, const Digester& digester,
                                          LedgerId ledger) {
  const size_t size = kExplicitLacFieldsSize + digester.digest_size();
  if (packet.size() < size) {
    return Mismatch(StrCat("explicit LAC of ", packet.size(), " bytes is too short"));
  }
  const std::string_view fields = packet.substr(0, kExplicitLacFieldsSize);
  const std::string_view digest = packet.substr(kExplicitLacFieldsSize, digester.digest_size());
  if (!digester.Matches(fields, digest, {})) return Mismatch("digest of the explicit LAC differs");
  const LedgerId from(LoadBigEndian<int64_t>(packet.data()));
  if (from != ledger) {
    return Mismatch(
        StrCat("explicit LAC of ledger ", from.value(), " instead of ledger ", ledger.value()));
  }
  return EntryId(LoadBigEndian<int64_t>(packet.data() + 8));
}

}  // namespace stele::wire
