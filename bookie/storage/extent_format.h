// The bytes of an extent run: where entries are, and the state of ledgers, sorted by ledger and
// entry. Stele's own format, see docs/FORMATS.md, "Extent runs". Fixed integers are big-endian,
// varints are LEB128.
//
//   file     a page of 4096 bytes that begins with the footer, blocks of 4096 bytes, tail, and the
//            footer again: no damage of one place takes both
//   block     0  4  "StXb"
//             4  4  CRC32C of the 4088 bytes behind
//             8  8  the run's first number, 16  8  its last
//            24  4  number of the block, from 0
//            28  4  bytes of rows
//            32     rows, then zeroes
//   row      varint ledger less that of the row before (of 0 in front of the first); then one of
//     extent   0, varints: first entry, log, offset of its record, groups; and for each group of
//              entries that follow at equal distances: how many, ids apart, bytes apart
//     state    1, flags; with kRowHasHeader: varint state bits, varint key size (0, 20), key,
//              varint size of the explicit LAC, explicit LAC
//            A ledger's extents ascend and do not overlap; its state follows them.
//   tail     varint blocks, and for each: varint ledger of its first row less that of the block
//            before, varint first entry of it (of a state: kStateEntry)
//            varint ledgers, and for each: varint ledger less the one before, flags
//   footer    0  4  "StXf"
//             4  4  version: 2
//             8  8  first number, 16  8  last number: which writes the run holds
//            24  4  blocks
//            28  4  bytes of the tail
//            32  4  CRC32C of the tail
//            36  4  CRC32C of the 36 bytes before
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/index_format.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"

namespace stele::bookie {

inline constexpr size_t kExtentBlockBytes = 4096;
inline constexpr size_t kExtentFooterBytes = 40;
// Where a block lies in the file; that behind the last one is where the tail does.
constexpr uint64_t ExtentBlockOffset(uint32_t number) {
  return (uint64_t{number} + 1) * kExtentBlockBytes;
}

// Flags of a ledger in a run.
inline constexpr uint8_t kRowHasHeader = 1;
inline constexpr uint8_t kRowIsFresh = 2;   // what older runs have of the ledger is void
inline constexpr uint8_t kRowLostSome = 4;  // a block that had locations of it was damaged
// Nothing is left of the ledger: it was removed.
constexpr bool IsRemoval(uint8_t flags) {
  return (flags & kRowIsFresh) != 0 && (flags & kRowHasHeader) == 0;
}

// Which writes a run holds. Two runs hold different ones, or all of one is in the other.
struct RunNumbers {
  uint64_t first = 0;
  uint64_t last = 0;
  bool Contains(const RunNumbers& other) const {
    return first <= other.first && other.last <= last;
  }
  friend auto operator<=>(const RunNumbers&, const RunNumbers&) = default;
};

// Where runs lie, below each index directory.
inline constexpr std::string_view kExtentDirectory = "extents";
// "<first>-<last>.run" in hexadecimal, 16 digits each, and back.
std::string ExtentRunName(const RunNumbers& numbers);
std::optional<RunNumbers> ParseExtentRunName(std::string_view name);
inline constexpr std::string_view kExtentRunSuffix = ".run";
inline constexpr std::string_view kExtentNewSuffix = ".tmp";
// The file that says which number was the last: 8 bytes, and their CRC32C. It may lag.
inline constexpr std::string_view kExtentLastName = "last";
std::string MakeExtentLast(uint64_t number);
// 0: it says nothing.
uint64_t ParseExtentLast(std::string_view bytes);

// The place of a row. A state comes behind all extents of its ledger.
inline constexpr int64_t kStateEntry = INT64_MAX;
struct ExtentKey {
  LedgerId ledger;
  int64_t entry = 0;
  friend auto operator<=>(const ExtentKey&, const ExtentKey&) = default;
};

// The entries of an extent, one after the other.
class ExtentCursor {
 public:
  int64_t entry() const { return entry_; }
  EntryLocation location() const { return EntryLocation(log_, offset_); }
  // False: that was the last one.
  bool Next();
  // Goes on to `entry`, if the extent has it at or behind the present one.
  bool SeekTo(int64_t entry);

 private:
  friend class ExtentBlock;
  bool NextGroup();

