// ReadEntries: reads a run of entries of one ledger. Each entry is asked of its replicas one after
// the other, the next one when the first fails or takes too long, and given back only when its
// digest is right.
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
//   errors   kNoSuchEntry      every replica says so
//            kConnectionLost   a replica that may have it cannot be reached, no other has it
//            kDigestMismatch, kReadFailed, kDeadline, ...   the first hard error of a replica
Task<absl::StatusOr<std::vector<Entry>>> ReadEntries(ReadSource source, EntryId first,
                                                     EntryId last);

// One batch request: the entries from `first` on that one bookie gives in one reply, at least one,
// at most `count_max`, about `size_max_bytes`. Only for ledgers whose bookies hold every entry.
// Fewer than asked for says nothing about the rest.
//   errors   as ReadEntries for the first entry
Task<absl::StatusOr<std::vector<Entry>>> ReadEntryBatch(ReadSource source, EntryId first,
                                                        int32_t count_max, int64_t size_max_bytes);

}  // namespace stele::client
