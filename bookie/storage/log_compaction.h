// Compaction of one entry log: moves what is live in it to another log, so that it can go.
//
// A record is live when the index refers to this very copy; copies that a replay or an earlier
// compaction left are not moved, but the location of the other copy is made durable again before
// this one may go. Each step is durable before the next: 1 the copies, 2 their locations, ledger by
// ledger and only where the index has not changed meanwhile, 3 the source's removal. A crash at any
// point leaves every entry readable, and at worst copies that nobody refers to.
//
// The source stays when something in it may matter that the index does not show: damage, a ledger
// whose index was lost in part, a ledger that is not known here and that the cluster still has.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/storage/entry_log_writer.h"
#include "bookie/storage/entry_logs.h"
#include "bookie/storage/index_store.h"
#include "bookie/storage/ledger_storage.h"
#include "common/async/task.h"
#include "common/base/ids.h"

namespace stele::bookie {

// Records that are copied before their locations are written; bounds the memory (2 MiB).
inline constexpr size_t kMovesAtATimeMax = 64 << 10;

// What a record of a ledger means that the index does not refer to.
enum class LedgerFate {
  kKnown,      // nothing: a copy of an entry that lies elsewhere
  kUncertain,  // perhaps the only copy
  kStray,      // the ledger is not known here
};
using FateOf = absl::AnyInvocable<Task<absl::StatusOr<LedgerFate>>(LedgerId ledger)>;

struct CompactionParts {
  EntryLogs* logs;
  IndexStore* index;
  EntryLogWriter* writer;       // of compactions alone
  uint64_t free_min_bytes = 0;  // a new log goes to a disk that has so much
};

// `source` is closed, and no flush still has to write locations in it. One at a time. Everything
// that is pointed to must outlive the task.
//   errors   those of the file system and of `pace`; what was moved stays moved
Task<absl::StatusOr<CompactedLog>> CompactLog(CompactionParts parts, EntryLogId source,
                                              FateOf* fate_of, AreLedgersGone* are_gone,
                                              BackgroundPace* pace);

}  // namespace stele::bookie
