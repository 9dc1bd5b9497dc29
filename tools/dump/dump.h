// stele dump: what is in a file of a bookie, Java's or ours, record by record. Reads only; damage
// is shown where it lies, and the exit code says whether there was any.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/env.h"
#include "tools/shell/output.h"

namespace stele::dump {

struct DumpOptions {
  std::string path;
  std::optional<LedgerId> ledger;  // only records of this one
  bool payload = false;            // with the first bytes of each entry, as hex
};

// Gets one record after the other: what was found, in the order of the file.
using Emit = std::function<void(const shell::Record&)>;

// Each gives the number of damaged places. Errors: the file cannot be read, or is no such file; of
// an extent run a place that cannot be read is a damaged one.
Task<absl::StatusOr<int64_t>> DumpJournal(Env env, DumpOptions options, Emit emit);
Task<absl::StatusOr<int64_t>> DumpEntryLog(Env env, DumpOptions options, Emit emit);
// An index file, whose ledger is taken from its name, or an extent run.
Task<absl::StatusOr<int64_t>> DumpIndex(Env env, DumpOptions options, Emit emit);

// Where the replay of each journal would begin: the lastMark files of a ledger directory (`path`,
// as configured). kNoSuchFile: there is none.
Task<absl::StatusOr<int64_t>> DumpMarks(Env env, DumpOptions options, Emit emit);

}  // namespace stele::dump
