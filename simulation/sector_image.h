// SectorImage: the bytes of one simulated file, sparse, in pages that images share until one of
// them writes. A file has two: what processes see and what survives a power cut.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "absl/container/btree_map.h"

namespace stele::simulation {

inline constexpr size_t kSectorBytes = 512;
inline constexpr size_t kPageBytes = 4096;
inline constexpr int kSectorsPerPage = kPageBytes / kSectorBytes;

// As fast as memory is read.
bool IsZero(std::string_view bytes);

class SectorImage {
 public:
  uint64_t size() const { return size_; }

  // Fills `to` with the bytes at `offset`; zeroes where nothing was written.
  void Read(uint64_t offset, char* to, size_t size) const;

  // Grows the image when the bytes reach behind its end.
  void Write(uint64_t offset, std::string_view bytes);

  // Bytes behind the new end are gone for good: growing again shows zeroes.
  void Resize(uint64_t size);

  // Takes the sectors in `sector_mask` (bit 0 is the first) of one page over from another image,
  // whatever the sizes.
  void CopySectors(uint64_t page, uint8_t sector_mask, const SectorImage& from);

  // The number of the first page at or behind `page` that holds written bytes, or UINT64_MAX.
  uint64_t NextPage(uint64_t page) const;

 private:
  using Page = std::array<char, kPageBytes>;

  // The page for writing: made, or copied when another image shares it.
  char* Writable(uint64_t page);

  uint64_t size_ = 0;
  absl::btree_map<uint64_t, std::shared_ptr<Page>> pages_;  // absent: zeroes
};

}  // namespace stele::simulation
