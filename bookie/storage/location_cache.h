// LocationCache: pages of index files in memory, the least recently used dropped when there are too
// many. Its pages are what the file has for every entry that left the memtable.
#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <memory>
#include <utility>

#include "absl/container/btree_map.h"
#include "common/base/ids.h"

namespace stele::bookie {

inline constexpr int64_t kLocationsPerPage = 512;
// The packed locations of entries [512 page, 512 page + 511], 0 = absent.
using LocationPage = std::array<int64_t, kLocationsPerPage>;

class LocationCache {
 public:
  explicit LocationCache(uint64_t bytes_max) : pages_max_(bytes_max / sizeof(LocationPage)) {}

  // Good until the next call.
  const LocationPage* Find(LedgerId ledger, int64_t page);
  // Replaces the page.
  void Put(LedgerId ledger, int64_t page, std::unique_ptr<LocationPage> content);
  void EraseLedger(LedgerId ledger);

  size_t size() const { return pages_.size(); }

 private:
  using Key = std::pair<LedgerId, int64_t>;
  struct Page {
    std::unique_ptr<LocationPage> content;
    std::list<Key>::iterator use;
  };

  size_t pages_max_;
  absl::btree_map<Key, Page> pages_;
  std::list<Key> by_use_;  // the last used first
};

}  // namespace stele::bookie
