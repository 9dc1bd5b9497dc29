// WriteHandle: the one writer of a ledger.
#pragma once

#include <cstdint>
#include <future>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/entry.h"
#include "common/async/launch.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/base/ids.h"

namespace stele::client {

template <typename State>
class Lease;
class LedgerWriter;

// States: open; failed or closed, for good. What is acknowledged is durable on ack_quorum_size
// bookies (without deferred sync). Destroying the handle abandons the ledger: it stays open until
// somebody opens it with recovery.
//
// Threads: each operation has three forms. A Task is made and awaited on the client's shard; the
// other two may be called from any thread, and a callback runs on the client's shard, once. The
// order of appends is the order of calls. One thread at a time moves or destroys the handle.
class WriteHandle {
 public:
  WriteHandle(WriteHandle&&) noexcept;
  WriteHandle& operator=(WriteHandle&&) noexcept;
  ~WriteHandle();

  LedgerId id() const;

  // Appends one entry; completes when ack_quorum_size bookies have it and all earlier entries are
  // acknowledged. Gives its id.
  //   entry    0 bytes up to the frame limit less 256; shared, not copied
  //   errors   kLedgerFenced      unknown: a recovery may keep the entry; reopen and read to learn
  //            kNotEnoughBookies  unknown: no replacement for a failed bookie; the handle is done
  //            kWriteFailed, kUnauthorized, kAppendDeadline, kNoSuchLedgerMetadata,
  //            kMetadataUnavailable   unknown; the handle is done
  //            kLedgerClosed      of appends that were pending at Close: EffectOf() tells. Of later
  //                               ones: not applied
  //            kOverloaded        not applied: too much is pending; wait for earlier appends
  //            kInvalidArgument   not applied: the entry is too large
  //            kUnsupported       not applied: the handle takes ids from its caller
  //            kStopped           the client was closed; EffectOf() tells
  //   source   docs/PROTOCOL.md "Append"
  Task<absl::StatusOr<EntryId>> Append(Buffer entry);
  std::future<absl::StatusOr<EntryId>> Append(Buffer entry, UseFuture);
  void Append(Buffer entry, Callback<EntryId> done);

  // Appends under an id that the caller chose, on a handle created with CallerAssignsEntryIds(). In
  // any order; acknowledged in order of ids, so an id left out holds up all above it.
  //   errors   as Append; kDuplicateEntry   not applied: the id is taken; the handle goes on
  Task<absl::StatusOr<EntryId>> AppendAt(EntryId id, Buffer entry);
  std::future<absl::StatusOr<EntryId>> AppendAt(EntryId id, Buffer entry, UseFuture);
  void AppendAt(EntryId id, Buffer entry, Callback<EntryId> done);

  // With deferred sync: makes everything durable that is acknowledged now, on all bookies of the
  // ensemble; the LAC moves there. Without: everything acknowledged is durable already.
  //   errors   any   the entries are not known to be durable; may be tried again
  Task<absl::Status> Force();
  std::future<absl::Status> Force(UseFuture);
  void Force(StatusCallback done);

  // Ends the ledger behind the last acknowledged entry; appends that are pending fail. With
  // deferred sync it forces first. Later calls give the result of the first; after an error, open
  // the ledger with recovery.
  //   errors   kLedgerFenced      somebody recovers the ledger, and closes it
  //            kMetadataConflict  somebody has closed it elsewhere
  //            kMetadataUnavailable   unknown
  Task<absl::Status> Close();
  std::future<absl::Status> Close(UseFuture);
  void Close(StatusCallback done);

  // Entries first..last of this ledger, up to last_add_confirmed(); with deferred sync, those
  // acknowledged. Errors as ReadHandle::Read.
  Task<absl::StatusOr<std::vector<Entry>>> Read(EntryId first, EntryId last);
  std::future<absl::StatusOr<std::vector<Entry>>> Read(EntryId first, EntryId last, UseFuture);
  void Read(EntryId first, EntryId last, Callback<std::vector<Entry>> done);

  // What is known locally. From any thread; an append of another thread may not be counted yet.
  EntryId last_add_pushed() const;
  EntryId last_add_confirmed() const;
  int64_t length_bytes() const;  // payload bytes of all entries pushed
  bool is_closed() const;        // no append is accepted any more

 private:
  friend struct HandleMaker;
  explicit WriteHandle(std::shared_ptr<Lease<LedgerWriter>> writer);

  std::shared_ptr<Lease<LedgerWriter>> writer_;
};

}  // namespace stele::client