  std::string_view groups_;  // the ones that were not begun
  EntryLogId log_;
  int64_t entry_ = 0;
  uint64_t offset_ = 0;
  uint64_t left_ = 0;  // of the present group
  int64_t ids_apart_ = 0;
  uint64_t bytes_apart_ = 0;
};

// What a run says of a ledger, besides locations.
struct LedgerRow {
  uint8_t flags = 0;
  std::optional<IndexHeader> header;  // without a claim
};

// A block that has been read. Immutable.
class ExtentBlock {
 public:
  // kCorruptData: not this block, or not as it was written.
  static absl::StatusOr<ExtentBlock> Parse(Buffer bytes, const RunNumbers& run, uint32_t number);

  size_t row_count() const { return rows_.size(); }
  const ExtentKey& key(size_t row) const { return rows_[row].key; }
  bool IsState(size_t row) const { return rows_[row].key.entry == kStateEntry; }
  // The last row at or before `key`.
  std::optional<size_t> Floor(const ExtentKey& key) const;
  // At the first entry.
  ExtentCursor extent(size_t row) const;
  int64_t last_entry(size_t row) const { return rows_[row].last_entry; }
  // Of the last row: that of its last entry.
  ExtentKey last_key() const {
    const Row& last = rows_.back();
    return IsState(row_count() - 1) ? last.key : ExtentKey{last.key.ledger, last.last_entry};
  }
  LedgerRow state(size_t row) const;
  // What it takes of the memory, about.
  size_t memory_bytes() const {
    return sizeof(ExtentBlock) + bytes_.size() + rows_.capacity() * sizeof(Row);
  }

 private:
  struct Row {
    ExtentKey key;
    int64_t last_entry = 0;
    uint16_t at = 0;  // in bytes_, behind the kind
  };
  bool ParseRows(std::string_view rows);

  Buffer bytes_;
  std::vector<Row> rows_;
};

// What is in memory of each run.
struct ExtentRunTail {
  std::vector<ExtentKey> blocks;  // their first rows
  std::vector<LedgerId> ledgers;  // ascending
  std::vector<uint8_t> flags;     // of these
  friend bool operator==(const ExtentRunTail&, const ExtentRunTail&) = default;
};

struct ExtentRunFooter {
  RunNumbers numbers;
  uint32_t blocks = 0;
  uint32_t tail_bytes = 0;
  uint32_t tail_crc = 0;
};

// The file's size.
constexpr uint64_t ExtentRunBytes(const ExtentRunFooter& footer) {
  return ExtentBlockOffset(footer.blocks) + footer.tail_bytes + kExtentFooterBytes;
}

// `bytes`: one of the two. kCorruptData: it is damaged; kUnsupported: another version.
absl::StatusOr<ExtentRunFooter> ParseExtentFooter(std::string_view bytes);
// `bytes` lie between the blocks and the second footer. kCorruptData.
absl::StatusOr<ExtentRunTail> ParseExtentTail(std::string_view bytes,
                                              const ExtentRunFooter& footer);

// Makes a run's bytes. Ledgers ascend, and of each the entries.
class ExtentRunBuilder {
 public:
  explicit ExtentRunBuilder(RunNumbers numbers) : numbers_(numbers) {}

  // `location` is plausible.
  void AddEntry(LedgerId ledger, int64_t entry, EntryLocation location);
  // Behind the entries of a ledger, also when there are none.
  void EndLedger(LedgerId ledger, const LedgerRow& row);

  // Whole blocks that have not been taken.
  size_t ready_bytes() const { return ready_.size(); }
  std::string TakeReady();
  // The rest of the file. Then the run is at its end.
  std::string Finish();
  // After Finish: what lies in front of the blocks.
  std::string FirstPage() const;
  ExtentRunTail TakeTail() { return std::move(tail_); }

 private:
  struct Group {
    uint64_t count = 0;
    int64_t ids_apart = 0;
    uint64_t bytes_apart = 0;
  };
  struct Extent {
    int64_t first = 0;
    EntryLocation at;
    int64_t last = 0;
    uint64_t last_offset = 0;
    std::string groups;  // without the last
    uint64_t group_count = 0;
    Group group;
  };

  bool Extend(int64_t entry, EntryLocation location);
  void EndGroup();
  void EndExtent();
  void AddRow(const ExtentKey& key, std::string_view row);
  void EndBlock();

  const RunNumbers numbers_;
  LedgerId ledger_;  // whose entries are being added
  std::optional<Extent> extent_;
  std::string rows_;  // of the present block
  LedgerId row_ledger_{0};
  std::string ready_;
  ExtentRunTail tail_;
  std::string footer_;
};

}  // namespace stele::bookie
