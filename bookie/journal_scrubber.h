// JournalScrubber: the scrubber's part in the journals. It reads back what they hold that no
// checkpoint has brought into entry logs and indexes: were it damaged, a crash would lose what was
// acknowledged. As long as the process lives its memory has all of that, so a checkpoint, made at
// once, ends the need for the place that is damaged.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/checkpointer.h"
#include "bookie/journal/journal_verify.h"
#include "bookie/storage/ledger_storage.h"
#include "common/async/task.h"
#include "common/observe/log.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

// A journal, and where its files are.
struct JournalToScrub {
  MarkedLog marked;
  std::string directory;
};

class JournalScrubber {
 public:
  // What these point to outlives it. checkpoint: makes one now.
  JournalScrubber(FileSystem* files, std::vector<JournalToScrub> journals,
                  absl::AnyInvocable<Task<absl::Status>()> checkpoint, observe::Log* log);

  // One look at all journals. Gives in how many of them there was damage. kStopped, from `pace`.
  Task<absl::StatusOr<int64_t>> Run(BackgroundPace* pace);

 private:
  // nullopt: what is needed is whole.
  Task<absl::StatusOr<std::optional<JournalDamage>>> Look(const JournalToScrub* journal,
                                                          BackgroundPace* pace);
  Task<void> Mend(const JournalToScrub* journal, JournalDamage damage);

  FileSystem* files_;
  std::vector<JournalToScrub> journals_;
  absl::AnyInvocable<Task<absl::Status>()> checkpoint_;
  observe::Log* log_;
};

}  // namespace stele::bookie
