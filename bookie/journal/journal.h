// Journal: the log that makes an add durable before it is acknowledged. One journal is one stream
// of files in one directory, owned by one shard. Group commit: the idle device gets what is there
// at once, the busy one gets all that gathered while it was busy.
//
// Contract
//   * Records become durable in the order of Append. OnDurable(n) says that all records up to
//   sequence n are.
//   * "Storage first, then journal": the caller has put a record's effect into ledger storage
//   before it appends it, so
//     everything before DurableMark() is in storage when the mark is read. Checkpoints rest on
//     that.
//   * A failed write or sync poisons the journal: OnFailed once, nothing is ever acknowledged
//   again; the bookie stops.
// Format: journal_format.h, docs/FORMATS.md. Source: design "Journal"; Java's v6 framing.
#pragma once

#include <compare>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"
#include "common/seams/env.h"

namespace stele::bookie {

// A position in a journal stream: everything before it is durable and needs no replay. Stored as
// `lastMark`.
struct JournalMark {
  int64_t file_id = 0;
  int64_t offset_bytes = 0;
  friend auto operator<=>(const JournalMark&, const JournalMark&) = default;
};

struct JournalOptions {
  std::string directory;                         // the `current` directory of this journal
  uint64_t file_size_max_bytes = 2048ull << 20;  // journalMaxSizeMB
  uint64_t prealloc_bytes = 256ull
                            << 20;  // zero-filled ahead of the writes; see journal.cc for the pool
  size_t batch_size_max_bytes = 1 << 20;
  int batches_in_flight_max = 2;
  int backup_files = 5;  // journalMaxBackups
  size_t pending_max_bytes =
      64 << 20;  // above it has_room() is false and the caller stops reading sockets
};

class JournalListener {
 public:
  virtual ~JournalListener() = default;
  // All records up to `sequence` are durable. Called once per commit at most, with growing numbers.
  virtual void OnDurable(uint64_t sequence) = 0;
  // The journal has room again after has_room() was false.
  virtual void OnRoom() = 0;
  // The journal is poisoned. The bookie must stop.
  virtual void OnFailed(absl::Status why) = 0;
};

class Journal {
 public:
  virtual ~Journal() = default;

  // Appends one record and gives its sequence (1, 2, 3, ...). `body` is the record without its
  // length: at least 16 bytes that begin with ledger id and entry id (journal_format.h makes those
  // of meta records). Never waits; kept until durable.
  virtual uint64_t Append(Buffer body) = 0;

  // False: more than pending_max_bytes wait.
  virtual bool has_room() const = 0;

  // The end of the last durable batch.
  virtual JournalMark DurableMark() const = 0;

  // Deletes files that lie before `mark`, but for backup_files of them. `mark` is durable in
  // lastMark.
  virtual Task<absl::Status> Trim(JournalMark mark) = 0;

  // Waits for what is in flight; further Appends are bugs.
  virtual Task<absl::Status> Close() = 0;
};

// Opens a new file behind all that exist in the directory. `listener` must outlive the journal.
Task<absl::StatusOr<std::unique_ptr<Journal>>> OpenJournal(Env env, JournalOptions options,
                                                           JournalListener* listener);

}  // namespace stele::bookie
