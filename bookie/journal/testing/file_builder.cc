#include "bookie/journal/testing/file_builder.h"

#include "common/base/crc32c.h"
#include "common/base/endian.h"

namespace stele::bookie {

std::string FramedRecord(std::string_view body) {
  std::string record;
  AppendBigEndian<int32_t>(record, static_cast<int32_t>(body.size()));
  record.append(body);
  return record;
}

std::string EntryBody(int64_t entry, std::string_view payload) {
  std::string body;
  AppendBigEndian<int64_t>(body, 7);
  AppendBigEndian<int64_t>(body, entry);
  body.append(payload);
  return body;
}

JavaFileBuilder::JavaFileBuilder(int version) : version_(version) {
  if (version == 1) return;
  content_ = "BKLG";
  AppendBigEndian<int32_t>(content_, version);
  if (version >= 5) content_.resize(512, '\0');
}

JavaFileBuilder& JavaFileBuilder::Record(std::string_view body) {
  content_ += FramedRecord(body);
  return *this;
}

JavaFileBuilder& JavaFileBuilder::Flush() {
  if (version_ < 5) return *this;
  if (const auto size = JavaPaddingSize(content_.size(), 512)) {
    AppendBigEndian<int32_t>(content_, -0x100);
    AppendBigEndian<int32_t>(content_, static_cast<int32_t>(*size));
    content_.append(*size, 'i');  // ignored
  }
  return *this;
}

JavaFileBuilder& JavaFileBuilder::Raw(std::string_view bytes) {
  content_.append(bytes);
  return *this;
}

SteleFileBuilder::SteleFileBuilder(StreamHeader header)
    : header_(header), content_(kJournalBlockSizeBytes, '\0') {
  WriteHeaderBlock(header_, content_.data());
}

SteleFileBuilder& SteleFileBuilder::Batch(uint64_t sequence, uint64_t durable,
                                          const std::vector<std::string>& bodies) {
  std::string records;
  for (const std::string& body : bodies) records += FramedRecord(body);
  const size_t start = content_.size();
  content_ += records;
  content_.resize(start + BatchSize(records.size()));
  WriteBatchTail({.stream_uuid = header_.stream_uuid,
                  .sequence = sequence,
                  .start_offset = start,
                  .records_size_bytes = static_cast<uint32_t>(records.size()),
                  .record_count = static_cast<uint32_t>(bodies.size()),
                  .durable_sequence = durable,
                  .records_crc = Crc32c(records),
                  .file_id = header_.file_id},
                 content_.data() + start);
  return *this;
}

SteleFileBuilder& SteleFileBuilder::TornBatch(uint64_t sequence,
                                              const std::vector<std::string>& bodies) {
  const size_t start = content_.size();
  Batch(sequence, sequence - 1, bodies);
  const size_t kept = start + 512;
  content_.replace(kept, std::string::npos, content_.size() - kept, '\0');
  return *this;
}

SteleFileBuilder& SteleFileBuilder::Zeros(size_t size) {
  content_.append(size, '\0');
  return *this;
}

SteleFileBuilder& SteleFileBuilder::Raw(std::string_view bytes) {
  content_.append(bytes);
  return *this;
}

}  // namespace stele::bookie
