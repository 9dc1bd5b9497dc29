#include "bookie/journal/batch_reader.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/base/crc32c.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr uint64_t kBlock = kJournalBlockSizeBytes;
// Holds a few full batches, so that few of them are cut by its end and read again.
constexpr size_t kChunkBytes = 4 << 20;

}  // namespace

// Reads the chunk that has the block at the cursor. Begins at the last batch's end, unless that
// lies so far back that the chunk would hardly reach further.
Task<absl::Status> BatchReader::Load() {
  chunk_ = Buffer();
  chunk_offset_ = cursor_ - floor_ <= kChunkBytes / 2 ? floor_ : cursor_;
  STELE_CO_TRY(chunk_, co_await file_->ReadAt(chunk_offset_, kChunkBytes));
  co_return absl::OkStatus();
}

std::optional<BatchFooter> BatchReader::FooterAtCursor() const {
  const std::string_view block = chunk_.view().substr(cursor_ - chunk_offset_, kBlock);
  std::optional<BatchFooter> footer = ParseBatchFooter(block, cursor_ + kBlock);
  if (!footer.has_value() || footer->file_id != options_.file_id || footer->start_offset < floor_ ||
      (options_.stream_uuid.has_value() && footer->stream_uuid != *options_.stream_uuid) ||
      BatchSize(footer->records_size_bytes) > options_.batch_size_max_bytes) {
    return std::nullopt;
  }
  return footer;
}

Task<absl::StatusOr<std::optional<FoundBatch>>> BatchReader::Next() {
  for (;; cursor_ += kBlock) {
    if (cursor_ + kBlock > chunk_offset_ + chunk_.size()) {
      STELE_CO_TRY_OK(co_await Load());
      if (cursor_ + kBlock > chunk_offset_ + chunk_.size()) {
        // What is less than a block is no batch, but it is something.
        const uint64_t rest = std::min<uint64_t>(cursor_ - chunk_offset_, chunk_.size());
        if (!IsAllZero(chunk_.view().substr(rest))) saw_garbage_ = true;
        co_return std::nullopt;
      }
    }
    const std::optional<BatchFooter> footer = FooterAtCursor();
    if (!footer.has_value()) {
      saw_garbage_ =
          saw_garbage_ || !IsAllZero(chunk_.view().substr(cursor_ - chunk_offset_, kBlock));
      continue;
    }
    FoundBatch found{.footer = *footer, .end_offset = cursor_ + kBlock};
    if (footer->start_offset >= chunk_offset_) {
      found.records =
          chunk_.Slice(footer->start_offset - chunk_offset_, footer->records_size_bytes);
    } else {
      STELE_CO_TRY(found.records,
                   co_await file_->ReadAt(footer->start_offset, footer->records_size_bytes));
    }
    found.is_intact = found.records.size() == footer->records_size_bytes &&
                      Crc32c(found.records.view()) == footer->records_crc;
    floor_ = found.end_offset;
    cursor_ = found.end_offset;
    saw_garbage_ = false;
    co_return found;
  }
}

}  // namespace stele::bookie
