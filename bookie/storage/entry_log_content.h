// Tells whether an entry log still has anything of a ledger that exists: by its ledgers map when
// that can be believed, else by a scan of the whole log.
#pragma once

#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

// Ledgers in one map that are taken into memory; a larger map is not believed.
inline constexpr int32_t kLedgersInMapMax = 4 << 20;

struct LogContent {
  enum class Verdict {
    kLive,     // has `some_ledger`
    kDead,     // no ledger that exists, and nothing that could hide one
    kUnclear,  // no such ledger was found, but there is damage
  };
  Verdict verdict = Verdict::kUnclear;
  LedgerId some_ledger;
};

// `is_known` and `file` must outlive the task. An empty map is never believed. Errors: of reading.
Task<absl::StatusOr<LogContent>> FindLiveLedger(File* file, uint32_t entry_size_max_bytes,
                                                absl::FunctionRef<bool(LedgerId)> is_known);

}  // namespace stele::bookie
