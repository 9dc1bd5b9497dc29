// RecoverLedger: takes a ledger over from its writer and ends it: mark, fence, read on and write
// back, close.
//
// Source: docs/PROTOCOL.md "Recovery"; the decisions are in recovery_rules.h.
#pragma once

#include <memory>

#include "absl/status/status.h"
#include "client/internal/read_range.h"
#include "common/async/task.h"

namespace stele::client {

// Ok: source.cell holds the closed ledger, ended here or by somebody who was faster. May be called
// again after a failure, by anybody: every step can be repeated.
//   errors   kUnauthorized           the password is wrong
//            kNoSuchLedgerMetadata   the ledger was deleted
//            kMetadataUnavailable, kStopped
//            kDeadline, kRecoveryFailed   the bookies' answers do not allow a decision: the ledger
//                                    stays in recovery, nothing is cut off
Task<absl::Status> RecoverLedger(ReadSource source);

}  // namespace stele::client
