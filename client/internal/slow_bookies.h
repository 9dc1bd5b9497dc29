// SlowBookies: bookies that another replica has overtaken lately. Reads ask them last.
#pragma once

#include <map>

#include "absl/time/time.h"
#include "common/base/ids.h"
#include "common/base/time.h"

namespace stele::client {

inline constexpr absl::Duration kSlowBookieMemory = absl::Seconds(60);

class SlowBookies {
 public:
  void Mark(const BookieId& bookie, MonotonicTime now) { until_[bookie] = now + kSlowBookieMemory; }

  bool IsSlow(const BookieId& bookie, MonotonicTime now) {
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
