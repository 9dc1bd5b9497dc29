#include "bookie/storage/location_cache.h"

namespace stele::bookie {

const LocationPage* LocationCache::Find(LedgerId ledger, int64_t page) {
  const auto found = pages_.find(Key(ledger, page));
  if (found == pages_.end()) return nullptr;
  by_use_.splice(by_use_.begin(), by_use_, found->second.use);
  return found->second.content.get();
}

void LocationCache::Put(LedgerId ledger, int64_t page, std::unique_ptr<LocationPage> content) {
  if (pages_max_ == 0) return;
  const Key key(ledger, page);
  const auto [place, is_new] = pages_.try_emplace(key);
  place->second.content = std::move(content);
  if (!is_new) {
    by_use_.splice(by_use_.begin(), by_use_, place->second.use);
    return;
  }
  by_use_.push_front(key);
  place->second.use = by_use_.begin();
  if (pages_.size() > pages_max_) {
    pages_.erase(by_use_.back());
    by_use_.pop_back();
  }
}

void LocationCache::EraseLedger(LedgerId ledger) {
  const auto begin = pages_.lower_bound(Key(ledger, 0));
  auto end = begin;
  for (; end != pages_.end() && end->first.first == ledger; ++end) by_use_.erase(end->second.use);
  pages_.erase(begin, end);
}

}  // namespace stele::bookie
