#include "common/real/frame_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::real {

int FrameReader::Prepare(ArrivalBlock* block, iovec places[2]) {
  int count = 0;
  direct_size_ = 0;
  if (body_have_ > 0) {
    MakeRoom();
    MutableBuffer& piece = pieces_.back();
    direct_size_ = std::min(piece.size() - last_piece_filled_, missing());
    places[count++] = {.iov_base = piece.data() + last_piece_filled_, .iov_len = direct_size_};
  }
  block->Reserve();
  places[count++] = {.iov_base = block->tail(), .iov_len = block->tail_size()};
  return count;
}

absl::Status FrameReader::Take(ArrivalBlock* block, size_t size, std::vector<Buffer>* frames) {
  const size_t direct = std::min(size, direct_size_);
  direct_size_ = 0;
  if (direct > 0) {
    last_piece_filled_ += direct;
    body_have_ += direct;
    if (missing() == 0) frames->push_back(TakeBody());
  }

  const char* next = block->tail();
  const char* const end = next + (size - direct);
  block->Use(size - direct);
  while (next < end) {
    const auto here = static_cast<size_t>(end - next);
    if (prefix_have_ < kPrefixBytes) {
      const size_t taken = std::min(kPrefixBytes - prefix_have_, here);
      std::memcpy(prefix_ + prefix_have_, next, taken);
      prefix_have_ += taken;
      next += taken;
      if (prefix_have_ == kPrefixBytes) STELE_TRY_OK(OnPrefix());
    } else if (body_have_ == 0 && here >= body_size_) {
      frames->push_back(block->Share(next, body_size_));
      next += body_size_;
      prefix_have_ = 0;
    } else {
      const size_t taken = std::min(missing(), here);
      Append(next, taken);
      next += taken;
      if (missing() == 0) frames->push_back(TakeBody());
    }
  }
  return absl::OkStatus();
}

absl::Status FrameReader::OnPrefix() {
  body_size_ = LoadBigEndian<uint32_t>(prefix_);
  body_have_ = 0;
  if (body_size_ == 0 || body_size_ + kPrefixBytes > frame_size_max_bytes_) {
    return MakeError(ErrorCode::kCorruptData, Effect::kUnknown,
                     StrCat("a frame of ", body_size_, " bytes; at most ",
                            frame_size_max_bytes_ - kPrefixBytes, " are accepted"));
  }
  return absl::OkStatus();
}

void FrameReader::MakeRoom() {
  if (!pieces_.empty() && last_piece_filled_ < pieces_.back().size()) return;
  pieces_.emplace_back(std::min(missing(), kStepBytes));
  last_piece_filled_ = 0;
}

void FrameReader::Append(const char* bytes, size_t size) {
  body_have_ += size;
  while (size > 0) {
    if (pieces_.empty() || last_piece_filled_ == pieces_.back().size()) {
      // What is missing includes the bytes that are about to be copied.
      pieces_.emplace_back(std::min(missing() + size, kStepBytes));
      last_piece_filled_ = 0;
    }
    MutableBuffer& piece = pieces_.back();
    const size_t taken = std::min(size, piece.size() - last_piece_filled_);
    std::memcpy(piece.data() + last_piece_filled_, bytes, taken);
    last_piece_filled_ += taken;
    bytes += taken;
    size -= taken;
  }
}

Buffer FrameReader::TakeBody() {
  Buffer body;
  if (pieces_.size() == 1) {
    body = std::move(pieces_.front()).Freeze();
  } else {
    MutableBuffer whole(body_size_);
    size_t filled = 0;
    for (const MutableBuffer& piece : pieces_) {
      std::memcpy(whole.data() + filled, piece.data(), piece.size());
      filled += piece.size();
    }
    body = std::move(whole).Freeze();
  }
  pieces_.clear();
  prefix_have_ = 0;
  body_have_ = 0;
  return body;
}

size_t FrameReader::held_bytes() const {
  size_t held = 0;
  for (const MutableBuffer& piece : pieces_) held += piece.size();
  return held;
}

}  // namespace stele::real
