// EntryLogs: which entry logs exist and where, how much of each is of ledgers that exist, reading
// of single entries, and removal of logs in which no ledger is left. A log that is being written
// belongs to an EntryLogWriter.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/storage/entry_log_format.h"
#include "bookie/storage/ledger_storage.h"
#include "bookie/storage/log_extents.h"
#include "bookie/storage/open_files.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"
#include "common/seams/env.h"

namespace stele::bookie {

struct EntryLogsOptions {
  std::vector<std::string> directories;
  uint64_t log_size_max_bytes = 1ull << 30;
  uint32_t entry_size_max_bytes = 5u << 20;
  uint32_t disk_usage_max_ppm = 950'000;
  size_t open_files_max = 128;
  size_t extents_max_bytes = 32u << 20;  // that sequential reads keep in memory
};

class EntryLogs {
 public:
  // Finds the logs and removes what an interrupted compaction of a Java bookie left.
  //   errors   kCorruptData   two logs of one id: no location could tell them apart
  static Task<absl::StatusOr<std::unique_ptr<EntryLogs>>> Open(Env env, EntryLogsOptions options);

  // The packet of the record at `location`, which must be the one of this entry.
  //   size_guess_bytes   what the record is thought to take; one read is enough when it is right
  //   errors   kCorruptData   another record, or none; kIoError, also when the log is not there
  Task<absl::StatusOr<Buffer>> Read(EntryLocation location, LedgerId ledger, EntryId entry,
                                    size_t size_guess_bytes);

  // As Read, for one of a run of entries that is being read in order: what lies before `run_end` of
  // the log is read with it, and kept for the entries behind.
  Task<absl::StatusOr<Buffer>> ReadOfRun(EntryLocation location, LedgerId ledger, EntryId entry,
                                         uint64_t run_end);
  // What an earlier ReadOfRun has brought; nullopt proves nothing.
  std::optional<Buffer> FindInExtents(EntryLocation location, LedgerId ledger, EntryId entry);

  // Was this log made by this process? What others wrote may not be durable.
  bool IsOurs(EntryLogId log) const;

  // Looks at all closed logs. Removes those that have no ledger for which `is_known` holds, and
  // whose other ledgers are all gone; gives their number. Logs with damage stay: the damage may
  // hide a ledger. When a log cannot be read or removed the others still are, and the first such
  // error is the result.
  //   deletions   grows with each deletion of a ledger: a log that was looked at since can wait
  Task<absl::StatusOr<int64_t>> RemoveDead(int64_t deletions,
                                           absl::FunctionRef<bool(LedgerId)> is_known,
                                           AreLedgersGone are_gone);
  // The ledgers of all logs, none of which is being written, for which `is_settled` does not hold.
  // A log that cannot be read is passed over.
  Task<absl::StatusOr<absl::btree_set<LedgerId>>> FindStrays(
      absl::FunctionRef<bool(LedgerId)> is_settled);
  std::vector<EntryLogId> ClosedLogs() const;

  // Of the settled logs, as RemoveDead saw them last.
  std::vector<EntryLogUsage> Usages() const;

  // No flush still has to write locations in logs that are closed by now: they are settled.
  void SettleClosed();
  bool IsSettled(EntryLogId log) const;
  // For reading from end to end. kNoSuchFile: it was removed.
  Task<absl::StatusOr<std::unique_ptr<File>>> OpenForScan(EntryLogId log);
  // Removes a settled log to which nothing refers, durably.
  Task<absl::Status> Remove(EntryLogId log);

  size_t count() const { return logs_.size(); }
  const EntryLogsOptions& options() const { return options_; }
  Env env() const { return env_; }

  // For the writer.
  EntryLogId NextId();
  std::string PathOf(EntryLogId log, size_t directory) const;
  void Add(EntryLogId log, size_t directory);
  // Up to `end` the log never changes again.
  void SetReadableEnd(EntryLogId log, uint64_t end) { logs_.at(log).readable_end = end; }
  void MarkClosed(EntryLogId log);
  void Forget(EntryLogId log);
  // Writes the id where Java looks for the highest one in use. Best effort: the names of the logs
  // say the same, as long as the highest one exists.
  Task<void> StoreLastId(EntryLogId log);

 private:
  struct Log {
    size_t directory = 0;
    bool ours = false;
    bool closed = true;   // nothing is appended any more
    bool settled = true;  // and no location in it is still to be written
    uint64_t readable_end = UINT64_MAX;
    // When it was last looked at; deletions_seen is -1 before.
    int64_t deletions_seen = -1;
    uint64_t total_bytes = 0;
    uint64_t live_bytes = 0;  // of ledgers that were known
  };

  EntryLogs(Env env, EntryLogsOptions options);
  std::optional<std::string_view> RecordIn(std::string_view bytes, LedgerId ledger,
                                           EntryId entry) const;
  Task<void> LoadExtent(EntryLogId log, size_t directory, uint64_t begin, size_t size);
  Task<absl::Status> Enumerate();
  Task<absl::Status> RemoveCompactionLeftovers(size_t directory, std::vector<std::string> names);
  Task<absl::StatusOr<bool>> RemoveIfDead(EntryLogId log, int64_t deletions,
                                          absl::FunctionRef<bool(LedgerId)> is_known,
                                          AreLedgersGone* are_gone);

  Task<absl::Status> FindStraysIn(EntryLogId log, absl::FunctionRef<bool(LedgerId)> is_settled,
                                  absl::btree_set<LedgerId>* strays);

  Env env_;
  const EntryLogsOptions options_;
  absl::btree_map<EntryLogId, Log> logs_;
  EntryLogId last_id_{-1};
  OpenFiles readers_;
  OpenFiles direct_readers_;  // of extents
  LogExtents extents_;
};

}  // namespace stele::bookie
