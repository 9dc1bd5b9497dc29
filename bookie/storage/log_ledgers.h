// LogLedgers: which ledgers an entry log has, and how many bytes of each: by its ledgers map when
// that can be believed, else by a scan of the whole log.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "bookie/storage/entry_log_format.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

// Ledgers of one log that are taken into memory. A larger map is not believed; a log with more is
// not complete.
inline constexpr int32_t kLedgersInLogMax = 4 << 20;

struct LogLedgers {
  std::vector<LedgerBytes> ledgers;  // ascending
  // Nothing in the log could hide another ledger. False: there is damage.
  bool complete = false;
};

// `file` and `may_hide` must outlive the task. `may_hide(ledger)`: would it matter if the damaged
// end of the log had something of this ledger? An empty map is never believed. Errors: of reading.
Task<absl::StatusOr<LogLedgers>> ReadLogLedgers(File* file, uint32_t entry_size_max_bytes,
                                                absl::FunctionRef<bool(LedgerId)> may_hide);

}  // namespace stele::bookie
