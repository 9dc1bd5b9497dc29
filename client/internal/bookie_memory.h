// BookieMemory: bookies that made a bad impression lately: overtaken by another replica, or
// replaced by a writer. They are asked, or picked, last.
#pragma once

#include <map>

#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/time.h"

namespace stele::client {

inline constexpr absl::Duration kBookieMemory = absl::Seconds(60);

class BookieMemory {
 public:
  void Mark(const BookieId& bookie, MonotonicTime now) { until_[bookie] = now + kBookieMemory; }

  bool IsMarked(const BookieId& bookie, MonotonicTime now) {
    const auto place = until_.find(bookie);
    if (place == until_.end()) return false;
    if (now < place->second) return true;
    until_.erase(place);
    return false;
  }

 private:
  std::map<BookieId, MonotonicTime> until_;
};

}  // namespace stele::client
