// EntryLogReader: goes through an entry log from its first record to its end: an EntryLogScanner
// with the file behind it.
//   for (;;) {
//     switch (reader.Next()) {
//       case EntryLogScanner::Step::kNeedBytes: STELE_CO_TRY_OK(co_await reader.Fill()); break;
//       ...
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/storage/entry_log_scanner.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

// What one Fill() reads.
inline constexpr size_t kScanWindowBytes = 1 << 20;

class EntryLogReader {
 public:
  // `file` must outlive it and have `size_bytes`, which is where the scan ends.
  EntryLogReader(File* file, uint64_t size_bytes, uint32_t record_size_max_bytes)
      : file_(file), size_(size_bytes), scanner_(size_bytes, record_size_max_bytes) {}

  EntryLogScanner::Step Next() { return scanner_.Next(window_offset_, window_.view()); }
  // After kNeedBytes. kIoError also when the file has become shorter.
  Task<absl::Status> Fill();

  // Of the last kRecord or kCandidate.
  const ScannedRecord& record() const { return scanner_.record(); }
  // Its packet.
  Task<absl::StatusOr<Buffer>> ReadBody();
  // After kCandidate: the scan goes on behind it.
  void Accept() { scanner_.Accept(); }

  const ScanSummary& summary() const { return scanner_.summary(); }
  uint64_t size_bytes() const { return size_; }

 private:
  File* file_;
  uint64_t size_;
  EntryLogScanner scanner_;
  Buffer window_;
  uint64_t window_offset_ = 0;
};

}  // namespace stele::bookie
