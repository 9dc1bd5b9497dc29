// Reads the records of one file that Java wrote, by Java's own lenient rules: there is no checksum,
// so a length of zero and the end of the file are ends. What Java would misread is an error here.
#pragma once

#include <cstdint>
#include <optional>

#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

class JavaJournalReader {
 public:
  // `file` must outlive the reader.
  struct Options {
    int version = 0;
    uint64_t size_bytes = 0;  // of the file
    uint64_t offset = 0;      // of a record
    uint64_t record_size_max_bytes = 0;
  };
  JavaJournalReader(File* file, Options options)
      : file_(file), options_(options), offset_(options.offset) {}

  // The next record's body, which is a view of a large block; nullopt at the end.
  // kCorruptData: a length that cannot be, at offset(). kIoError.
  Task<absl::StatusOr<std::optional<Buffer>>> Next();

  // Where the next record begins, or where reading stopped.
  uint64_t offset() const { return offset_; }

  // The offset of the first byte that is not zero behind the end that Next() gave, if any: a tail
  // that a crash cut, or damage. kIoError.
  Task<absl::StatusOr<std::optional<uint64_t>>> FindDataBehindEnd();

 private:
  File* file_;
  Options options_;
  uint64_t offset_;
  uint64_t chunk_offset_ = 0;
  Buffer chunk_;
};

}  // namespace stele::bookie
