// VerifyJournal: reads back what a journal holds while it is being written.
//
// Replay has to find out where a journal ends, and what was acknowledged. Here both are known: all
// of the range is durable, so that whatever is not as it was written is damage.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/journal/journal_mark.h"
#include "bookie/journal/journal_replay.h"
#include "common/async/task.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

struct JournalRange {
  std::string directory;
  JournalStream stream;
  JournalMark from;  // the end of a batch; what lies in front of the stream is passed over
  JournalMark to;    // the end of a durable batch
};

// Asked before each piece of so many bytes; an error ends the work with it.
using SpendBytes = absl::AnyInvocable<Task<absl::Status>(uint64_t bytes)>;

// The first place that is damaged, missing or unreadable; nullopt: there is none. Past the caches
// of the system where the disk allows that. A file that was trimmed meanwhile counts as missing.
Task<absl::StatusOr<std::optional<JournalDamage>>> VerifyJournal(FileSystem* files,
                                                                 JournalRange range,
                                                                 SpendBytes spend);

}  // namespace stele::bookie
