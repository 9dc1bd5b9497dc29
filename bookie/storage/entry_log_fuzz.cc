// Feeds any bytes to the entry-log scanner, in windows and with answers that the input chooses, and
// to the parser of ledgers maps. The scanner must end, stay inside the file and report records in
// ascending order.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/entry_log_scanner.h"
#include "common/base/check.h"

namespace stele::bookie {
namespace {

constexpr uint32_t kSizeMaxBytes = 1 << 16;

void Scan(std::string_view file, size_t window_bytes, uint8_t accept_mask) {
  EntryLogScanner scanner(file.size(), kSizeMaxBytes);
  std::string_view window;
  uint64_t window_offset = 0;
  uint64_t last = 0;
  const uint64_t steps_max = 10 * file.size() + 100;
  for (uint64_t steps = 0;; ++steps) {
    STELE_CHECK_OP(steps, <, steps_max);
    const EntryLogScanner::Step step = scanner.Next(window_offset, window);
    if (step == EntryLogScanner::Step::kEnd) return;
    if (step == EntryLogScanner::Step::kNeedBytes) {
      window_offset = scanner.position();
      window = file.substr(window_offset, window_bytes);
      continue;
    }
    const ScannedRecord record = scanner.record();
    STELE_CHECK(record.offset + kRecordSizeFieldBytes + record.size_bytes <= file.size());
    STELE_CHECK(record.ledger.IsValid() && !record.entry.IsNone());
    if (step == EntryLogScanner::Step::kCandidate) {
      if ((record.offset & accept_mask) != 0) continue;
      scanner.Accept();
    }
    STELE_CHECK_OP(record.offset, >, last);
    last = record.offset;
  }
}

}  // namespace
}  // namespace stele::bookie

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);
  // The scanner begins behind the header: put the input there.
  std::string file(stele::bookie::kEntryLogHeaderSize, '\0');
  file += input;
  stele::bookie::Scan(file, stele::bookie::kRecordHeadBytes + 16u * data[0], data[1]);
  if (input.size() >= stele::bookie::kMapRecordHeadBytes) {
    const auto ledgers = stele::bookie::ParseMapRecord(input);
    if (ledgers.ok()) STELE_CHECK(stele::bookie::MakeLedgersMap(*ledgers) == input);
  }
  (void)stele::bookie::ParseEntryLogHeader(input);
  return 0;
}
