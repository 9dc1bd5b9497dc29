// SendQueue: the outgoing bytes of one connection, in order. Small pieces are copied one behind the
// other, so that many frames make one run of bytes; large bodies are kept by reference.
#pragma once

#include <cstddef>
#include <deque>
#include <string_view>
#include <vector>

#include <sys/uio.h>

#include "common/base/buffer.h"

namespace stele::real {

// Blocks that queues fill, and give back when what they held is sent, so that an idle connection
// holds none. Fresh memory would cost a page fault and 4 KiB of zeroes for each page.
class SendBlockPool {
 public:
  static constexpr size_t kBlockBytes = 64 * 1024;

  MutableBuffer Take();
  void Give(MutableBuffer block);
  size_t size() const { return spare_.size(); }

 private:
  std::vector<MutableBuffer> spare_;
};

class SendQueue {
 public:
  // `pool` must outlive the queue.
  explicit SendQueue(SendBlockPool* pool) : pool_(pool) {}

  // Up to this size a body is copied: the copy costs less than a place in writev and a reference.
  static constexpr size_t kCopiedBodyMaxBytes = 8 * 1024;

  // The length prefix, `head` and `body`.
  void PushFrame(std::string_view head, Buffer body);

  size_t size_bytes() const { return size_bytes_; }
  bool empty() const { return size_bytes_ == 0; }

  // Fills in the front of the queue; gives how many places were used.
  size_t Front(iovec* places, size_t places_max) const;

  // Forgets the first `size` bytes; at most size_bytes().
  void Pop(size_t size);

  // Forgets everything.
  void Clear();

 private:
  void Copy(std::string_view bytes);
  void EnsureRoom(size_t size);
  void Seal();
  void ReturnBlock();
  void ReturnFullBlocks();

  SendBlockPool* pool_;
  std::vector<Buffer> sealed_;  // from first_ on
  size_t first_ = 0;
  size_t first_popped_ = 0;  // of sealed_[first_]
  // Blocks that sealed bytes lie in, in the order of filling.
  std::deque<MutableBuffer> full_blocks_;
  // Behind the sealed ones: the bytes [open_begin_, open_end_) of the block being filled.
  MutableBuffer block_;
  size_t open_begin_ = 0;
  size_t open_end_ = 0;
  size_t size_bytes_ = 0;
};

}  // namespace stele::real
