// The bytes of entry logs: header, records, locations, ledgers map. Java's format, so that its
// tools read Stele's logs. All integers are big-endian. See docs/FORMATS.md, "Entry logs".
//
//   file     header, dummy record, records and padding ..., ledgers map (once the log is sealed)
//   header        0   4  "BKLO"
//                 4   4  version: 0 = never a ledgers map, 1
//                 8   8  offset of the ledgers map; 0 until the log is sealed
//                16   4  ledgers in the map; 0 until the log is sealed
//                20      zeroes up to 1024
//   record        0   4  size of the rest, at least 16
//                 4   8  ledger       (these are the first bytes of the entry packet)
//                12   8  entry
//                20      the rest of the packet
//   map record    size = 20 + 16 n, ledger -1, entry -2, i32 n, n times { i64 ledger, i64 bytes }
//
// A location names a record by the log's id and the offset behind the record's size field. The
// header is a hint only: old releases of Java wrote garbage into it.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/ids.h"

namespace stele::bookie {

// An entry log's number: 0 .. 2^31-1, unique over all ledger directories of a bookie.
class EntryLogId {
 public:
  constexpr EntryLogId() = default;
  constexpr explicit EntryLogId(int32_t value) : value_(value) {}
  constexpr int32_t value() const { return value_; }
  // The number after the largest is 0.
  constexpr EntryLogId Next() const { return EntryLogId(value_ == INT32_MAX ? 0 : value_ + 1); }
  friend constexpr auto operator<=>(EntryLogId, EntryLogId) = default;

 private:
  int32_t value_ = -1;
};

inline constexpr size_t kEntryLogHeaderSize = 1024;
// Stele's first record. Between header and it lies a dummy record, as Java's direct writer leaves
// it, so that writes can be aligned to blocks.
inline constexpr size_t kEntryLogDataOffset = 4096;
// Writes are whole blocks. The end of a flush is filled up with this byte, as Java's direct writer
// does: scanners take four or more of them, where the size of a record would stand, for padding
// that ends at a multiple of the block.
inline constexpr size_t kEntryLogBlockBytes = 4096;
inline constexpr char kEntryLogPaddingByte = '\xf0';
// How much a log of `size` bytes is filled up by: nothing, or 4 bytes or more.
constexpr size_t EntryLogPaddingSize(uint64_t size) {
  const size_t rest = kEntryLogBlockBytes - size % kEntryLogBlockBytes;
  if (rest == kEntryLogBlockBytes) return 0;
  return rest >= 4 ? rest : rest + kEntryLogBlockBytes;
}
// Offsets are 31-bit numbers.
inline constexpr uint64_t kEntryLogSizeLimitBytes = (1ull << 31) - 1;

inline constexpr size_t kRecordSizeFieldBytes = 4;
inline constexpr size_t kRecordIdsBytes = 16;
inline constexpr size_t kRecordHeadBytes = kRecordSizeFieldBytes + kRecordIdsBytes;

// Entry ids that an .idx file can address (1024 + 8 * id fits its offsets, with room); above:
// kBadRequest before the journal.
inline constexpr int64_t kEntryIdMax = int64_t{1} << 40;

// Where a record is. Packed into 64 bits in index files; 0 there means "no entry".
class EntryLocation {
 public:
  constexpr EntryLocation() = default;
  // `record_offset`: of the record's size field.
  constexpr EntryLocation(EntryLogId log, uint64_t record_offset)
      : packed_(int64_t{log.value()} << 32 |
                static_cast<int64_t>(record_offset + kRecordSizeFieldBytes)) {}
  static constexpr EntryLocation FromPacked(int64_t packed) {
    EntryLocation result;
    result.packed_ = packed;
    return result;
  }
  constexpr int64_t packed() const { return packed_; }
  constexpr bool IsAbsent() const { return packed_ == 0; }
  // False: these bits cannot have been written as a location.
  constexpr bool IsPlausible() const {
    return packed_ > 0 && (packed_ & 0xffffffff) <= static_cast<int64_t>(kEntryLogSizeLimitBytes) &&
           (packed_ & 0xffffffff) >= static_cast<int64_t>(kEntryLogHeaderSize + 4);
  }
  constexpr EntryLogId log() const { return EntryLogId(static_cast<int32_t>(packed_ >> 32)); }
  constexpr uint64_t record_offset() const {
    return static_cast<uint64_t>(packed_ & 0xffffffff) - kRecordSizeFieldBytes;
  }
  friend constexpr auto operator<=>(EntryLocation, EntryLocation) = default;

 private:
  int64_t packed_ = 0;
};

// "1f4.log" and back; nullopt: not the name that this log has.
std::string EntryLogFileName(EntryLogId log);
std::optional<EntryLogId> ParseEntryLogFileName(std::string_view name);

// What a sealed log's header tells of its ledgers map.
struct EntryLogHeader {
  int32_t version = 1;
  int64_t ledgers_map_offset = 0;
  int32_t ledgers_count = 0;
};

// The first kEntryLogDataOffset bytes of a log: header and dummy record.
std::string MakeEntryLogStart(const EntryLogHeader& header);
// kCorruptData: too short, other magic, unknown version.
absl::StatusOr<EntryLogHeader> ParseEntryLogHeader(std::string_view bytes);

// The first bytes of a record.
struct RecordHead {
  int32_t size = 0;  // without the size field
  LedgerId ledger;
  EntryId entry;
};
// `bytes` has kRecordHeadBytes or more. Judges nothing.
RecordHead ParseRecordHead(const char* bytes);

// Bytes of one ledger's records in one log, size fields included.
struct LedgerBytes {
  LedgerId ledger;
  int64_t bytes = 0;
  friend bool operator==(const LedgerBytes&, const LedgerBytes&) = default;
};

inline constexpr LedgerId kLedgersMapLedger{-1};
inline constexpr EntryId kLedgersMapEntry{-2};
inline constexpr size_t kLedgersPerMapRecordMax = 10'000;
// Size field, ledger, entry, count.
inline constexpr size_t kMapRecordHeadBytes = kRecordHeadBytes + 4;
inline constexpr uint32_t kMapRecordSizeMaxBytes =
    kMapRecordHeadBytes + 16 * kLedgersPerMapRecordMax;

// The ledgers map: one record for each 10,000 ledgers.
std::string MakeLedgersMap(std::span<const LedgerBytes> ledgers);

// The size of the map record that begins with `head` (kMapRecordHeadBytes), size field included.
// kCorruptData unless it is one whose size, ids and count fit each other.
absl::StatusOr<size_t> ParseMapRecordSize(std::string_view head);
// The content of one map record (size field included). kCorruptData: not one, or a ledger below 0,
// or a byte count that is not positive.
absl::StatusOr<std::vector<LedgerBytes>> ParseMapRecord(std::string_view record);

}  // namespace stele::bookie
