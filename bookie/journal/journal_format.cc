#include "bookie/journal/journal_format.h"

#include <charconv>
#include <cstring>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr std::string_view kFileSuffix = ".txn";
constexpr std::string_view kFileMagic = "BKLG";
constexpr std::string_view kStreamMagic = "STLH";
constexpr std::string_view kFooterMagic = "STLF";
constexpr int16_t kStreamVersion = 1;
constexpr int16_t kFooterVersion = 1;
constexpr size_t kStreamOffset = 8;
constexpr size_t kStreamSizeBytes = 56;
constexpr int kFirstVersionWithPadding = 5;
constexpr int32_t kPaddingMark = -0x100;
constexpr size_t kPaddingHeadSizeBytes = 8;

void WritePadding(char* to, uint64_t size) {
  StoreBigEndian<int32_t>(to, kPaddingMark);
  StoreBigEndian<int32_t>(to + 4, static_cast<int32_t>(size - kPaddingHeadSizeBytes));
  std::memset(to + kPaddingHeadSizeBytes, 0, size - kPaddingHeadSizeBytes);
}

std::string MetaRecord(LedgerId ledger, int64_t record_id) {
  std::string body;
  AppendBigEndian<int64_t>(body, ledger.value());
  AppendBigEndian<int64_t>(body, record_id);
  return body;
}

Buffer MetaRecordWithBytes(LedgerId ledger, int64_t record_id, std::string_view bytes) {
  std::string body = MetaRecord(ledger, record_id);
  AppendBigEndian<int32_t>(body, static_cast<int32_t>(bytes.size()));
  body.append(bytes);
  return Buffer::FromString(std::move(body));
}

// The bytes behind the i32 that counts them.
absl::StatusOr<std::string_view> CountedBytes(std::string_view from, int32_t size_min) {
  if (from.size() >= 4) {
    const int32_t size = LoadBigEndian<int32_t>(from.data());
    if (size >= size_min && static_cast<size_t>(size) <= from.size() - 4) {
      return from.substr(4, static_cast<size_t>(size));
    }
  }
  return MakeError(ErrorCode::kCorruptData, "the inner length of a meta record does not fit");
}

absl::StatusOr<StreamHeader> ParseStreamHeader(std::string_view head) {
  const char* const at = head.data() + kStreamOffset;
  // The checksum covers the file's magic and version as well.
  if (LoadBigEndian<uint32_t>(at + 52) != Crc32c(head.substr(0, 60))) {
    return MakeError(ErrorCode::kCorruptData, "the header's checksum is wrong");
  }
  if (LoadBigEndian<int16_t>(at + 4) != kStreamVersion ||
      LoadBigEndian<int32_t>(at + 16) != static_cast<int32_t>(kJournalBlockSizeBytes)) {
    return MakeError(ErrorCode::kCorruptData, "written by a later version of Stele");
  }
  StreamHeader stream;
  stream.stream_uuid = LoadBigEndian<uint64_t>(at + 8);
  stream.batch_size_max_bytes = LoadBigEndian<uint32_t>(at + 20);
  stream.file_id = LoadBigEndian<int64_t>(at + 24);
  stream.previous_file_id = LoadBigEndian<int64_t>(at + 32);
  if (stream.batch_size_max_bytes > kBatchSizeLimitBytes) {
    return MakeError(ErrorCode::kCorruptData, "the header names an impossible batch size");
  }
  return stream;
}

}  // namespace

std::string JournalFileName(int64_t file_id) {
  return StrCat(absl::Hex(static_cast<uint64_t>(file_id)), kFileSuffix);
}

absl::StatusOr<std::optional<int64_t>> ParseJournalFileName(std::string_view name) {
  if (!name.ends_with(kFileSuffix)) return std::nullopt;
  const std::string_view digits = name.substr(0, name.size() - kFileSuffix.size());
  int64_t file_id = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), file_id, 16);
  if (error != std::errc() || file_id <= 0 || JournalFileName(file_id) != name) {
    return MakeError(ErrorCode::kCorruptData, StrCat(name, " is not the name of a journal file"));
  }
  return file_id;
}

