// EntryLogWriter: appends the records of flushes to the current entry log, in large direct and
// synced writes, and starts a new log when one is full or has failed. Nothing goes through the
// system's page cache: copying into it would cost more than all else that an entry costs, and what
// it writes back later, all at once, would hold up the journal. So each write is whole blocks, and
// a flush ends with padding.
//
// A flush is: Begin, for each entry { MakeRoom unless HasRoom; Add }, Sync. Only when Sync
// succeeded may a location be stored. After an error: Abandon, which cuts the log back to what was
// synced before, seals it, and makes the next log go to another directory; then the flush adds
// everything again. No file is synced again after a failure: what it has lost would stay lost.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/status.h"
#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/entry_logs.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

// Records are gathered into writes of this size; a larger record is a write of its own.
inline constexpr size_t kEntryLogWriteBytes = 1 << 20;

class EntryLogWriter {
 public:
  // `logs` must outlive the writer.
  explicit EntryLogWriter(EntryLogs* logs) : logs_(logs) {}

  // A new log needs a disk that has `bytes` free. Every directory may be tried again.
  void Begin(uint64_t bytes);

  bool HasRoom(size_t body_size) const {
    const size_t record = kRecordSizeFieldBytes + body_size;
    return log_ != nullptr && FitsBuffer(record) && FitsLog(record);
  }
  Task<absl::Status> MakeRoom(size_t body_size);
  // HasRoom() holds. Where the record will be.
  EntryLocation Add(LedgerId ledger, std::string_view body);
  // Everything added is durable.
  Task<absl::Status> Sync();
  // True: add everything again, another directory may take it.
  Task<bool> Abandon();

  // Seals the current log. Nothing is added that was not synced.
  Task<absl::Status> Close();

 private:
  // What fills up the end of a buffer: a block and the 3 bytes that are too few
  // (entry_log_format.h).
  static constexpr size_t kPaddingMaxBytes = kEntryLogBlockBytes + kRecordSizeFieldBytes;

  // Bytes of each ledger in a log.
  using LedgerSizes = absl::btree_map<LedgerId, int64_t>;
  struct WrittenLog {
    EntryLogId id;
    size_t directory = 0;
    std::unique_ptr<File> file;
    uint64_t written_end = 0;  // whole blocks
    uint64_t synced_end = 0;   // 0: not even the header
    LedgerSizes synced;        // of the records below synced_end
    LedgerSizes unsynced;      // of the others
  };

  bool FitsLog(size_t record) const {
    const uint64_t end = log_->written_end + buffered_;
    return end + record <= logs_->options().log_size_max_bytes || end == kEntryLogDataOffset;
  }
  bool FitsBuffer(size_t record) const {
    return buffered_ + record + kPaddingMaxBytes <= buffer_.size();
  }
  bool HasDirectoryLeft() const;
  Task<absl::Status> CreateLog();
  Task<absl::Status> CreateLogIn(size_t directory);
  Task<absl::Status> WriteOut();
  // Writes the whole blocks that are gathered; the rest stays, and `record` bytes fit behind it.
  Task<absl::Status> WriteBlocks(size_t record);
  Task<absl::Status> Seal();
  Task<absl::Status> CutBack(const WrittenLog& log);  // awaited at once
  static LedgerSizes AllLedgers(const WrittenLog& log);
  // Writes the ledgers map at `offset` and the header that refers to it; all of the file is durable
  // then.
  static Task<absl::Status> WriteMap(File* file, uint64_t offset, LedgerSizes sizes);

  EntryLogs* logs_;
  std::unique_ptr<WrittenLog> log_;  // null: the next record begins one
  MutableBuffer buffer_;
  MutableBuffer spare_;  // the one before, or none
  size_t buffered_ = 0;
  bool flushing_ = false;  // between Begin and the end of Sync
  uint64_t free_min_bytes_ = 0;
  std::vector<bool> failed_directories_;
  size_t next_directory_ = 0;
  LedgerId last_ledger_;  // what Add counted last, and where
  int64_t* last_ledger_bytes_ = nullptr;
};

}  // namespace stele::bookie
