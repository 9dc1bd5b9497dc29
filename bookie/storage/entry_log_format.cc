#include "bookie/storage/entry_log_format.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::bookie {
namespace {

constexpr std::string_view kMagic = "BKLO";
constexpr int32_t kVersionMax = 1;
constexpr size_t kMapEntryBytes = 16;
constexpr std::string_view kSuffix = ".log";

}  // namespace

std::string EntryLogFileName(EntryLogId log) { return absl::StrFormat("%x.log", log.value()); }

std::optional<EntryLogId> ParseEntryLogFileName(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  const char* end = name.data() + name.size() - kSuffix.size();
  int32_t value = 0;
  const auto [stop, error] = std::from_chars(name.data(), end, value, 16);
  if (error != std::errc() || stop != end || value < 0) return std::nullopt;
  // A name with upper case or leading zeroes is not where a location leads.
  if (EntryLogFileName(EntryLogId(value)) != name) return std::nullopt;
  return EntryLogId(value);
}

std::string MakeEntryLogStart(const EntryLogHeader& header) {
  std::string bytes(kMagic);
  bytes.reserve(kEntryLogDataOffset);
  AppendBigEndian(bytes, header.version);
  AppendBigEndian(bytes, header.ledgers_map_offset);
  AppendBigEndian(bytes, header.ledgers_count);
  bytes.resize(kEntryLogHeaderSize, '\0');
  AppendBigEndian(bytes, static_cast<int32_t>(kEntryLogDataOffset - kEntryLogHeaderSize -
                                              kRecordSizeFieldBytes));
  AppendBigEndian(bytes, int64_t{-1});
  bytes.resize(kEntryLogDataOffset, '\0');
  return bytes;
}

absl::StatusOr<EntryLogHeader> ParseEntryLogHeader(std::string_view bytes) {
  if (bytes.size() < kEntryLogHeaderSize) {
    return MakeError(ErrorCode::kCorruptData, "entry log is shorter than its header");
  }
  if (!bytes.starts_with(kMagic)) {
    return MakeError(ErrorCode::kCorruptData, "entry log does not begin with BKLO");
  }
  EntryLogHeader header;
  header.version = LoadBigEndian<int32_t>(bytes.data() + 4);
  header.ledgers_map_offset = LoadBigEndian<int64_t>(bytes.data() + 8);
  header.ledgers_count = LoadBigEndian<int32_t>(bytes.data() + 16);
  if (header.version < 0 || header.version > kVersionMax) {
    return MakeError(ErrorCode::kCorruptData,
                     StrCat("entry log has the unknown version ", header.version));
  }
  return header;
}

RecordHead ParseRecordHead(const char* bytes) {
  return {.size = LoadBigEndian<int32_t>(bytes),
          .ledger = LedgerId(LoadBigEndian<int64_t>(bytes + 4)),
          .entry = EntryId(LoadBigEndian<int64_t>(bytes + 12))};
}

std::string MakeLedgersMap(std::span<const LedgerBytes> ledgers) {
  std::string bytes;
  while (!ledgers.empty()) {
    const size_t count = std::min(ledgers.size(), kLedgersPerMapRecordMax);
    AppendBigEndian(bytes, static_cast<int32_t>(kMapRecordHeadBytes - kRecordSizeFieldBytes +
                                                kMapEntryBytes * count));
    AppendBigEndian(bytes, kLedgersMapLedger.value());
    AppendBigEndian(bytes, kLedgersMapEntry.value());
    AppendBigEndian(bytes, static_cast<int32_t>(count));
    for (const LedgerBytes& ledger : ledgers.first(count)) {
      STELE_CHECK(ledger.ledger.IsValid() && ledger.bytes > 0);
      AppendBigEndian(bytes, ledger.ledger.value());
      AppendBigEndian(bytes, ledger.bytes);
    }
    ledgers = ledgers.subspan(count);
  }
  return bytes;
}

absl::StatusOr<size_t> ParseMapRecordSize(std::string_view head) {
  STELE_CHECK(head.size() >= kMapRecordHeadBytes);
  const RecordHead record = ParseRecordHead(head.data());
  const int32_t count = LoadBigEndian<int32_t>(head.data() + kRecordHeadBytes);
  if (record.ledger != kLedgersMapLedger || record.entry != kLedgersMapEntry) {
    return MakeError(ErrorCode::kCorruptData, "not a record of a ledgers map");
  }
  if (count <= 0 || count > static_cast<int32_t>(kLedgersPerMapRecordMax) ||
      record.size != static_cast<int32_t>(kMapRecordHeadBytes - kRecordSizeFieldBytes +
                                          kMapEntryBytes * static_cast<size_t>(count))) {
    return MakeError(ErrorCode::kCorruptData, StrCat("ledgers map record of ", record.size,
                                                     " bytes claims ", count, " ledgers"));
  }
  return kRecordSizeFieldBytes + static_cast<size_t>(record.size);
}

absl::StatusOr<std::vector<LedgerBytes>> ParseMapRecord(std::string_view record) {
  if (record.size() < kMapRecordHeadBytes) {
    return MakeError(ErrorCode::kCorruptData, "ledgers map record is cut off");
  }
  const absl::StatusOr<size_t> size = ParseMapRecordSize(record);
  if (!size.ok()) return size.status();
  if (*size != record.size()) {
    return MakeError(ErrorCode::kCorruptData, "ledgers map record is cut off");
  }
  std::vector<LedgerBytes> ledgers;
  ledgers.reserve((record.size() - kMapRecordHeadBytes) / kMapEntryBytes);
  for (size_t at = kMapRecordHeadBytes; at < record.size(); at += kMapEntryBytes) {
    const LedgerBytes ledger{.ledger = LedgerId(LoadBigEndian<int64_t>(record.data() + at)),
                             .bytes = LoadBigEndian<int64_t>(record.data() + at + 8)};
    if (!ledger.ledger.IsValid() || ledger.bytes <= 0) {
      return MakeError(
          ErrorCode::kCorruptData,
          StrCat("ledgers map gives ledger ", ledger.ledger.value(), " ", ledger.bytes, " bytes"));
    }
    ledgers.push_back(ledger);
  }
  return ledgers;
}

}  // namespace stele::bookie
