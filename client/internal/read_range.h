// ReadOneByOne: reads a run of entries of one ledger by a request for each. Each entry is asked of
// its replicas one after the other, the next one when the first fails or takes too long, and given
// back only when its digest is right. read_batch.h has the way that is tried first.
//
// Source: docs/PROTOCOL.md "Reading".
#pragma once

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/entry.h"
#include "client/internal/client_context.h"
#include "client/internal/ledger_cell.h"
#include "client/internal/ledger_keys.h"
#include "common/async/task.h"
#include "common/base/ids.h"

namespace stele::client {

// Which ledger, and how to read it. What it points to outlives the task.
struct ReadSource {
  ClientContext* context;
  std::shared_ptr<LedgerCell> cell;
  std::shared_ptr<const LedgerKeys> keys;
};

// All of first..last (0 <= first <= last), in order; the caller has checked that they may be read.
// When entries are not where the metadata says, the metadata is read again once: re-replication may
// have moved them.
//   errors   kNoSuchEntry      every replica says so, and the metadata was read again
//            kMetadataUnavailable   every replica that is known says so, and others may have it
//            kConnectionLost   a replica that may have it cannot be reached, no other has it
//            kDigestMismatch, kReadFailed, kDeadline, ...   the first hard error of a replica
Task<absl::StatusOr<std::vector<Entry>>> ReadOneByOne(ReadSource source, EntryId first,
                                                      EntryId last);

// What read_batch.cc needs too.
// The replicas of `entry` in the order in which they are asked: that of the write set of `turn`,
// but slow ones last.
std::vector<BookieId> ReplicasOf(ClientContext* context, const metadata::LedgerMetadata& metadata,
                                 EntryId entry, EntryId turn);
// kDigestMismatch: the packet is not this entry, undamaged.
absl::StatusOr<Entry> ToEntry(const Buffer& packet, const ReadSource& source, EntryId entry);
absl::Status ReadError(const ReadSource& source, EntryId entry, ErrorCode code);

}  // namespace stele::client
