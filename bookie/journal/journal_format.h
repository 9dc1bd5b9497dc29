// The bytes of journal files: pure codecs, no I/O. The reader takes what Java wrote in versions 1
// to 6; the writer writes version 6 with Stele's additions hidden where Java does not look, and
// version 7, which Java refuses, when it writes a file again.
//
//   file     header of 512 bytes (0 in v1, 8 in v2..v4), then records
//   record   i32 length (> 0), then so many bytes: i64 ledger, i64 entry, ...
//   padding  i32 0xFFFFFF00, i32 size, then so many bytes that nobody reads (v5, v6)
//   end      length 0, or the end of the file
//
// Stele's files: the first block of 4096 bytes is the header, with an extension in its unused bytes
// (StreamHeader), and one padding record. Then batches, each a multiple of 4096 bytes: records, a
// padding record that fills up (none if nothing is left), and a padding record of 72 bytes that
// ends the batch and carries its BatchFooter. So every footer lies at the end of a block, where a
// reader that has lost its way finds it without trusting any length.
// All integers are big-endian. Source: docs/FORMATS.md "Journal".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"

namespace stele::bookie {

inline constexpr int kJournalVersion = 6;               // what we write
inline constexpr int kReusedJournalVersion = 7;         // the same, in a reused file
inline constexpr size_t kJournalHeaderSizeBytes = 512;  // v5 and v6
inline constexpr size_t kJournalBlockSizeBytes = 4096;  // batches begin and end on multiples of it
inline constexpr size_t kBatchFooterSizeBytes = 64;
// The footer as a padding record.
inline constexpr size_t kBatchFooterRecordSizeBytes = 8 + kBatchFooterSizeBytes;
inline constexpr size_t kRecordLengthSizeBytes = 4;
inline constexpr size_t kRecordBodySizeMinBytes = 16;
// No honest header names a larger batch; bounds what a reader allocates.
inline constexpr uint32_t kBatchSizeLimitBytes = 256u << 20;

// Entry ids of meta records. -0x4000 ("force ledger") is a marker in Java's memory, never on disk.
inline constexpr int64_t kMasterKeyRecordId = -0x1000;
inline constexpr int64_t kFenceRecordId = -0x2000;
inline constexpr int64_t kExplicitLacRecordId = -0x8000;

// ---- File names: hex(id) + ".txn", lower case, no leading zeros. -------------------------------

std::string JournalFileName(int64_t file_id);
// The id; nullopt when `name` does not end in ".txn". kCorruptData: it does, but the rest is not
// what JournalFileName makes of a positive id.
absl::StatusOr<std::optional<int64_t>> ParseJournalFileName(std::string_view name);

// ---- File header --------------------------------------------------------------------------------

// Stele's extension, in bytes 8..63 of the header of v6:
//    8  4  "STLH"            12  2  version 1          14  2  flags, 0
//   16  8  stream uuid       24  4  alignment, 4096    28  4  size of the largest batch, bytes
//   32  8  file id           40  8  previous file's id, 0 in the first file of the stream
//   48 12  zero              60  4  CRC-32C of bytes 0..59
// A stream is what one incarnation of a journal writes. A reused file was part of it before, under
// a lower id: behind its batches there may be old ones instead of zeros. Java would read on into
// these, so the file has a version that it refuses (kReusedJournalVersion).
struct StreamHeader {
  uint64_t stream_uuid = 0;
  uint32_t batch_size_max_bytes = 0;
  int64_t file_id = 0;
  int64_t previous_file_id = 0;
  bool is_reused = false;
  friend bool operator==(const StreamHeader&, const StreamHeader&) = default;
};

struct JournalFileHeader {
  int version = 0;
  uint64_t first_record_offset = 0;    // 0, 8 or 512
  std::optional<StreamHeader> stream;  // absent: written by Java, without checksums
};

// `head` is the first kJournalHeaderSizeBytes of the file, or all of a shorter one.
// kCorruptData: a version that does not exist, or a damaged extension.
absl::StatusOr<JournalFileHeader> ParseJournalFileHeader(std::string_view head);

// Writes the first block of a file, kJournalBlockSizeBytes at `block`.
void WriteHeaderBlock(const StreamHeader& stream, char* block);

// True when there is no byte but zeros: space that was filled in advance and never used.
bool IsAllZero(std::string_view bytes);

// ---- Records ------------------------------------------------------------------------------------

// The bytes that a padding record must have behind its 8 bytes of head so that it ends on a
// multiple of `alignment` when it begins at `position`: Java's arithmetic. nullopt: already
// aligned.
std::optional<uint64_t> JavaPaddingSize(uint64_t position, uint64_t alignment);

// What lies at the beginning of `bytes`.
struct RecordScan {
  enum class Kind {
    kRecord,
    kPadding,
    kEnd,       // length 0
    kNeedMore,  // cut off; size_bytes are needed to know more
    kBad,       // cannot be what was written; `why` says so
  };
  Kind kind = Kind::kEnd;
  uint64_t size_bytes = 0;  // kRecord, kPadding: with head; may reach behind `bytes` for kPadding
  std::string_view body;    // kRecord
  const char* why = "";     // kBad
};

// version   of the file: padding exists from 5 on
// record_size_max_bytes   a longer body is bad
RecordScan ScanRecord(std::string_view bytes, int version, uint64_t record_size_max_bytes);

// Bodies of meta records, as Journal::Append takes them.
Buffer MakeMasterKeyRecord(LedgerId ledger, std::string_view key);
Buffer MakeFenceRecord(LedgerId ledger);
// `packet`: i64 ledger, i64 LAC, digest; as the client sent it.
Buffer MakeExplicitLacRecord(LedgerId ledger, std::string_view packet);

struct JournalRecord {
  enum class Kind {
    kEntry,        // `content` is the whole body, which is the entry packet
    kMasterKey,    // `content` is the key
    kFence,        // no content
    kExplicitLac,  // `content` is the packet
    kUnknown,      // a negative entry id that no version defines: to be skipped
  };
  Kind kind = Kind::kUnknown;
  LedgerId ledger;
  EntryId entry;             // as stored: negative for all but kEntry
  std::string_view content;  // points into the body
};

// kCorruptData: too short, or the inner length of a meta record does not fit.
absl::StatusOr<JournalRecord> ParseJournalRecord(std::string_view body);

// ---- Batches ------------------------------------------------------------------------------------

// The footer, in the 64 ignored bytes of the padding record that ends a batch:
//    0  4  "STLF"              4  2  version 1            6  2  flags, 0
//    8  8  stream uuid        16  8  batch sequence (per stream: 1, 2, 3, ...)
//   24  8  start of the batch in its file
//   32  4  bytes of records   36  4  number of records
//   40  8  durable sequence: when this batch was written, all up to it were durable
//   48  4  CRC-32C of the records
//   52  8  file id            60  4  CRC-32C of bytes 0..59
struct BatchFooter {
  uint64_t stream_uuid = 0;
  uint64_t sequence = 0;
  uint64_t start_offset = 0;
  uint32_t records_size_bytes = 0;
  uint32_t record_count = 0;
  uint64_t durable_sequence = 0;
  uint32_t records_crc = 0;
  int64_t file_id = 0;
  friend bool operator==(const BatchFooter&, const BatchFooter&) = default;
};

// The size of a batch whose records take `records_size_bytes`: the least multiple of the block size
// in which the footer fits behind the records, directly or behind a padding record.
uint64_t BatchSize(uint64_t records_size_bytes);

// Fills a batch from the end of its records to its end. `batch` has room for BatchSize(records).
void WriteBatchTail(const BatchFooter& footer, char* batch);

// The footer that the last kBatchFooterRecordSizeBytes of `block_end` hold, if they do and the
// footer fits to the offset at which its batch ends.
std::optional<BatchFooter> ParseBatchFooter(std::string_view block_end, uint64_t end_offset);

}  // namespace stele::bookie
