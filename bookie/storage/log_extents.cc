#include "bookie/storage/log_extents.h"

#include <algorithm>
#include <utility>

namespace stele::bookie {

LogExtents::ExtentRef LogExtents::Find(EntryLogId log, uint64_t offset) {
  for (auto place = by_use_.begin(); place != by_use_.end(); ++place) {
    const Extent& extent = **place;
    if (extent.log != log || offset < extent.begin || offset - extent.begin >= extent.size) {
      continue;
    }
    if (place != by_use_.begin()) by_use_.splice(by_use_.begin(), by_use_, place);
    return by_use_.front();
  }
  return nullptr;
}

LogExtents::ExtentRef LogExtents::Begin(EntryLogId log, uint64_t begin, size_t size) {
  for (auto place = by_use_.end(); bytes_ + size > bytes_max_ && place != by_use_.begin();) {
    --place;
    if (!(*place)->is_loading) Erase(place++);
  }
  if (bytes_ + size > bytes_max_) return nullptr;
  bytes_ += size;
  by_use_.push_front(std::make_shared<Extent>(executor_, log, begin, size));
  return by_use_.front();
}

void LogExtents::End(const ExtentRef& extent, Buffer bytes) {
  extent->is_loading = false;
  extent->bytes = std::move(bytes);
  extent->arrived.NotifyAll();
  if (!extent->bytes.empty()) return;
  const auto place = std::find(by_use_.begin(), by_use_.end(), extent);
  if (place != by_use_.end()) Erase(place);
}

void LogExtents::Drop(EntryLogId log) {
  for (auto place = by_use_.begin(); place != by_use_.end();) {
    const auto next = std::next(place);
    if ((*place)->log == log) Erase(place);
    place = next;
  }
}

void LogExtents::Erase(ByUse::iterator place) {
  bytes_ -= (*place)->size;
  by_use_.erase(place);
}

}  // namespace stele::bookie