absl::StatusOr<JournalFileHeader> ParseJournalFileHeader(std::string_view head) {
  head = head.substr(0, kJournalHeaderSizeBytes);
  const bool has_stream_magic = head.size() >= kStreamOffset + kStreamSizeBytes &&
                                head.substr(kStreamOffset, 4) == kStreamMagic;
  if (head.size() < 8 || head.substr(0, 4) != kFileMagic) {
    if (has_stream_magic) {
      return MakeError(ErrorCode::kCorruptData, "the header's magic is damaged");
    }
    return JournalFileHeader{.version = 1, .first_record_offset = 0};
  }
  JournalFileHeader header;
  header.version = LoadBigEndian<int32_t>(head.data() + 4);
  if (has_stream_magic) {
    STELE_TRY(header.stream, ParseStreamHeader(head));
    header.stream->is_reused = header.version == kReusedJournalVersion;
  }
  const int highest = has_stream_magic ? kReusedJournalVersion : kJournalVersion;
  if (header.version < 1 || header.version > highest) {
    return MakeError(ErrorCode::kCorruptData,
                     StrCat("journal version ", header.version, " does not exist"));
  }
  if (header.version < kFirstVersionWithPadding) {
    header.first_record_offset = header.version == 1 ? 0 : 8;
    return header;
  }
  header.first_record_offset = kJournalHeaderSizeBytes;
  if (!header.stream.has_value() && !IsAllZero(head.substr(kStreamOffset))) {
    // Java leaves these bytes zero: this was Stele's extension.
    return MakeError(ErrorCode::kCorruptData, "the header's extension is damaged");
  }
  return header;
}

void WriteHeaderBlock(const StreamHeader& stream, char* block) {
  std::memset(block, 0, kJournalHeaderSizeBytes);
  std::memcpy(block, kFileMagic.data(), 4);
  StoreBigEndian<int32_t>(block + 4, stream.is_reused ? kReusedJournalVersion : kJournalVersion);
  char* const at = block + kStreamOffset;
  std::memcpy(at, kStreamMagic.data(), 4);
  StoreBigEndian<int16_t>(at + 4, kStreamVersion);
  StoreBigEndian<uint64_t>(at + 8, stream.stream_uuid);
  StoreBigEndian<int32_t>(at + 16, static_cast<int32_t>(kJournalBlockSizeBytes));
  StoreBigEndian<uint32_t>(at + 20, stream.batch_size_max_bytes);
  StoreBigEndian<int64_t>(at + 24, stream.file_id);
  StoreBigEndian<int64_t>(at + 32, stream.previous_file_id);
  StoreBigEndian<uint32_t>(at + 52, Crc32c({block, 60}));
  WritePadding(block + kJournalHeaderSizeBytes, kJournalBlockSizeBytes - kJournalHeaderSizeBytes);
}

