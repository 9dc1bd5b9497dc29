// ReadHandle: a reader of a ledger.
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/entry.h"
#include "client/tail_stream.h"
#include "common/async/launch.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "metadata/ledger_metadata.h"

namespace stele::client {

template <typename State>
class Lease;
class LedgerReader;

// What one long poll has brought.
struct LacAndEntry {
  EntryId last_add_confirmed;  // the reader's, afterwards
  // The entry that was asked for. None: nothing new within the time, or the bookie that told of the
  // new LAC does not hold the entry; read it then as any other.
  std::optional<Entry> entry;
};

// It follows the ledger's metadata until the ledger is closed. Threads: as WriteHandle.
class ReadHandle {
 public:
  ReadHandle(ReadHandle&&) noexcept;
  ReadHandle& operator=(ReadHandle&&) noexcept;
  ~ReadHandle();

  LedgerId id() const;

  // Entries first..last, both included; none above last_add_confirmed(). Once read, an entry stays
  // readable and the same.
  //   errors   kInvalidArgument  not 0 <= first <= last
  //            kReadFailed       above the last add confirmed; or a bookie failed to read
  //            kNoSuchEntry      every replica has lost it
  //            kMetadataUnavailable   the bookies that are known do not have it; others may
  //            kConnectionLost, kDeadline, kDigestMismatch, kUnknownLedgerState, ...
  //                              no replica gave it, and one may have it
  Task<absl::StatusOr<std::vector<Entry>>> Read(EntryId first, EntryId last);
  std::future<absl::StatusOr<std::vector<Entry>>> Read(EntryId first, EntryId last, UseFuture);
  void Read(EntryId first, EntryId last, Callback<std::vector<Entry>> done);

  // The same without the bound. What it gives beyond last_add_confirmed() may never have been
  // acknowledged and may be gone later: never decide anything by it.
  Task<absl::StatusOr<std::vector<Entry>>> ReadUnconfirmed(EntryId first, EntryId last);
  std::future<absl::StatusOr<std::vector<Entry>>> ReadUnconfirmed(EntryId first, EntryId last,
                                                                  UseFuture);
  void ReadUnconfirmed(EntryId first, EntryId last, Callback<std::vector<Entry>> done);

  // Entries from `first` on: at least one, as many as one reply holds, at most count_max (0: any
  // number), about size_max_bytes (0: a frame). Call again for the rest. Errors as Read.
  Task<absl::StatusOr<std::vector<Entry>>> ReadBatch(EntryId first, int32_t count_max,
                                                     int64_t size_max_bytes);
  std::future<absl::StatusOr<std::vector<Entry>>> ReadBatch(EntryId first, int32_t count_max,
                                                            int64_t size_max_bytes, UseFuture);
  void ReadBatch(EntryId first, int32_t count_max, int64_t size_max_bytes,
                 Callback<std::vector<Entry>> done);

  // Asks the bookies what is acknowledged; last_add_confirmed() rises to it. Writers tell the
  // bookies with the next entry, or at explicit_lac_interval: the very last may be missing.
  //   errors   those of the bookies, when too few answer
  Task<absl::StatusOr<EntryId>> ReadLastAddConfirmed();
  std::future<absl::StatusOr<EntryId>> ReadLastAddConfirmed(UseFuture);
  void ReadLastAddConfirmed(Callback<EntryId> done);

  // Waits up to `timeout` (of each bookie that is asked) for `entry` to be acknowledged, and gives
  // it.
  Task<absl::StatusOr<LacAndEntry>> WaitForEntry(EntryId entry, absl::Duration timeout);
  std::future<absl::StatusOr<LacAndEntry>> WaitForEntry(EntryId entry, absl::Duration timeout,
                                                        UseFuture);
  void WaitForEntry(EntryId entry, absl::Duration timeout, Callback<LacAndEntry> done);

  // All entries from `first` on, those to come included.
  TailStream Tail(EntryId first) const;

  // What is known locally. From any thread. A closed ledger's are final.
  EntryId last_add_confirmed() const;
  bool is_closed() const;
  int64_t length_bytes() const;  // payload bytes, of a closed ledger

  // What this reader knows of the metadata now.
  Task<absl::StatusOr<metadata::LedgerMetadata>> Metadata();
  std::future<absl::StatusOr<metadata::LedgerMetadata>> Metadata(UseFuture);
  void Metadata(Callback<metadata::LedgerMetadata> done);

 private:
  friend struct HandleMaker;
  explicit ReadHandle(std::shared_ptr<Lease<LedgerReader>> reader);

  std::shared_ptr<Lease<LedgerReader>> reader_;
};

}  // namespace stele::client
