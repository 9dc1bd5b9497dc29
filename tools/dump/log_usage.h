// What each ledger takes of an entry log, Java's or ours.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/env.h"

namespace stele::dump {

struct LogUsage {
  struct Share {
    int64_t entries = 0;
    int64_t bytes = 0;  // in the file, size fields included
  };
  std::map<LedgerId, Share> ledgers;
  int64_t damages = 0;  // places where records may have been lost; what may be one is not counted
};

// Reads the whole file. Errors: as DumpEntryLog.
Task<absl::StatusOr<LogUsage>> ReadLogUsage(Env env, std::string path);

}  // namespace stele::dump
