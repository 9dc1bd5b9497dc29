#include "bookie/journal/java_journal_reader.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "bookie/journal/journal_format.h"
#include "common/base/errors.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr uint64_t kChunkBytes = 4 << 20;

}  // namespace

Task<absl::StatusOr<std::optional<Buffer>>> JavaJournalReader::Next() {
  for (;;) {
    std::string_view rest;
    if (offset_ >= chunk_offset_ && offset_ - chunk_offset_ < chunk_.size()) {
      rest = chunk_.view().substr(offset_ - chunk_offset_);
    }
    const RecordScan scan = ScanRecord(rest, options_.version, options_.record_size_max_bytes);
    switch (scan.kind) {
      case RecordScan::Kind::kRecord: {
        Buffer body = chunk_.Slice(scan.body.data() - chunk_.data(), scan.body.size());
        offset_ += scan.size_bytes;
        co_return std::move(body);
      }
      case RecordScan::Kind::kPadding:
        if (scan.size_bytes > options_.size_bytes - offset_) co_return std::nullopt;
        offset_ += scan.size_bytes;
        break;
      case RecordScan::Kind::kEnd: co_return std::nullopt;
      case RecordScan::Kind::kBad: co_return MakeError(ErrorCode::kCorruptData, scan.why);
      case RecordScan::Kind::kNeedMore: {
        chunk_ = Buffer();
        chunk_offset_ = offset_;
        STELE_CO_TRY(chunk_,
                     co_await file_->ReadAt(offset_, std::max(kChunkBytes, scan.size_bytes)));
        // Cut by the end of the file.
        if (chunk_.size() < scan.size_bytes) co_return std::nullopt;
        break;
      }
    }
  }
}

Task<absl::StatusOr<std::optional<uint64_t>>> JavaJournalReader::FindDataBehindEnd() {
  chunk_ = Buffer();
  for (uint64_t at = offset_;;) {
    STELE_CO_TRY(const Buffer piece, co_await file_->ReadAt(at, kChunkBytes));
    if (piece.empty()) co_return std::nullopt;
    if (!IsAllZero(piece.view())) co_return at + piece.view().find_first_not_of('\0');
    at += piece.size();
  }
}

}  // namespace stele::bookie
