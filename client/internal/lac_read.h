// Asking a whole ensemble for its LAC: what a reader does to catch up, and, with fencing, the first
// step of recovery.
//
// Source: docs/PROTOCOL.md "LAC", "Fencing".
#pragma once

#include <memory>

#include "absl/status/statusor.h"
#include "client/internal/client_context.h"
#include "client/internal/ledger_keys.h"
#include "client/internal/recovery_rules.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "metadata/ledger_metadata.h"

namespace stele::client {

struct LacReadResult {
  EntryId last_add_confirmed;  // the highest heard; kNoEntry when none
  LastEntryFields highest;     // of the entry with the highest id that was heard of
};

// kPlain asks for the LAC, kFencing fences and asks for the last entry. Completes when the ensemble
// of the last fragment is covered (common/quorum/coverage.h).
//   errors   kUnauthorized   the password is wrong
//            others          not covered: the last error of a bookie
// What `context` points to outlives the task.
Task<absl::StatusOr<LacReadResult>> ReadLac(
    ClientContext* context, LedgerId ledger,
    std::shared_ptr<const metadata::LedgerMetadata> metadata,
    std::shared_ptr<const LedgerKeys> keys, LacQuorum::Kind kind);

}  // namespace stele::client
