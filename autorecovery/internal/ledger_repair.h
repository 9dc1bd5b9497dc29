// LedgerRepair: brings one ledger's entries back to their number of copies: looks what is missing,
// copies exactly that, and names the new bookies when they have it.
//
// Source: docs/AUTORECOVERY.md "Repair of a ledger".
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "absl/status/status.h"
#include "autorecovery/internal/fragment_copier.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "metadata/autorecovery_records.h"
#include "metadata/ledger_manager.h"

namespace stele::autorecovery {

struct RepairRequest {
  LedgerId ledger;
  // Members that are up and are looked at all the same: those that the task names. Empty: all.
  std::vector<BookieId> suspects;
  // Members that are to be replaced although they are up and have their entries: a drain.
  std::set<BookieId> leaving;
  // The grace for an open ledger's writer is over: close the ledger.
  bool may_fence = false;
  // Entries that could not be read last time: looked for first.
  std::vector<metadata::QuarantineRecord::Range> lost_last_time;
};

struct RepairOutcome {
  enum class Kind {
    kDone,         // nothing is missing any more, or nothing was
    kGone,         // the ledger was deleted
    kTailBroken,   // the rest is done; the open tail needs its writer, or a fence
    kHopeless,     // `quarantine` says why
    kFailed,       // `status` says why; may be tried again
    kInterrupted,  // repair was switched off
  };
  Kind kind = Kind::kDone;
  absl::Status status;
  std::optional<metadata::QuarantineRecord> quarantine;
  bool was_fenced = false;
  int64_t entries_copied = 0;
  int64_t bytes_copied = 0;
  int64_t members_replaced = 0;
};

// How to read what old metadata does not tell.
struct RepairDefaults {
  // For ledgers whose metadata carries no password, from before Apache BookKeeper 4.2.
  DigestType digest_type = DigestType::kCrc32;
  std::string password;
};

// `context` and what it points to outlive the task.
//   avoid   no copies go there: bookies that are draining
Task<RepairOutcome> RepairLedger(CopyContext* context, const RepairDefaults* defaults,
                                 const std::set<BookieId>* avoid, RepairRequest request);

}  // namespace stele::autorecovery
