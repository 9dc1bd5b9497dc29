// BatchReader: finds the batches of one file of Stele's by their footers, one after the other. It
// follows no length: it looks at the end of each block, so it finds what lies behind damage too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "bookie/journal/journal_format.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

struct FoundBatch {
  BatchFooter footer;
  uint64_t end_offset = 0;
  bool is_intact = false;  // the records have the footer's checksum
  Buffer records;
};

class BatchReader {
 public:
  struct Options {
    std::optional<uint64_t> stream_uuid;  // nullopt: of any stream
    int64_t file_id = 0;
    uint64_t batch_size_max_bytes = kBatchSizeLimitBytes;
    uint64_t start_offset = kJournalBlockSizeBytes;  // a multiple of the block size
  };

  // `file` must outlive the reader.
  BatchReader(File* file, Options options)
      : file_(file),
        options_(options),
        floor_(options.start_offset),
        cursor_(options.start_offset) {}

  // The next batch that begins at or behind the end of the one given last, whatever lies between;
  // nullopt at the end of the file. kIoError.
  Task<absl::StatusOr<std::optional<FoundBatch>>> Next();

  // Bytes other than zero were seen behind the last batch.
  bool saw_garbage() const { return saw_garbage_; }

 private:
  Task<absl::Status> Load();
  std::optional<BatchFooter> FooterAtCursor() const;

  File* file_;
  Options options_;
  uint64_t floor_;   // end of the last batch
  uint64_t cursor_;  // the block that is looked at next
  bool saw_garbage_ = false;
  uint64_t chunk_offset_ = 0;
  Buffer chunk_;
};

}  // namespace stele::bookie
