#include "simulation/sector_image.h"

#include <algorithm>
#include <cstring>

namespace stele::simulation {
bool IsZero(std::string_view bytes) {
  return bytes.empty() ||
         (bytes[0] == 0 && std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0);
}

void SectorImage::Read(uint64_t offset, char* to, size_t size) const {
  while (size > 0) {
    const size_t within = offset % kPageBytes;
    const size_t count = std::min(size, kPageBytes - within);
    const auto page = pages_.find(offset / kPageBytes);
    if (page == pages_.end()) {
      std::memset(to, 0, count);
    } else {
      std::memcpy(to, page->second->data() + within, count);
    }
    offset += count;
    to += count;
    size -= count;
  }
}

char* SectorImage::Writable(uint64_t number) {
  std::shared_ptr<Page>& page = pages_[number];
  if (page == nullptr) {
    page = std::make_shared<Page>();
    page->fill(0);
  } else if (page.use_count() > 1) {
    page = std::make_shared<Page>(*page);
  }
  return page->data();
}

void SectorImage::Write(uint64_t offset, std::string_view bytes) {
  if (bytes.empty()) return;
  size_ = std::max<uint64_t>(size_, offset + bytes.size());
  while (!bytes.empty()) {
    const uint64_t number = offset / kPageBytes;
    const size_t within = offset % kPageBytes;
    const size_t count = std::min(bytes.size(), kPageBytes - within);
    // Files that are zero-filled in advance stay sparse.
    if (count == kPageBytes && IsZero(bytes.substr(0, count))) {
      pages_.erase(number);
    } else {
      std::memcpy(Writable(number) + within, bytes.data(), count);
    }
    offset += count;
    bytes.remove_prefix(count);
  }
}

void SectorImage::Resize(uint64_t size) {
  if (size < size_) {
    const uint64_t last = size / kPageBytes;
    const size_t within = size % kPageBytes;
    pages_.erase(pages_.lower_bound(within == 0 ? last : last + 1), pages_.end());
    if (within != 0 && pages_.contains(last)) {
      std::memset(Writable(last) + within, 0, kPageBytes - within);
    }
  }
  size_ = size;
}

void SectorImage::CopySectors(uint64_t number, uint8_t sector_mask, const SectorImage& from) {
  const auto source = from.pages_.find(number);
  if (sector_mask == 0xff) {
    if (source == from.pages_.end()) {
      pages_.erase(number);
    } else {
      pages_[number] = source->second;
    }
    return;
  }
  if (source == from.pages_.end() && !pages_.contains(number)) return;
  char* to = Writable(number);
  for (int sector = 0; sector < kSectorsPerPage; ++sector) {
    if ((sector_mask >> sector & 1) == 0) continue;
    char* at = to + sector * kSectorBytes;
    if (source == from.pages_.end()) {
      std::memset(at, 0, kSectorBytes);
    } else {
      std::memcpy(at, source->second->data() + sector * kSectorBytes, kSectorBytes);
    }
  }
}

uint64_t SectorImage::NextPage(uint64_t page) const {
  const auto found = pages_.lower_bound(page);
  return found == pages_.end() ? UINT64_MAX : found->first;
}

}  // namespace stele::simulation
