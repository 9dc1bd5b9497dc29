// The bytes of a ledger's index file (.idx): header and locations. Java's format. All integers are
// big-endian. See docs/FORMATS.md, "Index files".
//
//   header        0   4  "BKLE"
//                 4   4  version: 0, or 1 (with the explicit LAC)
//                 8   4  size of the master key: 20, or 0 when none is known
//                12   k  master key
//              12+k   4  state bits: 1 = fenced; 0x100 = uncertain (Stele; Java keeps it)
//              16+k   4  size of the explicit LAC, 0 = none, else 16 or more  (version 1)
//              20+k   n  explicit LAC packet: ledger, LAC, digest             (version 1)
//                        zeroes up to 512
//   claim       512 512 index_claim.h, or zeroes
//   locations  1024   8  of entry 0, then of entry 1, ...; 0 = no such entry; whole pages of 1024
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "bookie/storage/index_claim.h"
#include "common/base/ids.h"
#include "common/wire/bookie_messages.h"

namespace stele::bookie {

inline constexpr size_t kIndexHeaderSize = 1024;
// In front of the master key and the explicit LAC, which end with the header at the latest.
inline constexpr size_t kIndexFieldsSize = 20;
inline constexpr size_t kLocationSize = 8;
// A file ends with a multiple of these: a bookie of Java's (pageSize 8192, its default) that looks
// for the last entry fails when the page that has it is cut off.
inline constexpr int64_t kJavaLocationsPerPage = 1024;

inline constexpr int32_t kIndexStateFenced = 0x1;
inline constexpr int32_t kIndexStateUncertain = 0x100;

struct IndexHeader {
  std::optional<wire::MasterKey> master_key;
  int32_t state_bits = 0;    // bits that Stele does not know are kept
  std::string explicit_lac;  // empty, or 16 bytes and more
  // Empty in files that Java made, and in those whose header it wrote last.
  IndexClaim claim;

  // Do the fields leave room for a claim? It is neither read nor written when they do not.
  bool HasRoomForClaim() const;
};

// kIndexHeaderSize bytes of version 1. explicit_lac has at most kExplicitLacSizeMaxBytes, or what
// ParseIndexHeader gave.
std::string MakeIndexHeader(const IndexHeader& header);

// `bytes`: the file's first kIndexHeaderSize bytes, or all of a shorter file. nullopt: nothing but
// zeroes, or cut off: what a crash leaves of a header that never became durable.
// kCorruptData: bytes that no crash leaves.
absl::StatusOr<std::optional<IndexHeader>> ParseIndexHeader(std::string_view bytes,
                                                            LedgerId ledger);

// Where entry's location is in the file.
constexpr uint64_t LocationOffset(int64_t entry) {
  return kIndexHeaderSize + kLocationSize * static_cast<uint64_t>(entry);
}
// How many locations a file of this size holds; a last one that is cut off does not count.
constexpr int64_t LocationCount(uint64_t file_size_bytes) {
  return file_size_bytes < kIndexHeaderSize
             ? 0
             : static_cast<int64_t>((file_size_bytes - kIndexHeaderSize) / kLocationSize);
}

// "1/9", the directory of ledger 0x109 below `current`, and "109.idx", its name there.
std::string IndexFileDirectory(LedgerId ledger);
std::string IndexFileName(LedgerId ledger);
// "1/9/109.idx".
std::string IndexFilePath(LedgerId ledger);

// A file that is being moved to another directory, and one that Stele is making.
inline constexpr std::string_view kIndexSuffix = ".idx";
inline constexpr std::string_view kIndexMovedSuffix = ".idx.rloc";
inline constexpr std::string_view kIndexNewSuffix = ".idx.tmp";

// The ledger of a name that ends in `suffix`; nullopt unless IndexFileName gives that name back.
std::optional<LedgerId> ParseIndexFileName(std::string_view name, std::string_view suffix);

// Is `name` one of the directories that IndexFileDirectory is made of: "0" to "ff"?
bool IsIndexDirectoryName(std::string_view name);

}  // namespace stele::bookie
