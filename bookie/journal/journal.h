// Journal: the log that makes an add durable before it is acknowledged. One journal is one stream
// of files in one directory, owned by one shard. Group commit: the idle device gets what is there
// at the end of the turn, the busy one gets all that gathered while it was busy.
//
// Contract
//   * Records become durable in the order of Append. OnDurable(n) says that all records up to
//     sequence n are.
//   * "Storage first, then journal": the caller has put a record's effect into ledger storage
//     before it appends it, so everything before DurableMark() is in storage when the mark is read.
//     Checkpoints rest on that.
//   * A failed write poisons the journal: OnFailed once, nothing is ever acknowledged again; the
//     bookie stops.
//   * There is no "written but not synced": each batch is durable when its write completes, so
//     adds of deferred-sync ledgers take the same way.
// Format: journal_format.h, docs/FORMATS.md "Journal".
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/journal/journal_mark.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/observe/metrics_text.h"
#include "common/seams/env.h"

namespace stele::bookie {

struct JournalOptions {
  std::string directory;  // the `current` directory of this journal; it must exist
  // journalMaxSizeMB: no file becomes larger.
  uint64_t file_size_max_bytes = 2048ull << 20;
  // The most that is zero-filled in advance, which is one whole file: files begin small and grow
  // to the lesser of this and file_size_max_bytes (README.md says why).
  uint64_t prealloc_bytes = 256ull << 20;
  size_t batch_size_max_bytes = 1 << 20;
  int batches_in_flight_max = 2;
  // The largest body that Append takes; a batch holds at least one.
  size_t record_size_max_bytes = 5 * 1024 * 1024 + 64;
  int backup_files = 5;  // journalMaxBackups
  // Files that are no longer needed are written again instead of being deleted, which spares a
  // third of the device's writes. Java could not read such a file beyond its last batch.
  bool reuse_files = false;
  // Above it has_room() is false and the caller stops reading sockets.
  size_t pending_max_bytes = 64 << 20;
  // File ids of this journal are greater: give the mark's, so that ids never repeat even when
  // somebody has emptied the directory and the clock has gone back.
  int64_t file_id_above = 0;
};

// Calls come from the shard's queue, never from inside a call of the Journal. They may append, but
// must not destroy the journal.
class JournalListener {
 public:
  virtual ~JournalListener() = default;
  // All records up to `sequence` are durable. Called once per commit at most, with growing numbers.
  virtual void OnDurable(uint64_t sequence) = 0;
  // The journal has room again after has_room() was false.
  virtual void OnRoom() = 0;
  // The journal is poisoned. The bookie must stop.
  virtual void OnFailed(absl::Status why) = 0;
  // True: the disk is too full to prepare the next file; what is left of this one serves the fences
  // of a bookie that goes read-only now. When that is used up, OnFailed follows. False: the next
  // file is there.
  virtual void OnDiskFull(bool is_full) {}
};

class Journal {
 public:
  virtual ~Journal() = default;

  // Appends one record and gives its sequence (1, 2, 3, ...). `body` is the record without its
  // length: 16 .. record_size_max_bytes bytes that begin with ledger id and entry id
  // (journal_format.h makes those of meta records). Copied; never waits.
  virtual uint64_t Append(Buffer body) = 0;

  // False: more than pending_max_bytes wait.
  virtual bool has_room() const = 0;

  // With the label journalIndex="`index`".
  virtual void Export(int index, observe::MetricsText& into) const = 0;

  // The end of the last durable batch.
  virtual JournalMark DurableMark() const = 0;

  // What this journal writes; files in front of it are an earlier process's.
  virtual JournalStream Stream() const = 0;

  // Writes the header of the current file anew: it was found damaged. An error poisons the journal.
  virtual Task<absl::Status> RewriteHeader() = 0;

  // Deletes files that lie before `mark`, or keeps a few to be written again, but for the newest
  // backup_files of them. One call at a time; the journal must outlive it.
  //   mark    durable in lastMark already
  //   errors  kInvalidArgument (mark is not durable in this journal yet), kIoError: some files may
  //           be gone
  virtual Task<absl::Status> Trim(JournalMark mark) = 0;

  // Waits for what was appended and ends; further Appends are bugs. Gives the reason when the
  // journal was or becomes poisoned.
  virtual Task<absl::Status> Close() = 0;
};

// Opens a new file behind all that exist in the directory.
//   env        executor, clock, random and files are used
//   listener   must outlive the journal
//   errors     kInvalidArgument (options), kCorruptData (a .txn name that is no file id),
//              kDiskFull, kIoError
Task<absl::StatusOr<std::unique_ptr<Journal>>> OpenJournal(Env env, JournalOptions options,
                                                           JournalListener* listener);

}  // namespace stele::bookie
