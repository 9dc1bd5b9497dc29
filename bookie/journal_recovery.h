// Journal recovery: puts what the journals hold behind the marks back into ledger storage, at
// start.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/journal/journal_replay.h"
#include "bookie/storage/ledger_storage.h"
#include "bookie/storage/tombstones.h"
#include "common/async/task.h"
#include "common/seams/env.h"
#include "common/wire/bookie_messages.h"

namespace stele::bookie {

struct RecoveredJournals {
  int64_t files = 0;
  int64_t records = 0;
  int64_t bytes = 0;
  int64_t torn_tails = 0;
  int64_t backup_records = 0;      // looked at, in front of the marks, for fences
  int64_t skipped_records = 0;     // of ledgers that were deleted meanwhile
  std::vector<std::string> notes;  // for the operator
};

// Applies records one by one; idempotent, and indifferent to the order of a ledger's adds and its
// fence. One per start.
class JournalRecovery {
 public:
  // All pointers outlive it. Nothing comes back of a ledger that has a tombstone.
  //   ledgers_lost  storage may have lost ledgers: one that it does not know, and whose key the
  //                 journals do not show, comes back without a key, instead of counting as deleted
  //   flush         makes room in the storage
  JournalRecovery(Env env, LedgerStorage* storage, const Tombstones* tombstones,
                  size_t record_size_max_bytes, bool ledgers_lost,
                  absl::AnyInvocable<Task<absl::Status>()> flush)
      : env_(env),
        storage_(storage),
        tombstones_(tombstones),
        record_size_max_bytes_(record_size_max_bytes),
        ledgers_lost_(ledgers_lost),
        flush_(std::move(flush)) {}

  // Replays one journal directory from `mark`. The records are in storage's memory afterwards; the
  // caller flushes.
  //   errors   kCorruptData   damage before acknowledged data, with file and offset; nothing was
  //                           skipped silently
  // Gives where the journal ends.
  Task<absl::StatusOr<JournalMark>> Replay(std::string directory, JournalMark mark);

  // Puts back the fences and explicit LACs in front of the mark, which a checkpoint of Apache's may
  // have lost, when the directory was its own until now. Both only ever grow, so they may be put
  // back at any time.
  Task<absl::Status> RecoverFences(std::string directory, JournalMark mark);

  const RecoveredJournals& report() const { return report_; }

 private:
  Task<absl::Status> Apply(Buffer record);
  Task<absl::Status> ApplyBackup(Buffer record);
  Task<absl::Status> ApplyEntry(LedgerId ledger, EntryId entry, Buffer body);
  // Loads the ledger, or creates it when the journal has shown its key, or it was lost with its
  // key. False: unknown.
  Task<absl::StatusOr<bool>> Open(LedgerId ledger);

  Env env_;
  LedgerStorage* storage_;
  const Tombstones* tombstones_;
  const size_t record_size_max_bytes_;
  const bool ledgers_lost_;
  absl::AnyInvocable<Task<absl::Status>()> flush_;
  absl::flat_hash_map<LedgerId, wire::MasterKey> keys_;
  RecoveredJournals report_;
};

}  // namespace stele::bookie
