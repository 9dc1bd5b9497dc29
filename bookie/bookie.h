// Bookie: one storage node. It builds the parts, owns the order in which they start and stop, and
// decides with the disk rules and the registry whether it takes writes. It has no protocol logic.
//
// Start: directories, locks, cookies, DIRTY, storage, replay, flush, limbo (was anything lost?),
// journals, disk check, listen, register. Stop is the reverse, with a last checkpoint; DIRTY goes
// only when that succeeded. What is acknowledged is on disk at any moment in between: a bookie may
// be killed anywhere.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/bookie_options.h"
#include "bookie/garbage_collector.h"
#include "bookie/journal/journal_mark.h"
#include "bookie/journal_recovery.h"
#include "bookie/limbo.h"
#include "bookie/scrubber.h"
#include "common/async/task.h"
#include "common/observe/log.h"
#include "common/observe/metrics_text.h"
#include "common/seams/env.h"
#include "metadata/bookie_registration.h"
#include "metadata/metadata_store.h"

namespace stele::bookie {

// Where the files of a bookie are.
struct BookieDirectories {
  std::vector<std::string> journals;
  std::vector<std::string> ledgers;  // entry logs
  std::vector<std::string> indexes;
};

struct BookieStatus {
  BookieId id;
  Endpoint endpoint;
  metadata::BookieMode mode = metadata::BookieMode::kWritable;
  std::optional<metadata::BookieMode> registered;  // may lag behind; nullopt: not registered now
  bool is_stopping = false;
  bool takes_high_priority_writes = true;  // also while read-only
  bool is_forced_read_only = false;        // by configuration
  bool is_read_only_by_operator = false;
  std::vector<std::string> full_directories;
  std::vector<DirectorySpace> ledger_directories;  // at the last check
  int journals = 0;
  std::vector<JournalMark> journal_marks;  // of each
  BookieDirectories directories;
  DiskTotals disk;
  StorageStats storage;
  uint64_t memtable_max_bytes = 0;  // of both generations
  size_t connections = 0;
  size_t adds_stalled = 0;      // that wait for memory
  RecoveredJournals recovered;  // by this start
  GarbageStats garbage;
  ScrubStats scrub;
  LimboStatus limbo;
  bool is_collecting_garbage = false;
  std::optional<CompactionKind> compacting;
  bool minor_compaction_suspended = false;
  bool major_compaction_suspended = false;
  bool was_unclean = false;  // the process before ended without a last checkpoint
};

class Bookie {
 public:
  virtual ~Bookie() = default;

  // on_fatal: the bookie can acknowledge nothing any more (a journal failed, its registration is
  // lost for good); the program stops it and exits. Called once at most, from the ready queue.
  //   errors   kConfig, kCookieMismatch, kOverloaded (another process has the directories),
  //            kCorruptData (damage that a start must not pass over), kMetadataUnavailable,
  //            kIoError
  static Task<absl::StatusOr<std::unique_ptr<Bookie>>> Start(
      Env env, metadata::MetadataStore* store, BookieOptions options, observe::Log* log,
      absl::AnyInvocable<void(absl::Status)> on_fatal);

  virtual BookieStatus Status() const = 0;
  // All measurements, under BookKeeper's names where it has one (bookie_metrics.h).
  virtual observe::MetricsText Metrics() const = 0;

  // Finishes what is accepted, writes a last checkpoint, leaves the cluster. Await before
  // destroying; destroying without is what a crash does. Once: kStopped for who comes later.
  virtual Task<absl::Status> Stop() = 0;

  // Reads everything that is stored and repairs what is damaged (scrubber.h), now.
  virtual Task<absl::Status> Scrub() = 0;

  // Looks now for ledgers that metadata no longer knows, and removes the data of those that were
  // not known a grace period ago either. `compact`: then compacts entry logs, due or not. kStopped:
  // the bookie stops meanwhile.
  virtual Task<absl::Status> CollectGarbage(std::optional<CompactionKind> compact) = 0;
  // Compactor::SetSuspended.
  virtual void SuspendCompaction(CompactionKind kind, bool suspended) = 0;

  // Brings what only the journals protect into entry logs and indexes, now, and lets the journals
  // go. Errors are those of the disks; the journals keep what they have then, and it is tried
  // again. kStopped: the bookie stops.
  virtual Task<absl::Status> Checkpoint() = 0;
  // The ledgers that it stores, ascending, from `first` on, at most `count_max` of them.
  virtual std::vector<LedgerId> Ledgers(LedgerId first, size_t count_max) const = 0;

  // true: takes no entries until it is told otherwise or the process ends. false: takes them again,
  // unless full or damaged disks forbid it. Completes when admission has changed; the registration
  // follows. kInvalidArgument: the configuration forbids it.
  virtual Task<absl::Status> SetReadOnly(bool read_only) = 0;
};

}  // namespace stele::bookie
