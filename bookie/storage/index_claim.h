// What an index file says of itself: how long it was, and which of its sectors had a location, when
// it was synced. No location ever becomes zero again, whoever writes the file, so a sector that is
// claimed and empty has lost what it had. Pure. The claim is the file's second sector, which is
// written at once; see docs/FORMATS.md, "Index files".
//
//   sectors   512    4  "StLs", or zeroes: no claim
//             516    4  n, 1 .. 30
//             520  16 n  n times: first and last sector of a run, ascending, with gaps between
//                        zeroes up to 1004
//            1004    4  CRC32C of the 492 bytes before
//   size     1008    4  "StLe", or zeroes: no claim
//            1012    8  size of the file
//            1020    4  CRC32C of the 12 bytes before
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stele::bookie {

// Sector 0 begins behind the header: the locations of entries 0 to 63.
inline constexpr size_t kIndexSectorSize = 512;
inline constexpr int64_t kLocationsPerSector = 64;

inline constexpr size_t kClaimOffset = 512;
inline constexpr size_t kClaimSize = 512;
// Of a ledger that is spread over more, the shortest runs are not claimed.
inline constexpr size_t kClaimedRunsMax = 30;

struct SectorRun {
  int64_t first = 0;
  int64_t last = 0;
  bool operator==(const SectorRun&) const = default;
};

struct IndexClaim {
  uint64_t size_bytes = 0;         // 0: not claimed
  std::vector<SectorRun> sectors;  // ascending, with gaps between

  void Add(SectorRun run);
  bool Has(int64_t sector) const;
  // -1: none is claimed.
  int64_t LastSector() const { return sectors.empty() ? -1 : sectors.back().last; }
  // `content`: what the file has there, or less where it ends.
  bool IsLost(int64_t sector, std::string_view content) const;

  bool operator==(const IndexClaim&) const = default;
};

// Does this sector have no location? `content`: kIndexSectorSize bytes, or less where a file ends.
bool IsEmptySector(std::string_view content);

// kClaimSize bytes.
std::string MakeIndexClaim(const IndexClaim& claim);
// A part that is not whole claims nothing. `bytes` has kClaimSize.
IndexClaim ParseIndexClaim(std::string_view bytes);

}  // namespace stele::bookie
