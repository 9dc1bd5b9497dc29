// LedgerReader: the reading side of one ledger: what may be read, what is new, what has ended.
//
// On the client's shard.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/entry.h"
#include "client/internal/long_poll.h"
#include "client/internal/read_range.h"
#include "common/async/notification.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"

namespace stele::client {

// Numbers that any thread may read while the shard writes them.
struct ReaderProgress {
  std::atomic<int64_t> last_add_confirmed{-1};
  std::atomic<int64_t> length_bytes{0};  // of a closed ledger
  std::atomic<bool> is_closed{false};
  std::atomic<bool> is_deleted{false};
};

class LedgerReader {
 public:
  //   last_add_confirmed   what is known so far; a closed ledger knows better
  LedgerReader(ReadSource source, EntryId last_add_confirmed);

  // Follows the ledger's metadata from now on, unless it is closed.
  void Follow();

  LedgerId id() const { return source_.cell->id(); }
  const std::shared_ptr<LedgerCell>& cell() const { return source_.cell; }
  const ReaderProgress& progress() const { return progress_; }

  // Entries up to the LAC. kInvalidArgument: not 0 <= first <= last; kReadFailed: above the LAC;
  // others as ReadEntries.
  static Task<absl::StatusOr<std::vector<Entry>>> Read(std::shared_ptr<LedgerReader> self,
                                                       EntryId first, EntryId last);
  static Task<absl::StatusOr<std::vector<Entry>>> ReadUnconfirmed(
      std::shared_ptr<LedgerReader> self, EntryId first, EntryId last);
  // As many entries from `first` on as fit, at least one, never above the LAC.
  static Task<absl::StatusOr<std::vector<Entry>>> ReadBatch(std::shared_ptr<LedgerReader> self,
                                                            EntryId first, int32_t count_max,
                                                            int64_t size_max_bytes);

  // Asks the bookies; the reader's LAC rises to what they say.
  static Task<absl::StatusOr<EntryId>> ReadLastAddConfirmed(std::shared_ptr<LedgerReader> self);

  // One long poll.
  static Task<absl::StatusOr<LongPollResult>> ReadNext(std::shared_ptr<LedgerReader> self,
                                                       EntryId entry, absl::Duration timeout);

  // Waits until `first` may be read and gives it and some that follow; empty when the ledger is
  // closed before it.
  static Task<absl::StatusOr<std::vector<Entry>>> WaitAndRead(std::shared_ptr<LedgerReader> self,
                                                              EntryId first);

  // The client is closing or going: the reader waits for nothing any more.
  void Stop();

 private:
  EntryId last_add_confirmed() const {
    return EntryId(progress_.last_add_confirmed.load(std::memory_order_relaxed));
  }
  bool is_closed() const { return progress_.is_closed.load(std::memory_order_relaxed); }
  void Raise(EntryId last_add_confirmed);
  // Takes over what the metadata says now.
  void OnMetadata();
  Task<void> FollowMetadata();
  // What one poll of a tail has brought: nothing yet; an error; no entry, but perhaps news; or the
  // entry.
  using Poll = std::optional<absl::StatusOr<std::optional<Entry>>>;
  Task<void> PollOnce(EntryId entry, std::shared_ptr<Poll> poll);

  const ReadSource source_;
  ReaderProgress progress_;
  bool is_stopped_ = false;
  Notification changed_;
  std::unique_ptr<TaskScope> tasks_;
};

}  // namespace stele::client
