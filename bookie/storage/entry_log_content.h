// Tells whether an entry log has anything of a ledger that is known, and of which others: by its
// ledgers map when that can be believed, else by a scan of the whole log.
#pragma once

#include <cstdint>

#include "absl/container/btree_set.h"
#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

// Ledgers of one log that are taken into memory. A larger map is not believed; a log with more is
// kUnclear.
inline constexpr int32_t kLedgersInMapMax = 4 << 20;

struct LogContent {
  enum class Verdict {
    kLive,     // has `known_ledger`
    kStray,    // no known ledger, and nothing that could hide one: only `ledgers`
    kUnclear,  // no known ledger was found, but there is damage
  };
  Verdict verdict = Verdict::kUnclear;
  LedgerId known_ledger;
  absl::btree_set<LedgerId> ledgers;  // kStray
};

// `is_known` and `file` must outlive the task. An empty map is never believed. Errors: of reading.
Task<absl::StatusOr<LogContent>> ReadLogContent(File* file, uint32_t entry_size_max_bytes,
                                                absl::FunctionRef<bool(LedgerId)> is_known);

}  // namespace stele::bookie
