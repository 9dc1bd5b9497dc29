// ExtentStore: the index of very many ledgers. What a flush writes is one file, an extent run,
// sorted by ledger and synced once, however many ledgers it has. A later run goes before an older
// one; neighbouring runs are merged in the background, so there are few. Why:
// docs/decisions/0004-index-of-many-ledgers.md
//
//   Write ──► run n ──► ... merged with its neighbours ──► run n-m..n
//   Find  ◄── the newest run that has the entry, until one says that what is older is void
//
// Durable: a run has its name only when all of it is, and covers the numbers of those that it was
// made from. So after any crash the runs that are in no other are the index, and a number that is
// missing is a run that was lost; a file beside them says which number was the last.
// Damage: a block that is not what was written, or that the disk does not give for some seconds,
// makes its ledgers lose locations (kCorruptData); merging passes on which ledgers these are, but
// waits for minutes for a block that the disk does not give. A
// header that is certain, for a ledger that has lost some, says that nothing is missing: the ledger
// is written whole, and what was before is void. What says which ledgers a run has is there twice,
// and in the blocks (extent_salvage.h).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bookie/storage/extent_cache.h"
#include "bookie/storage/extent_run.h"
#include "bookie/storage/index_store.h"
#include "bookie/storage/ledger_locks.h"
#include "common/async/notification.h"
#include "common/async/permits.h"
#include "common/async/task.h"
#include "common/async/task_scope.h"
#include "common/base/ids.h"
#include "common/seams/env.h"

namespace stele::bookie {

struct ExtentStoreOptions {
  std::vector<std::string> directories;
  uint32_t disk_usage_max_ppm = 950'000;
  uint64_t cache_max_bytes = 32ull << 20;
  // Notes for good that ledgers may have been lost that nothing shows any more. Called by Open
  // before anything is written, if a run is damaged so; that run is merged away afterwards, so
  // nobody is told of it again. Empty: such runs stay.
  std::function<Task<absl::Status>()> on_ledgers_lost;
};

class ExtentStore final : public IndexStore {
 public:
  // A ledger's part of a new run.
  struct Prepared {
    LedgerId ledger;
    LedgerRow row;
    std::span<const int64_t> entries;
    std::span<const int64_t> locations;  // packed
    // Written whole, also what older runs have: somebody has proven that nothing else is missing.
    bool is_whole = false;
    int64_t losses = 0;  // that were known when that was proven
  };

  // Ends what was left half done. `locks` outlives the store.
  //   errors   kCorruptData   a run is missing, or nothing of it can be read
  //            kUnsupported   a run of another version
  static Task<absl::StatusOr<std::unique_ptr<ExtentStore>>> Open(Env env,
                                                                 ExtentStoreOptions options,
                                                                 LedgerLocks* locks);

  bool Contains(LedgerId ledger) const override { return ledgers_.contains(ledger); }
  std::vector<LedgerId> Ledgers() const override { return {ledgers_.begin(), ledgers_.end()}; }
  size_t ledger_count() const override { return ledgers_.size(); }

  Task<absl::StatusOr<LoadedIndex>> Load(LedgerId ledger) override;
  Task<absl::StatusOr<EntryLocation>> Find(LedgerId ledger, EntryId entry) override;
  std::optional<absl::StatusOr<EntryLocation>> FindCached(LedgerId ledger, EntryId entry) override;
  uint64_t RunEnd(LedgerId ledger, EntryId entry, int64_t count_max, uint64_t size_max) override;
  Task<absl::StatusOr<std::vector<EntryId>>> List(LedgerId ledger) override;
  Task<absl::StatusOr<LocationPiece>> ReadPiece(LedgerId ledger, int64_t first) override;
  Task<absl::Status> LookForLosses(LedgerId ledger, BackgroundPace* pace) override;
  void SetLossListener(LossListener listener) override { loss_listener_ = std::move(listener); }

  Task<absl::Status> Write(IndexUpdates* updates, size_t at_a_time) override;
  Task<absl::Status> Remove(LedgerId ledger) override;
  Task<absl::Status> SyncNames() override { co_return absl::OkStatus(); }
  IndexStats Stats() const override {
    return {.runs = static_cast<int64_t>(run_count()), .failed_merges = failed_merges_};
  }

  // Removes all there is, also what keeps Java away (java_guard.h) and the directories: a start
  // that finds none of them has nothing to convert. After a crash all runs are there, or none is.
  // The last call. kIoError: the disk did not give some of what was asked for, and may yet; all is
  // as it was.
  Task<absl::Status> Clear();

