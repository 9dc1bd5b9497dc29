// Replay: reads what a journal directory holds behind the mark, at start, before anything is
// written.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/journal/journal.h"
#include "common/async/task.h"
#include "common/base/buffer.h"
#include "common/seams/env.h"

namespace stele::bookie {

struct ReplayOptions {
  std::string directory;
  JournalMark mark;  // (0, 0): everything that is present
  size_t record_size_max_bytes = 5 * 1024 * 1024 + 64;
};

struct ReplayReport {
  JournalMark end;  // where scanning stopped
  int64_t files = 0;
  int64_t records = 0;
  int64_t bytes = 0;
  int64_t torn_tails = 0;               // batches at the end that were never acknowledged
  std::vector<std::string> java_files;  // without checksums: read by the lenient rules
};

// Gets each record's body (ledger id, entry id, ...) in order. May wait; an error ends the replay
// with it.
using ReplayRecord = absl::AnyInvocable<Task<absl::Status>(Buffer body)>;

// Errors: kCorruptData names file and offset. A torn tail is not an error; damage that a later
// durable claim proves to lie before acknowledged data is. Nothing is ever skipped silently.
Task<absl::StatusOr<ReplayReport>> ReplayJournal(Env env, ReplayOptions options,
                                                 ReplayRecord record);

}  // namespace stele::bookie
