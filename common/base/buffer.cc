#include "common/base/buffer.h"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace stele {
namespace {

using internal::BufferStorage;

size_t HeaderSize(size_t alignment) {
  return (sizeof(BufferStorage) + alignment - 1) / alignment * alignment;
}

void ReleaseBlock(BufferStorage* storage) { std::free(storage); }

struct StringStorage : BufferStorage {
  std::string text;
};

void ReleaseString(BufferStorage* storage) { delete static_cast<StringStorage*>(storage); }

}  // namespace

MutableBuffer::MutableBuffer(size_t size, size_t alignment) : size_(size) {
  alignment = std::max(alignment, alignof(std::max_align_t));
  const size_t header = HeaderSize(alignment);
  const size_t total = (header + size + alignment - 1) / alignment * alignment;
  void* block = std::aligned_alloc(alignment, total);
  STELE_CHECK(block != nullptr);
  storage_ = new (block) BufferStorage{{1}, &ReleaseBlock};
  data_ = static_cast<char*>(block) + header;
}

Buffer MutableBuffer::Freeze(size_t size) && {
  STELE_CHECK(size <= size_);
  Buffer result(data_, size, storage_);
  storage_ = nullptr;
  data_ = nullptr;
  size_ = 0;
  return result;
}

Buffer MutableBuffer::Share(size_t offset, size_t size) const {
  STELE_CHECK(offset <= size_ && size <= size_ - offset);
  storage_->references.fetch_add(1, std::memory_order_relaxed);
  return Buffer(data_ + offset, size, storage_);
}

Buffer Buffer::CopyOf(std::string_view bytes) {
  MutableBuffer copy(bytes.size());
  if (!bytes.empty()) std::memcpy(copy.data(), bytes.data(), bytes.size());
  return std::move(copy).Freeze();
}

Buffer Buffer::FromString(std::string bytes) {
  auto* storage = new StringStorage{{{1}, &ReleaseString}, std::move(bytes)};
  return Buffer(storage->text.data(), storage->text.size(), storage);
}

}  // namespace stele