  // Until no merge is due.
  Task<void> AwaitMerges();
  size_t run_count() const { return runs_->size(); }

 private:
  using Run = std::shared_ptr<const ExtentRun>;
  using Runs = std::vector<Run>;  // the newest first
  using Block = std::shared_ptr<const ExtentBlock>;
  // What a disk must have left for a run that only says what was removed.
  static constexpr uint64_t kFreeForRemovalMinBytes = 32 << 10;
  // Of one ledger, by entry.
  using Locations = std::vector<std::pair<int64_t, EntryLocation>>;

  ExtentStore(Env env, ExtentStoreOptions options, LedgerLocks* locks, Runs runs);

  // What has been met of a ledger's losses.
  struct Losses {
    std::set<std::pair<RunNumbers, uint32_t>> blocks;  // that are damaged
    int64_t merges = 0;                                // that have passed damaged blocks over
    bool is_told = false;                              // whoever writes headers of the ledger knows
    int64_t count() const { return static_cast<int64_t>(blocks.size()) + merges; }
  };

  Task<absl::StatusOr<Block>> ReadBlock(LedgerId ledger, const ExtentRun* run, uint32_t number);
  Task<absl::StatusOr<Block>> BlockOf(LedgerId ledger, const ExtentRun* run, uint32_t number);
  Task<absl::StatusOr<std::optional<EntryLocation>>> FindIn(const ExtentRun* run, ExtentKey key);
  Task<absl::Status> LoadFrom(const ExtentRun* run, LedgerId ledger, LoadedIndex* loaded,
                              bool* has_header);
  Task<absl::StatusOr<bool>> Gather(const ExtentRun* run, LedgerId ledger, int64_t first,
                                    size_t count_max, Locations* locations);
  void OnLoss(LedgerId ledger);
  int64_t KnownLosses(LedgerId ledger) const;

  Task<absl::StatusOr<std::string>> ChooseRoot(uint64_t number, uint64_t free_min_bytes);
  Task<void> NoteLast();
  Task<absl::Status> SyncDirectories();
  Prepared Prepare(IndexUpdate update) const;
  Task<absl::Status> Publish(std::vector<Prepared>* updates, uint64_t free_min_bytes);
  Task<absl::StatusOr<Run>> WriteRun(RunNumbers numbers, std::vector<Prepared>* updates,
                                     uint64_t free_min_bytes);
  Task<absl::StatusOr<Run>> WriteRows(ExtentRunWriter* writer, std::vector<Prepared>* updates);
  Task<absl::Status> AddRows(ExtentRunWriter* writer, Prepared* update);

  size_t CountDue() const;
  void StartMerging();
  Task<void> MergeWhileDue();
  Task<absl::Status> MergeAsManyAsFit(size_t count);
  Task<absl::Status> MergeNewest(size_t count);
  Task<absl::StatusOr<Run>> ReadBack(Run written);
  bool IsVoid(LedgerId ledger, const RunNumbers& in) const;
  void Replace(const Runs& inputs, Run merged);

  Env env_;
  const ExtentStoreOptions options_;
  LedgerLocks* locks_;
  // A new vector for each change: who reads keeps the one that he began with.
  std::shared_ptr<const Runs> runs_;
  absl::btree_set<LedgerId> ledgers_;
  absl::btree_map<LedgerId, Losses> lost_;  // of which locations were lost
  ExtentCache cache_;
  uint64_t published_ = 0;    // all writes to this number are in runs
  uint64_t next_number_ = 1;  // a number whose run may have been left behind is not used again
  Permits turn_;              // to write a new run
  std::set<std::string> made_directories_;
  // What the last LookForLosses has read: the next ledger often lies in the same blocks.
  LedgerId looked_at_;
  std::vector<std::pair<RunNumbers, uint32_t>> looked_through_;
  bool is_merging_ = false;
  int64_t failed_merges_ = 0;
  Notification merged_;
  LossListener loss_listener_ = [](LedgerId) { return false; };
  TaskScope background_;
};

// How many of the newest runs should become one: they go on while the next one is at most twice as
// large as those before it together; 0: fewer than kMergedRunsMin. Each location is so written some
// eight times, and sixteen runs are the most of 20,000 flushes. Pure.
inline constexpr size_t kMergedRunsMin = 8;
size_t RunsToMerge(const std::vector<uint64_t>& sizes_newest_first);

}  // namespace stele::bookie
