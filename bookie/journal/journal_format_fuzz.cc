// Whatever the bytes are: no crash, no read outside of them, progress in every step, and what is
// accepted survives being written and read again.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bookie/journal/journal_format.h"
#include "bookie/journal/last_mark.h"
#include "common/base/check.h"

namespace stele::bookie {
namespace {

constexpr uint64_t kRecordMax = 1 << 20;

void ScanAll(std::string_view bytes, int version) {
  while (true) {
    const RecordScan scan = ScanRecord(bytes, version, kRecordMax);
    if (scan.kind == RecordScan::Kind::kNeedMore) {
      STELE_CHECK(scan.size_bytes > bytes.size());
      STELE_CHECK(scan.size_bytes <= kRecordLengthSizeBytes + kRecordMax);
      return;
    }
    if (scan.kind == RecordScan::Kind::kRecord) {
      STELE_CHECK(scan.body.data() >= bytes.data() &&
                  scan.body.data() + scan.body.size() <= bytes.data() + bytes.size());
      const auto record = ParseJournalRecord(scan.body);
      if (record.ok() && record->kind == JournalRecord::Kind::kExplicitLac) {
        const Buffer again = MakeExplicitLacRecord(record->ledger, record->content);
        STELE_CHECK(ParseJournalRecord(again.view())->content == record->content);
      }
    } else if (scan.kind != RecordScan::Kind::kPadding) {
      return;
    }
    if (scan.size_bytes > bytes.size()) return;
    bytes.remove_prefix(scan.size_bytes);
  }
}

void TryFooter(std::string_view bytes, uint64_t end_offset) {
  const auto footer = ParseBatchFooter(bytes, end_offset);
  if (!footer.has_value() || footer->records_size_bytes > (1 << 16)) return;
  std::string batch(BatchSize(footer->records_size_bytes), '\0');
  WriteBatchTail(*footer, batch.data());
  STELE_CHECK(ParseBatchFooter(batch, end_offset) == footer);
}

}  // namespace
}  // namespace stele::bookie

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace stele::bookie;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto header = ParseJournalFileHeader(bytes);
  if (header.ok()) {
    STELE_CHECK(header->version >= 1 && header->version <= 6);
    if (header->stream.has_value()) {
      std::string block(kJournalBlockSizeBytes, 'x');
      WriteHeaderBlock(*header->stream, block.data());
      STELE_CHECK(ParseJournalFileHeader(block)->stream == header->stream);
    }
    if (header->first_record_offset <= size) {
      ScanAll(bytes.substr(header->first_record_offset), header->version);
    }
  }
  for (int version = 4; version <= 6; ++version) ScanAll(bytes, version);
  for (uint64_t end = kJournalBlockSizeBytes; end <= 5 * kJournalBlockSizeBytes;
       end += kJournalBlockSizeBytes) {
    TryFooter(bytes, end);
  }
  if (const auto mark = ParseMark(bytes)) STELE_CHECK(EncodeMark(*mark) == bytes);
  const auto id = ParseJournalFileName(bytes);
  if (id.ok() && id->has_value()) STELE_CHECK(JournalFileName(**id) == bytes);
  return 0;
}
