// Buffer: an immutable run of bytes that shares its storage. Copying or slicing a Buffer copies a
// pointer, never bytes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/check.h"

namespace stele {

namespace internal {

// Header of a heap block; the bytes follow it, aligned as asked.
struct BufferStorage {
  std::atomic<uint32_t> references;
  void (*release)(BufferStorage*);
};

}  // namespace internal

class MutableBuffer;

// Threads: a Buffer is used by one thread at a time; two Buffers that share storage may be on
// different threads.
class Buffer {
 public:
  Buffer() = default;
  Buffer(const Buffer& other) : data_(other.data_), size_(other.size_), storage_(other.storage_) {
    if (storage_ != nullptr) storage_->references.fetch_add(1, std::memory_order_relaxed);
  }
  Buffer(Buffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        storage_(std::exchange(other.storage_, nullptr)) {}
  Buffer& operator=(Buffer other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(storage_, other.storage_);
    return *this;
  }
  ~Buffer() { Unref(); }

  static Buffer CopyOf(std::string_view bytes);
  // Does not own: `bytes` must outlive every Buffer made from this one. For constants and tests.
  static Buffer Borrow(std::string_view bytes) {
    return Buffer(bytes.data(), bytes.size(), nullptr);
  }
  // Takes the string's bytes without copying them.
  static Buffer FromString(std::string bytes);

  const char* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  std::string_view view() const { return {data_, size_}; }
  std::string ToString() const { return std::string(view()); }

  // The bytes [offset, offset + size); both must lie inside this buffer. Keeps the whole storage
  // alive: copy (CopyOf) what must outlive a large block by far.
  Buffer Slice(size_t offset, size_t size) const {
    STELE_CHECK(offset <= size_ && size <= size_ - offset);
    Buffer result(*this);
    result.data_ += offset;
    result.size_ = size;
    return result;
  }
  Buffer Slice(size_t offset) const {
    STELE_CHECK(offset <= size_);
    return Slice(offset, size_ - offset);
  }

  friend bool operator==(const Buffer& a, const Buffer& b) { return a.view() == b.view(); }

 private:
  friend class MutableBuffer;
  Buffer(const char* data, size_t size, internal::BufferStorage* storage)
      : data_(data), size_(size), storage_(storage) {}
  void Unref() {
    if (storage_ != nullptr && storage_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      storage_->release(storage_);
    }
  }

  const char* data_ = nullptr;
  size_t size_ = 0;
  internal::BufferStorage* storage_ = nullptr;
};

// The one owner of a block that is still being filled. Freeze() makes Buffers of it. Move-only.
class MutableBuffer {
 public:
  MutableBuffer() = default;
  // Uninitialised bytes. `alignment` is a power of two; 4096 suits O_DIRECT.
  explicit MutableBuffer(size_t size, size_t alignment = alignof(std::max_align_t));
  MutableBuffer(MutableBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        storage_(std::exchange(other.storage_, nullptr)) {}
  MutableBuffer& operator=(MutableBuffer other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(storage_, other.storage_);
    return *this;
  }
  ~MutableBuffer() {
    if (storage_ != nullptr && storage_->references.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      storage_->release(storage_);
    }
  }

  char* data() { return data_; }
  const char* data() const { return data_; }
  size_t size() const { return size_; }

  // The first `size` bytes as an immutable Buffer; this object is empty afterwards.
  Buffer Freeze(size_t size) &&;
  Buffer Freeze() && { return std::move(*this).Freeze(size_); }

  // A view of filled bytes while the rest is still being written (a socket's read chunk). The
  // caller must never change bytes that it has shared. The block lives until the last view and this
  // owner are gone.
  Buffer Share(size_t offset, size_t size) const;

  // No Buffer made by Share() is left, on any thread: the owner may fill the block anew.
  bool IsUnshared() const {
    return storage_ == nullptr || storage_->references.load(std::memory_order_acquire) == 1;
  }

 private:
  char* data_ = nullptr;
  size_t size_ = 0;
  internal::BufferStorage* storage_ = nullptr;
};

}  // namespace stele
