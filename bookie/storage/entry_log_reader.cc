#include "bookie/storage/entry_log_reader.h"

#include "common/base/errors.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

absl::Status CutWhileRead() {
  return MakeError(ErrorCode::kIoError, "the entry log was cut while it was read");
}

}  // namespace

Task<absl::Status> EntryLogReader::Fill() {
  window_offset_ = scanner_.position();
  STELE_CO_TRY(window_, co_await file_->ReadAt(window_offset_, kScanWindowBytes));
  const bool is_whole =
      window_.size() >= kRecordHeadBytes || window_offset_ + window_.size() >= size_;
  co_return is_whole ? absl::OkStatus() : CutWhileRead();
}

Task<absl::StatusOr<Buffer>> EntryLogReader::ReadBody() {
  const uint64_t begin = record().offset + kRecordSizeFieldBytes;
  const size_t size = record().size_bytes;
  if (begin >= window_offset_ && begin - window_offset_ + size <= window_.size()) {
    co_return window_.Slice(begin - window_offset_, size);
  }
  STELE_CO_TRY(Buffer body, co_await file_->ReadAt(begin, size));
  if (body.size() < size) co_return CutWhileRead();
  co_return body;
}

}  // namespace stele::bookie
