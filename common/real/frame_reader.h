// FrameReader: turns what one socket delivers into frames. It does no I/O.
//
// Bytes arrive in the shard's ArrivalBlock, and whole frames are views into it. Only a frame that a
// read cut is copied, into memory of its own; what is missing of it is then read straight to its
// place. That memory follows the bytes that came, not the length that was announced.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include <sys/uio.h>

#include "absl/status/status.h"
#include "common/base/buffer.h"
#include "common/real/arrival_block.h"

namespace stele::real {

class FrameReader {
 public:
  // More than what has arrived of a frame, by which memory may run ahead.
  static constexpr size_t kStepBytes = 64 * 1024;
  static constexpr size_t kPrefixBytes = 4;

  //   frame_size_max_bytes   with the prefix
  explicit FrameReader(size_t frame_size_max_bytes) : frame_size_max_bytes_(frame_size_max_bytes) {}

  // Fills in where the next read puts its bytes; gives how many places there are (1 or 2).
  int Prepare(ArrivalBlock* block, iovec places[2]);

  // `size` bytes were read into the places of the last Prepare. Appends the frames that are whole.
  // kCorruptData for a length of 0 or above the limit; the frames before it are appended.
  absl::Status Take(ArrivalBlock* block, size_t size, std::vector<Buffer>* frames);

  // Some of a frame, or of its prefix, is here.
  bool IsInsideFrame() const { return prefix_have_ > 0; }

  // Memory held for a frame that is not whole.
  size_t held_bytes() const;

 private:
  absl::Status OnPrefix();
  size_t missing() const { return body_size_ - body_have_; }
  void Append(const char* bytes, size_t size);
  void MakeRoom();
  Buffer TakeBody();

  const size_t frame_size_max_bytes_;
  char prefix_[kPrefixBytes];
  size_t prefix_have_ = 0;
  size_t body_size_ = 0;  // valid once the prefix is whole
  size_t body_have_ = 0;  // in pieces_
  // What a read cut: pieces of kStepBytes, or one of the frame's size when that is less.
  std::vector<MutableBuffer> pieces_;
  size_t last_piece_filled_ = 0;
  size_t direct_size_ = 0;  // of the first place of the last Prepare, when it is in a piece
};

}  // namespace stele::real
