// ArrivalBlock: the block that all sockets of one shard are read into. Frames are views into it, so
// that a read costs no copy and, when its frames are gone by the next read, no allocation either.
#pragma once

#include <cstddef>

#include "common/base/buffer.h"

namespace stele::real {

class ArrivalBlock {
 public:
  static constexpr size_t kSizeBytes = 256 * 1024;

  // Makes room for a read: at least a quarter of the block.
  void Reserve() {
    if (filled_ > 0 && block_.IsUnshared()) filled_ = 0;
    if (block_.size() - filled_ < kSizeBytes / 4) {
      block_ = MutableBuffer(kSizeBytes);
      filled_ = 0;
    }
  }

  // Where the next bytes are written, after Reserve.
  char* tail() { return block_.data() + filled_; }
  size_t tail_size() const { return block_.size() - filled_; }

  // A view of the bytes [begin, begin + size), which lie in the block.
  Buffer Share(const char* begin, size_t size) const {
    return block_.Share(static_cast<size_t>(begin - block_.data()), size);
  }

  // The first `size` bytes of the tail are used.
  void Use(size_t size) { filled_ += size; }

 private:
  MutableBuffer block_;
  size_t filled_ = 0;
};

}  // namespace stele::real
