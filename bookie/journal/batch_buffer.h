// BatchBuffer: one commit batch while it is gathered, in an aligned block that is written as it
// stands. Records are copied into it once, and the block is used again for later batches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bookie/journal/journal_format.h"
#include "common/base/buffer.h"

namespace stele::bookie {

class BatchBuffer {
 public:
  // Room for records of `records_size_max_bytes` in all, their lengths included.
  explicit BatchBuffer(size_t records_size_max_bytes);

  bool empty() const { return record_count_ == 0; }
  uint32_t record_count() const { return record_count_; }
  size_t records_size_bytes() const { return records_size_bytes_; }
  size_t records_size_max_bytes() const { return records_size_max_bytes_; }
  // What the batch takes on disk.
  uint64_t size_bytes() const { return BatchSize(records_size_bytes_); }

  bool Fits(std::string_view body) const {
    return kRecordLengthSizeBytes + body.size() <= records_size_max_bytes_ - records_size_bytes_;
  }
  // `body` must fit.
  void Add(std::string_view body);

  // Closes the batch: completes `footer`, whose stream, file, place and sequences the caller gives,
  // by what is known here. Nothing is added until Clear().
  Buffer Seal(BatchFooter footer);

  // False while somebody still holds what Seal() gave; the block cannot be used again then.
  bool IsReusable() const { return block_.IsUnshared(); }
  void Clear();

 private:
  size_t records_size_max_bytes_;
  MutableBuffer block_;
  size_t records_size_bytes_ = 0;
  uint32_t record_count_ = 0;
};

}  // namespace stele::bookie
