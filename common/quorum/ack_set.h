// AckSet: which copies of one entry are known to be stored. A bookie counts once.
#pragma once

#include <bit>
#include <cstdint>

#include "common/base/check.h"
#include "common/quorum/write_set.h"

namespace stele::quorum {

// A set of positions of one write set. The write set is not stored: callers pass the one of the
// entry.
class AckSet {
 public:
  void Add(const WriteSet& write_set, BookieIndex index) { bits_ |= BitOf(write_set, index); }
  void Remove(const WriteSet& write_set, BookieIndex index) { bits_ &= ~BitOf(write_set, index); }
  bool Contains(const WriteSet& write_set, BookieIndex index) const {
    return (bits_ & BitOf(write_set, index)) != 0;
  }
  int count() const { return std::popcount(bits_); }
  bool empty() const { return bits_ == 0; }
  void Clear() { bits_ = 0; }

 private:
  static uint64_t BitOf(const WriteSet& write_set, BookieIndex index) {
    const int offset = write_set.OffsetOf(index);
    STELE_CHECK(offset < write_set.size());
    return uint64_t{1} << offset;
  }

  uint64_t bits_ = 0;  // bit i: the copy number i of the write set
};

}  // namespace stele::quorum