bool IsAllZero(std::string_view bytes) {
  // Each byte equals its neighbour, and the first is zero: memcmp is as fast as memory.
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

std::optional<uint64_t> JavaPaddingSize(uint64_t position, uint64_t alignment) {
  const uint64_t past = position % alignment;
  if (past == 0) return std::nullopt;
  const uint64_t gap = alignment - past;
  if (gap >= kPaddingHeadSizeBytes) return gap - kPaddingHeadSizeBytes;
  return alignment - (kPaddingHeadSizeBytes - gap);
}

RecordScan ScanRecord(std::string_view bytes, int version, uint64_t record_size_max_bytes) {
  using Kind = RecordScan::Kind;
  if (bytes.size() < kRecordLengthSizeBytes) {
    return {.kind = Kind::kNeedMore, .size_bytes = kRecordLengthSizeBytes};
  }
  const int32_t length = LoadBigEndian<int32_t>(bytes.data());
  if (length == 0) return {.kind = Kind::kEnd};
  if (length == kPaddingMark && version >= kFirstVersionWithPadding) {
    if (bytes.size() < kPaddingHeadSizeBytes) {
      return {.kind = Kind::kNeedMore, .size_bytes = kPaddingHeadSizeBytes};
    }
    const int32_t padding = LoadBigEndian<int32_t>(bytes.data() + 4);
    if (padding < 0) return {.kind = Kind::kBad, .why = "the length of a padding is negative"};
    return {.kind = Kind::kPadding,
            .size_bytes = kPaddingHeadSizeBytes + static_cast<uint64_t>(padding)};
  }
  if (length < 0) return {.kind = Kind::kBad, .why = "a record's length is negative"};
  const auto size = static_cast<uint64_t>(length);
  if (size < kRecordBodySizeMinBytes) {
    return {.kind = Kind::kBad, .why = "a record is too short for its ids"};
  }
  if (size > record_size_max_bytes) {
    return {.kind = Kind::kBad, .why = "a record is longer than any entry may be"};
  }
  if (bytes.size() - kRecordLengthSizeBytes < size) {
    return {.kind = Kind::kNeedMore, .size_bytes = kRecordLengthSizeBytes + size};
  }
  return {.kind = Kind::kRecord,
          .size_bytes = kRecordLengthSizeBytes + size,
          .body = bytes.substr(kRecordLengthSizeBytes, size)};
}

Buffer MakeMasterKeyRecord(LedgerId ledger, std::string_view key) {
  return MetaRecordWithBytes(ledger, kMasterKeyRecordId, key);
}

Buffer MakeFenceRecord(LedgerId ledger) {
  return Buffer::FromString(MetaRecord(ledger, kFenceRecordId));
}

Buffer MakeExplicitLacRecord(LedgerId ledger, std::string_view packet) {
  return MetaRecordWithBytes(ledger, kExplicitLacRecordId, packet);
}

absl::StatusOr<JournalRecord> ParseJournalRecord(std::string_view body) {
  if (body.size() < kRecordBodySizeMinBytes) {
    return MakeError(ErrorCode::kCorruptData, "a record is too short for its ids");
  }
  JournalRecord record;
  record.ledger = LedgerId(LoadBigEndian<int64_t>(body.data()));
  record.entry = EntryId(LoadBigEndian<int64_t>(body.data() + 8));
  const std::string_view rest = body.substr(kRecordBodySizeMinBytes);
  if (record.entry.value() >= 0) {
    record.kind = JournalRecord::Kind::kEntry;
    record.content = body;
    return record;
  }
  switch (record.entry.value()) {
    case kMasterKeyRecordId: {
      record.kind = JournalRecord::Kind::kMasterKey;
      STELE_TRY(record.content, CountedBytes(rest, 0));
      return record;
    }
    case kFenceRecordId: record.kind = JournalRecord::Kind::kFence; return record;
    case kExplicitLacRecordId: {
      record.kind = JournalRecord::Kind::kExplicitLac;
      STELE_TRY(record.content, CountedBytes(rest, 16));
      return record;
    }
    default: return record;
  }
}

uint64_t BatchSize(uint64_t records_size_bytes) {
  constexpr uint64_t kBlock = kJournalBlockSizeBytes;
  const uint64_t needed = records_size_bytes + kBatchFooterRecordSizeBytes;
  const uint64_t size = (needed + kBlock - 1) / kBlock * kBlock;
  // A gap that is too small for the head of a padding record needs another block.
  const uint64_t gap = size - needed;
  return gap == 0 || gap >= kPaddingHeadSizeBytes ? size : size + kBlock;
}

void WriteBatchTail(const BatchFooter& footer, char* batch) {
  const uint64_t size = BatchSize(footer.records_size_bytes);
  const uint64_t footer_at = size - kBatchFooterRecordSizeBytes;
  if (footer_at > footer.records_size_bytes) {
    WritePadding(batch + footer.records_size_bytes, footer_at - footer.records_size_bytes);
  }
  WritePadding(batch + footer_at, kBatchFooterRecordSizeBytes);
  char* const at = batch + footer_at + kPaddingHeadSizeBytes;
  std::memcpy(at, kFooterMagic.data(), 4);
  StoreBigEndian<int16_t>(at + 4, kFooterVersion);
  StoreBigEndian<uint64_t>(at + 8, footer.stream_uuid);
  StoreBigEndian<uint64_t>(at + 16, footer.sequence);
  StoreBigEndian<uint64_t>(at + 24, footer.start_offset);
  StoreBigEndian<uint32_t>(at + 32, footer.records_size_bytes);
  StoreBigEndian<uint32_t>(at + 36, footer.record_count);
  StoreBigEndian<uint64_t>(at + 40, footer.durable_sequence);
  StoreBigEndian<uint32_t>(at + 48, footer.records_crc);
  StoreBigEndian<int64_t>(at + 52, footer.file_id);
  StoreBigEndian<uint32_t>(at + 60, Crc32c({at, 60}));
}

std::optional<BatchFooter> ParseBatchFooter(std::string_view block_end, uint64_t end_offset) {
  if (block_end.size() < kBatchFooterRecordSizeBytes) return std::nullopt;
  const char* const record = block_end.data() + block_end.size() - kBatchFooterRecordSizeBytes;
  const char* const at = record + kPaddingHeadSizeBytes;
  if (LoadBigEndian<int32_t>(record) != kPaddingMark ||
      LoadBigEndian<int32_t>(record + 4) != static_cast<int32_t>(kBatchFooterSizeBytes) ||
      std::string_view(at, 4) != kFooterMagic || LoadBigEndian<int16_t>(at + 4) != kFooterVersion ||
      LoadBigEndian<uint32_t>(at + 60) != Crc32c({at, 60})) {
    return std::nullopt;
  }
  BatchFooter footer;
  footer.stream_uuid = LoadBigEndian<uint64_t>(at + 8);
  footer.sequence = LoadBigEndian<uint64_t>(at + 16);
  footer.start_offset = LoadBigEndian<uint64_t>(at + 24);
  footer.records_size_bytes = LoadBigEndian<uint32_t>(at + 32);
  footer.record_count = LoadBigEndian<uint32_t>(at + 36);
  footer.durable_sequence = LoadBigEndian<uint64_t>(at + 40);
  footer.records_crc = LoadBigEndian<uint32_t>(at + 48);
  footer.file_id = LoadBigEndian<int64_t>(at + 52);
  const uint64_t size = BatchSize(footer.records_size_bytes);
  if (size > end_offset || footer.start_offset != end_offset - size ||
      footer.start_offset < kJournalBlockSizeBytes ||
      footer.start_offset % kJournalBlockSizeBytes != 0) {
    return std::nullopt;
  }
  return footer;
}

}  // namespace stele::bookie
