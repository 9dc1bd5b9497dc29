#include "common/real/send_queue.h"

#include <cstdint>
#include <cstring>
#include <utility>

#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/prefetch.h"

namespace stele::real {
namespace {

constexpr size_t kPrefixBytes = 4;
constexpr size_t kSpareBlocksMax = 16;

}  // namespace

MutableBuffer SendBlockPool::Take() {
  if (spare_.empty()) return MutableBuffer(kBlockBytes);
  MutableBuffer block = std::move(spare_.back());
  spare_.pop_back();
  return block;
}

void SendBlockPool::Give(MutableBuffer block) {
  if (block.size() == kBlockBytes && spare_.size() < kSpareBlocksMax) {
    spare_.push_back(std::move(block));
  }
}

void SendQueue::PushFrame(std::string_view head, Buffer body) {
  const size_t frame_size = head.size() + body.size();
  STELE_CHECK(frame_size <= UINT32_MAX);
  const bool copies_body = body.size() <= kCopiedBodyMaxBytes;

  EnsureRoom(kPrefixBytes + head.size() + (copies_body ? body.size() : 0));
  char prefix[kPrefixBytes];
  StoreBigEndian(prefix, static_cast<uint32_t>(frame_size));
  Copy({prefix, kPrefixBytes});
  Copy(head);
  if (copies_body) {
    Copy(body.view());
  } else {
    Seal();
    sealed_.push_back(std::move(body));
  }
  size_bytes_ += kPrefixBytes + frame_size;
  PrefetchToWrite(block_.data() + open_end_,
                  std::min(kPrefixBytes + frame_size, block_.size() - open_end_));
}

void SendQueue::EnsureRoom(size_t size) {
  if (block_.size() - open_end_ >= size) return;
  Seal();
  full_blocks_.push_back(std::move(block_));
  block_ = size <= SendBlockPool::kBlockBytes ? pool_->Take() : MutableBuffer(size);
  open_begin_ = 0;
  open_end_ = 0;
}

void SendQueue::Copy(std::string_view bytes) {
  if (bytes.empty()) return;
  std::memcpy(block_.data() + open_end_, bytes.data(), bytes.size());
  open_end_ += bytes.size();
}

void SendQueue::Seal() {
  if (open_begin_ == open_end_) return;
  sealed_.push_back(block_.Share(open_begin_, open_end_ - open_begin_));
  open_begin_ = open_end_;
}

size_t SendQueue::Front(iovec* places, size_t places_max) const {
  size_t count = 0;
  size_t popped = first_popped_;
  for (size_t i = first_; i < sealed_.size() && count < places_max; ++i) {
    places[count++] = {.iov_base = const_cast<char*>(sealed_[i].data()) + popped,
                       .iov_len = sealed_[i].size() - popped};
    popped = 0;
  }
  if (open_begin_ < open_end_ && count < places_max) {
    places[count++] = {.iov_base = const_cast<char*>(block_.data()) + open_begin_,
                       .iov_len = open_end_ - open_begin_};
  }
  return count;
}

void SendQueue::Pop(size_t size) {
  STELE_CHECK(size <= size_bytes_);
  size_bytes_ -= size;
  while (size > 0 && first_ < sealed_.size()) {
    const size_t left = sealed_[first_].size() - first_popped_;
    if (size < left) {
      first_popped_ += size;
      return;
    }
    size -= left;
    sealed_[first_++] = Buffer();
    first_popped_ = 0;
  }
  if (first_ == sealed_.size()) {
    sealed_.clear();
    first_ = 0;
  } else if (first_ >= 64 && first_ * 2 >= sealed_.size()) {
    // A queue that never empties must not keep the places of what it has sent.
    sealed_.erase(sealed_.begin(), sealed_.begin() + static_cast<ptrdiff_t>(first_));
    first_ = 0;
  }
  open_begin_ += size;
  ReturnFullBlocks();
  if (size_bytes_ == 0) ReturnBlock();
}

void SendQueue::ReturnFullBlocks() {
  while (!full_blocks_.empty() && full_blocks_.front().IsUnshared()) {
    pool_->Give(std::move(full_blocks_.front()));
    full_blocks_.pop_front();
  }
}

void SendQueue::ReturnBlock() {
  if (block_.IsUnshared()) pool_->Give(std::move(block_));
  block_ = MutableBuffer();
  open_begin_ = 0;
  open_end_ = 0;
}

void SendQueue::Clear() {
  sealed_.clear();
  first_ = 0;
  first_popped_ = 0;
  size_bytes_ = 0;
  ReturnFullBlocks();
  ReturnBlock();
}

}  // namespace stele::real
