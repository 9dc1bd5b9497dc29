#include "metadata/underreplication_format.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/bookie_id.h"
#include "metadata/decimal.h"
#include "metadata/proto_text.h"
#include "proto/underreplication.pb.h"

namespace stele::metadata {
namespace {

constexpr std::string_view kTaskPrefix = "urL";
constexpr size_t kTaskDigitsMin = 10;
constexpr size_t kHexGroup = 4;
constexpr char kLayoutType[] = "BASIC";
constexpr int32_t kLayoutVersion = 1;

std::string HexPath(LedgerId ledger) {
  constexpr std::string_view kHex = "0123456789abcdef";
  const auto bits = static_cast<uint64_t>(ledger.value());
  std::string path;
  for (int digit = 15; digit >= 0; --digit) {
    if (digit % 4 == 3) path += '/';
    path += kHex[(bits >> (4 * digit)) & 0xf];
  }
  return path;
}

}  // namespace

std::string UnderreplicationPaths::CheckTime(CheckKind kind) const {
  switch (kind) {
    case CheckKind::kAllLedgers: return base_ + "/checkallledgersctime";
    case CheckKind::kPlacement: return base_ + "/placementpolicycheckctime";
    case CheckKind::kReplicas: return base_ + "/replicascheckctime";
  }
  return base_;
}

std::string UnderreplicationPaths::TaskDirectory(LedgerId ledger) const {
  return tasks() + HexPath(ledger);
}
std::string UnderreplicationPaths::Task(LedgerId ledger) const {
  return StrCat(TaskDirectory(ledger), "/", TaskName(ledger));
}
std::string UnderreplicationPaths::Lock(LedgerId ledger) const {
  return StrCat(locks(), "/", TaskName(ledger));
}

std::string TaskName(LedgerId ledger) {
  return StrCat(kTaskPrefix, ZeroPadded(ledger.value(), kTaskDigitsMin));
}

std::optional<LedgerId> LedgerOfTaskName(std::string_view name) {
  if (name.substr(0, kTaskPrefix.size()) != kTaskPrefix) return std::nullopt;
  const std::optional<int64_t> id = ParseDecimal(name.substr(kTaskPrefix.size()));
  if (!id.has_value() || *id < 0 || TaskName(LedgerId(*id)) != name) return std::nullopt;
  return LedgerId(*id);
}

bool IsTaskDirectoryName(std::string_view name) {
  return name.size() == kHexGroup &&
         name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::optional<LedgerId> LedgerOfTaskDirectory(std::string_view hex1, std::string_view hex2,
                                              std::string_view hex3, std::string_view hex4) {
  std::string hex;
  for (std::string_view part : {hex1, hex2, hex3, hex4}) {
    if (!IsTaskDirectoryName(part)) return std::nullopt;
    hex += part;
  }
  uint64_t bits = 0;
  const auto [end, error] = std::from_chars(hex.data(), hex.data() + hex.size(), bits, 16);
  if (error != std::errc() || bits > INT64_MAX) return std::nullopt;
  return LedgerId(static_cast<int64_t>(bits));
}

std::string SerializeUnderreplicationLayout() {
  stored::LedgerRereplicationLayoutFormat layout;
  layout.set_type(kLayoutType);
  layout.set_version(kLayoutVersion);
  return PrintProtoText(layout);
}

absl::Status CheckUnderreplicationLayout(std::string_view bytes) {
  stored::LedgerRereplicationLayoutFormat layout;
  STELE_TRY_OK(ParseProtoText(bytes, &layout));
  if (layout.type() == kLayoutType && layout.version() == kLayoutVersion) return absl::OkStatus();
  return MakeError(
      ErrorCode::kUnsupported,
      StrCat("the under-replication layout is \"", layout.type(), "\" version ", layout.version(),
             "; only \"", kLayoutType, "\" version ", kLayoutVersion, " is known"));
}

std::string SerializeMark(const UnderreplicationMark& mark) {
  stored::UnderreplicatedLedgerFormat format;
  for (const BookieId& bookie : mark.replicas) format.add_replica(bookie.value());
  if (mark.marked_at.has_value()) format.set_ctime(absl::ToUnixMillis(*mark.marked_at));
  return PrintProtoText(format);
}

absl::StatusOr<UnderreplicationMark> ParseMark(std::string_view bytes) {
  stored::UnderreplicatedLedgerFormat format;
  STELE_TRY_OK(ParseProtoText(bytes, &format));
  UnderreplicationMark mark;
  for (const std::string& replica : format.replica()) {
    if (!IsValidBookieId(replica)) {
      return MakeError(ErrorCode::kCorruptData, "a replica of a mark is no bookie id");
    }
    mark.replicas.emplace_back(replica);
  }
  if (format.has_ctime()) mark.marked_at = absl::FromUnixMillis(format.ctime());
  return mark;
}

std::optional<UnderreplicationMark> MergeMark(const UnderreplicationMark& mark,
                                              const std::vector<BookieId>& replicas,
                                              absl::Time now) {
  UnderreplicationMark merged = mark;
  for (const BookieId& bookie : replicas) {
    if (std::find(merged.replicas.begin(), merged.replicas.end(), bookie) ==
        merged.replicas.end()) {
      merged.replicas.push_back(bookie);
    }
  }
  if (merged.replicas.size() == mark.replicas.size()) return std::nullopt;
  merged.marked_at = now;
  return merged;
}

std::string SerializeOwner(std::string_view owner) {
  stored::LockDataFormat format;
  format.set_bookieid(std::string(owner));
  return PrintProtoText(format);
}

std::string ParseOwner(std::string_view bytes) {
  stored::LockDataFormat format;
  return ParseProtoText(bytes, &format).ok() ? format.bookieid() : "";
}

std::string SerializeCheckTime(absl::Time time) {
  stored::CheckTimeFormat format;
  format.set_ctime(absl::ToUnixMillis(time));
  std::string bytes;
  STELE_CHECK(format.SerializeToString(&bytes));
  return bytes;
}

std::optional<absl::Time> ParseCheckTime(std::string_view bytes) {
  stored::CheckTimeFormat format;
  if (!format.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !format.has_ctime() ||
      format.ctime() < 0) {
    return std::nullopt;
  }
  return absl::FromUnixMillis(format.ctime());
}

std::string SerializeRecoveryDelay(absl::Duration delay) {
  return std::to_string(absl::ToInt64Seconds(delay));
}

absl::StatusOr<absl::Duration> ParseRecoveryDelay(std::string_view bytes) {
  // Behind a hundred years nobody waits, and no sum of times overflows.
  constexpr int64_t kSecondsMax = int64_t{100} * 365 * 86'400;
  const std::optional<int64_t> seconds = ParseDecimal(bytes);
  if (!seconds.has_value() || *seconds < 0) {
    return MakeError(ErrorCode::kCorruptData, "the recovery delay is no number of seconds");
  }
  return absl::Seconds(std::min(*seconds, kSecondsMax));
}

}  // namespace stele::metadata
