// ExtentCache: blocks of extent runs in memory, the least recently used dropped when there are too
// many. Blocks never change.
#pragma once

#include <cstdint>
#include <list>
#include <memory>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "bookie/storage/extent_format.h"

namespace stele::bookie {

class ExtentCache {
 public:
  explicit ExtentCache(uint64_t bytes_max) : bytes_max_(bytes_max) {}

  // Null: not in memory.
  std::shared_ptr<const ExtentBlock> Find(const RunNumbers& run, uint32_t block) {
    const auto found = blocks_.find(Key(run.first, run.last, block));
    if (found == blocks_.end()) return nullptr;
    by_use_.splice(by_use_.begin(), by_use_, found->second);
    return found->second->second;
  }
  void Put(const RunNumbers& run, uint32_t block, std::shared_ptr<const ExtentBlock> content) {
    const Key key(run.first, run.last, block);
    if (blocks_.contains(key)) return;
    bytes_ += content->memory_bytes();
    by_use_.emplace_front(key, std::move(content));
    blocks_[key] = by_use_.begin();
    while (bytes_ > bytes_max_) {
      const auto& [last_key, last] = by_use_.back();
      bytes_ -= last->memory_bytes();
      blocks_.erase(last_key);
      by_use_.pop_back();
    }
  }
  // What the blocks take.
  uint64_t bytes() const { return bytes_; }

 private:
  using Key = std::tuple<uint64_t, uint64_t, uint32_t>;
  using ByUse = std::list<std::pair<Key, std::shared_ptr<const ExtentBlock>>>;

  const uint64_t bytes_max_;
  uint64_t bytes_ = 0;
  ByUse by_use_;                                      // the last used first
  absl::flat_hash_map<Key, ByUse::iterator> blocks_;  // looked up only
};

}  // namespace stele::bookie
