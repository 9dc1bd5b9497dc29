#include "bookie/journal/batch_buffer.h"

#include <cstring>

#include "common/base/check.h"
#include "common/base/crc32c.h"
#include "common/base/endian.h"
#include "common/base/prefetch.h"

namespace stele::bookie {

BatchBuffer::BatchBuffer(size_t records_size_max_bytes)
    : records_size_max_bytes_(records_size_max_bytes),
      // A batch with less in it may need a block more than a full one, see BatchSize.
      block_(BatchSize(records_size_max_bytes) + kJournalBlockSizeBytes, kJournalBlockSizeBytes) {}

void BatchBuffer::Add(std::string_view body) {
  STELE_CHECK(Fits(body));
  char* const to = block_.data() + records_size_bytes_;
  StoreBigEndian<int32_t>(to, static_cast<int32_t>(body.size()));
  std::memcpy(to + kRecordLengthSizeBytes, body.data(), body.size());
  records_size_bytes_ += kRecordLengthSizeBytes + body.size();
  ++record_count_;
  PrefetchToWrite(block_.data() + records_size_bytes_,
                  std::min(kRecordLengthSizeBytes + body.size(),
                           records_size_max_bytes_ - records_size_bytes_));
}

Buffer BatchBuffer::Seal(BatchFooter footer) {
  footer.records_size_bytes = static_cast<uint32_t>(records_size_bytes_);
  footer.record_count = record_count_;
  footer.records_crc = Crc32c({block_.data(), records_size_bytes_});
  WriteBatchTail(footer, block_.data());
  return block_.Share(0, size_bytes());
}

void BatchBuffer::Clear() {
  STELE_CHECK(IsReusable());
  records_size_bytes_ = 0;
  record_count_ = 0;
}

}  // namespace stele::bookie
