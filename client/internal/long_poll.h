// LongPoll: waits at the bookies for the entry that is to come after the LAC.
//
// Source: docs/PROTOCOL.md "Long poll".
#pragma once

#include <optional>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/entry.h"
#include "client/internal/read_range.h"
#include "common/async/task.h"
#include "common/base/ids.h"

namespace stele::client {

struct LongPollResult {
  EntryId last_add_confirmed;  // the highest heard; kNoEntry when none
  // The entry asked for. None: nothing new, or the bookie that knows of the new LAC does not hold
  // the entry.
  std::optional<Entry> entry;
};

// Asks the bookies of the last fragment, one after the other, for `entry`, whose predecessor is the
// caller's LAC. Completes when a bookie has something new, or when so many have nothing new that
// there is nothing. Bookies that know nothing of the ledger, as before its first entry, have
// nothing new either: those of other makes say so at once, and are asked again until the timeout.
//   timeout  how long a bookie holds its answer back
//   errors   kUnauthorized, kConnectionLost, ...   no bookie has answered well
Task<absl::StatusOr<LongPollResult>> LongPoll(ReadSource source, EntryId entry,
                                              absl::Duration timeout);

}  // namespace stele::client
