#include "bookie/storage/index_format.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/wire/entry_packet.h"

namespace stele::bookie {
namespace {

constexpr std::string_view kMagic = "BKLE";
constexpr int32_t kVersion = 1;
constexpr size_t kLacOffsetMax = kIndexFieldsSize + wire::kMasterKeySize;

absl::Status Corrupt(LedgerId ledger, std::string_view what) {
  return MakeError(ErrorCode::kCorruptData,
                   StrCat("index file of ledger ", ledger.value(), ": ", what));
}

// Takes fields off the front; a field that is not there whole leaves the reader cut off.
class FieldReader {
 public:
  explicit FieldReader(std::string_view bytes) : bytes_(bytes) {}
  std::string_view Take(size_t size) {
    if (size > bytes_.size()) {
      cut_off_ = true;
      return {};
    }
    const std::string_view field = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    return field;
  }
  int32_t TakeInt() {
    const std::string_view field = Take(sizeof(int32_t));
    return cut_off_ ? 0 : LoadBigEndian<int32_t>(field.data());
  }
  bool cut_off() const { return cut_off_; }

 private:
  std::string_view bytes_;
  bool cut_off_ = false;
};

}  // namespace

std::string MakeIndexHeader(const IndexHeader& header) {
  std::string bytes(kMagic);
  AppendBigEndian(bytes, kVersion);
  const int32_t key_size = header.master_key.has_value() ? int32_t{wire::kMasterKeySize} : 0;
  AppendBigEndian(bytes, key_size);
  if (header.master_key.has_value()) bytes.append(header.master_key->data(), wire::kMasterKeySize);
  AppendBigEndian(bytes, header.state_bits);
  AppendBigEndian(bytes, static_cast<int32_t>(header.explicit_lac.size()));
  bytes += header.explicit_lac;
  STELE_CHECK_OP(bytes.size(), <=, kIndexHeaderSize);
  bytes.resize(header.HasRoomForClaim() ? kClaimOffset : kIndexHeaderSize, '\0');
  if (header.HasRoomForClaim()) bytes += MakeIndexClaim(header.claim);
  return bytes;
}

bool IndexHeader::HasRoomForClaim() const {
  return kLacOffsetMax + explicit_lac.size() <= kClaimOffset;
}

absl::StatusOr<std::optional<IndexHeader>> ParseIndexHeader(std::string_view bytes,
                                                            LedgerId ledger) {
  bytes = bytes.substr(0, kIndexHeaderSize);
  if (bytes.find_first_not_of('\0') == std::string_view::npos) return std::nullopt;
  const size_t magic_size = std::min(bytes.size(), kMagic.size());
  if (bytes.substr(0, magic_size) != kMagic.substr(0, magic_size)) {
    return Corrupt(ledger, "does not begin with BKLE");
  }
  FieldReader fields(bytes);
  fields.Take(kMagic.size());
  const int32_t version = fields.TakeInt();
  if (version < 0 || version > kVersion) return Corrupt(ledger, StrCat("version ", version));
  const int32_t key_size = fields.TakeInt();
  if (key_size != 0 && key_size != int32_t{wire::kMasterKeySize}) {
    return Corrupt(ledger, StrCat("master key of ", key_size, " bytes"));
  }
  const std::string_view key = fields.Take(static_cast<size_t>(key_size));
  IndexHeader header;
  header.state_bits = fields.TakeInt();
  const int32_t lac_size = version == 0 ? 0 : fields.TakeInt();
  if (fields.cut_off()) return std::nullopt;
  if (lac_size != 0 && lac_size < int32_t{wire::kExplicitLacFieldsSize}) {
    return Corrupt(ledger, StrCat("explicit LAC of ", lac_size, " bytes"));
  }
  const std::string_view lac = fields.Take(static_cast<size_t>(lac_size));
  if (fields.cut_off()) {
    if (bytes.size() == kIndexHeaderSize) {
      return Corrupt(ledger, StrCat("explicit LAC of ", lac_size, " bytes"));
    }
    return std::nullopt;
  }
  if (!lac.empty() && LoadBigEndian<int64_t>(lac.data()) != ledger.value()) {
    return Corrupt(ledger, "explicit LAC of another ledger");
  }
  // It is written at once. Where a part of it is missing, so may be locations that stood behind it.
  if (bytes.size() < kIndexHeaderSize) return std::nullopt;
  if (!key.empty()) {
    header.master_key.emplace();
    std::copy(key.begin(), key.end(), header.master_key->begin());
  }
  header.explicit_lac = lac;
  if (header.HasRoomForClaim()) header.claim = ParseIndexClaim(bytes.substr(kClaimOffset));
  return header;
}

std::string IndexFileDirectory(LedgerId ledger) {
  return absl::StrFormat("%x/%x", ledger.value() >> 8 & 0xff, ledger.value() & 0xff);
}

std::string IndexFileName(LedgerId ledger) { return absl::StrFormat("%x.idx", ledger.value()); }

std::string IndexFilePath(LedgerId ledger) {
  return StrCat(IndexFileDirectory(ledger), "/", IndexFileName(ledger));
}

std::optional<LedgerId> ParseIndexFileName(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return std::nullopt;
  const char* end = name.data() + name.size() - suffix.size();
  int64_t value = 0;
  const auto [stop, error] = std::from_chars(name.data(), end, value, 16);
  if (error != std::errc() || stop != end || value < 0) return std::nullopt;
  if (absl::StrFormat("%x", value) != ToAbsl(name.substr(0, name.size() - suffix.size()))) {
    return std::nullopt;
  }
  return LedgerId(value);
}

bool IsIndexDirectoryName(std::string_view name) {
  if (name.empty() || name.size() > 2 || (name.size() == 2 && name[0] == '0')) return false;
  return name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace stele::bookie
