// TailStream: the entries of a ledger one after the other, waiting for those to come.
#pragma once

#include <future>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "client/entry.h"
#include "common/async/launch.h"
#include "common/async/task.h"
#include "common/base/ids.h"

namespace stele::client {

template <typename State>
class Lease;
class LedgerReader;
struct TailState;

// Keeps the reader's state alive by itself, but not the client. Threads: as WriteHandle; one Next
// at a time.
class TailStream {
 public:
  TailStream(TailStream&&) noexcept;
  TailStream& operator=(TailStream&&) noexcept;
  ~TailStream();

  // The next entry, when it is acknowledged and the bookies know; nullopt when the ledger is closed
  // and all is read.
  //   errors   as ReadHandle::Read; the stream stays where it is, so Next may be called again.
  //            kNoSuchLedgerMetadata   the ledger was deleted
  Task<absl::StatusOr<std::optional<Entry>>> Next();
  std::future<absl::StatusOr<std::optional<Entry>>> Next(UseFuture);
  void Next(Callback<std::optional<Entry>> done);

 private:
  friend class ReadHandle;
  TailStream(std::shared_ptr<Lease<LedgerReader>> reader, EntryId first);

  std::shared_ptr<TailState> state_;
};

}  // namespace stele::client
