#include "bookie/storage/extent_store.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "bookie/storage/directory_choice.h"
#include "bookie/storage/extent_merge.h"
#include "bookie/storage/java_guard.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

// What a disk must have left for a new run.
constexpr uint64_t kFreeForNewRunMinBytes = 1 << 20;
// With so many runs a write waits for a merge that is under way.
constexpr size_t kRunsMax = 64;

// The header says that all is well, and knows nothing of the loss.
void MarkLost(LedgerRow* row) {
  row->flags |= kRowLostSome;
  row->header->state_bits |= kIndexStateUncertain;
}

}  // namespace

size_t RunsToMerge(const std::vector<uint64_t>& sizes_newest_first) {
  uint64_t together = 0;
  size_t count = 0;
  for (const uint64_t size : sizes_newest_first) {
    if (count > 0 && size > 2 * together) break;
    together += size;
    ++count;
  }
  return count >= kMergedRunsMin ? count : 0;
}

// ---- Writing

Task<absl::Status> ExtentStore::Write(IndexUpdates* updates, size_t /*at_a_time*/) {
  while (runs_->size() >= kRunsMax && is_merging_) co_await merged_.Wait();
  std::vector<size_t> order(updates->count());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return updates->ledger(a) < updates->ledger(b); });
  // All are held until the run is there. Everybody takes them in this order, and the turn last.
  std::vector<LedgerLocks::Guard> guards;
  std::vector<Prepared> prepared;
  std::vector<size_t> indexes;
  for (const size_t i : order) {
    LedgerLocks::Guard guard = co_await locks_->Acquire(updates->ledger(i));
    STELE_CO_TRY(std::optional<IndexUpdate> update, co_await updates->Prepare(i));
    if (!update.has_value()) continue;
    guards.push_back(std::move(guard));
    prepared.push_back(Prepare(*std::move(update)));
    indexes.push_back(i);
  }
  if (prepared.empty()) co_return absl::OkStatus();
  STELE_CO_TRY_OK(co_await Publish(&prepared, kFreeForNewRunMinBytes));
  for (size_t i = 0; i < prepared.size(); ++i) {
    const LedgerId ledger = prepared[i].ledger;
    ledgers_.insert(ledger);
    if ((prepared[i].row.flags & kRowIsFresh) != 0) lost_.erase(ledger);
    if ((prepared[i].row.flags & kRowLostSome) != 0) OnLoss(ledger);
    updates->OnWritten(indexes[i]);
  }
  co_return absl::OkStatus();
}

ExtentStore::Prepared ExtentStore::Prepare(IndexUpdate update) const {
  STELE_CHECK(update.entries.size() == update.locations.size());
  const LedgerId ledger = update.ledger;
  Prepared prepared{.ledger = ledger, .entries = update.entries, .locations = update.locations};
  if (update.header.has_value()) {
    const bool is_certain = (update.header->state_bits & kIndexStateUncertain) == 0;
    prepared.row.flags = kRowHasHeader;
    prepared.row.header = std::move(update.header);
    const auto lost = lost_.find(ledger);
    if (is_certain && lost != lost_.end()) {
      prepared.is_whole = lost->second.is_told;
      prepared.losses = lost->second.count();
      if (!prepared.is_whole) MarkLost(&prepared.row);
    }
  }
  if (!Contains(ledger)) {
    STELE_CHECK(prepared.row.header.has_value());
    // What is left of one that was removed is void.
    prepared.row.flags |= kRowIsFresh;
  }
  return prepared;
}

Task<absl::Status> ExtentStore::Remove(LedgerId ledger) {
  if (!Contains(ledger)) co_return absl::OkStatus();
  std::vector<Prepared> prepared(1);
  prepared[0].ledger = ledger;
  prepared[0].row.flags = kRowIsFresh;
  STELE_CO_TRY_OK(co_await Publish(&prepared, kFreeForRemovalMinBytes));
  ledgers_.erase(ledger);
  lost_.erase(ledger);
  co_return absl::OkStatus();
}

Task<absl::StatusOr<std::string>> ExtentStore::ChooseRoot(uint64_t number,
                                                          uint64_t free_min_bytes) {
  STELE_CO_TRY(
      const size_t index,
      co_await ChooseDirectory(env_.files, {.directories = options_.directories,
                                            .usage_max_ppm = options_.disk_usage_max_ppm,
                                            .free_min_bytes = free_min_bytes,
                                            .first = number % options_.directories.size()}));
  const std::string& root = options_.directories[index];
  std::string path = StrCat(root, "/", kExtentDirectory);
  if (!made_directories_.contains(path)) {
    STELE_CO_TRY_OK(co_await env_.files->MakeDirectories(path));
    STELE_CO_TRY_OK(co_await KeepJavaAway(env_.files, path));
    STELE_CO_TRY_OK(co_await env_.files->SyncDirectory(root));
    made_directories_.insert(path);
  }
  co_return path;
}

namespace {

// The entries of an update, as they are added to a run.
class NewEntries {
 public:
  explicit NewEntries(const ExtentStore::Prepared* update) : update_(update) {}

  // Those before `end`.
  void AddBefore(int64_t end, ExtentRunBuilder* builder) {
    for (; next_ < update_->entries.size() && update_->entries[next_] < end; ++next_) {
      builder->AddEntry(update_->ledger, update_->entries[next_],
                        EntryLocation::FromPacked(update_->locations[next_]));
    }
  }
  // After AddBefore(entry).
  bool Has(int64_t entry) const {
    return next_ < update_->entries.size() && update_->entries[next_] == entry;
  }

 private:
  const ExtentStore::Prepared* update_;
  size_t next_ = 0;
};

}  // namespace

Task<absl::Status> ExtentStore::AddRows(ExtentRunWriter* writer, Prepared* update) {
  const LedgerId ledger = update->ledger;
  ExtentRunBuilder* builder = writer->builder();
  NewEntries new_entries(update);
  std::optional<int64_t> next;
  if (update->is_whole) next = 0;
  while (next.has_value()) {
    STELE_CO_TRY(const LocationPiece older, co_await ReadPiece(ledger, *next));
    for (size_t i = 0; i < older.entries.size(); ++i) {
      const int64_t entry = older.entries[i];
      new_entries.AddBefore(entry, builder);
      if (new_entries.Has(entry)) continue;
      builder->AddEntry(ledger, entry, EntryLocation::FromPacked(older.locations[i]));
    }
    STELE_CO_TRY_OK(co_await writer->Drain());
    next = older.next;
  }
  new_entries.AddBefore(INT64_MAX, builder);
  if (update->is_whole && KnownLosses(ledger) == update->losses) {
    update->row.flags |= kRowIsFresh;
  } else if (update->is_whole) {
    MarkLost(&update->row);  // it was met only now
  }
  builder->EndLedger(ledger, update->row);
  co_return co_await writer->Drain();
}

Task<absl::StatusOr<ExtentStore::Run>> ExtentStore::WriteRows(ExtentRunWriter* writer,
                                                              std::vector<Prepared>* updates) {
  STELE_CO_TRY_OK(co_await writer->Begin());
  for (Prepared& update : *updates) STELE_CO_TRY_OK(co_await AddRows(writer, &update));
  co_return co_await writer->Finish();
}

Task<absl::StatusOr<ExtentStore::Run>> ExtentStore::WriteRun(RunNumbers numbers,
                                                             std::vector<Prepared>* updates,
                                                             uint64_t free_min_bytes) {
  STELE_CO_TRY(std::string directory, co_await ChooseRoot(numbers.last, free_min_bytes));
  ExtentRunWriter writer(env_, std::move(directory), numbers);
  absl::StatusOr<Run> run = co_await WriteRows(&writer, updates);
  if (run.ok()) co_return run;
  co_await writer.Abandon();
  co_return WithContext(run.status(), "index run");
}

// One at a time. A number whose run may exist although it failed is covered by the next.
Task<absl::Status> ExtentStore::Publish(std::vector<Prepared>* updates, uint64_t free_min_bytes) {
  const Permits::Hold turn = co_await turn_.Acquire(1);
  const RunNumbers numbers{.first = published_ + 1, .last = next_number_++};
  STELE_CO_TRY(Run run, co_await WriteRun(numbers, updates, free_min_bytes));
  Runs runs = *runs_;
  runs.insert(runs.begin(), std::move(run));
  runs_ = std::make_shared<const Runs>(std::move(runs));
  published_ = numbers.last;
  co_await NoteLast();
  StartMerging();
  co_return absl::OkStatus();
}

// So that it is noticed when the newest run is lost, of which no other knows. Not synced.
Task<void> ExtentStore::NoteLast() {
  for (const std::string& directory : std::set<std::string>(made_directories_)) {
    const auto file = co_await env_.files->Open(
        StrCat(directory, "/", kExtentLastName),
        {.access = OpenOptions::Access::kReadWrite, .create = OpenOptions::Create::kIfMissing});
    if (!file.ok()) continue;
    (co_await (*file)->WriteAt(0, Buffer::FromString(MakeExtentLast(published_)))).IgnoreError();
  }
}

// ---- Merging

void ExtentStore::StartMerging() {
  if (!std::exchange(is_merging_, true)) background_.Spawn(MergeWhileDue());
}

// How many of the newest runs should become one. A run that may hide ledgers is the only sign of
// these: it goes as soon as somebody has noted it, and not before.
size_t ExtentStore::CountDue() const {
  std::vector<uint64_t> sizes;
  size_t with_hidden_ones = 0;
  for (const Run& run : *runs_) {
    if (run->may_hide_ledgers() && !options_.on_ledgers_lost) break;
    sizes.push_back(run->size_bytes());
    if (run->may_hide_ledgers() && sizes.size() > 1) with_hidden_ones = sizes.size();
  }
  return std::max(RunsToMerge(sizes), with_hidden_ones);
}

Task<void> ExtentStore::MergeWhileDue() {
  for (;;) {
    const size_t count = CountDue();
    if (count == 0) break;
    // After a failure the next write tries again.
    if (!(co_await MergeAsManyAsFit(count)).ok()) break;
    merged_.NotifyAll();
  }
  is_merging_ = false;
  merged_.NotifyAll();
}

// The newest `count`, or where the disks have no room for these fewer: that makes some, too.
Task<absl::Status> ExtentStore::MergeAsManyAsFit(size_t count) {
  constexpr size_t kLeast = 2;
  for (;; count = std::max(count / 2, kLeast)) {
    const absl::Status merged = co_await MergeNewest(count);
    if (merged.ok()) co_return merged;
    ++failed_merges_;
    if (CodeOf(merged) != ErrorCode::kDiskFull || count == kLeast) co_return merged;
  }
}

Task<absl::Status> ExtentStore::MergeNewest(size_t count) {
  const Runs inputs(runs_->begin(), runs_->begin() + static_cast<std::ptrdiff_t>(count));
  const RunNumbers numbers{.first = inputs.back()->numbers().first,
                           .last = inputs.front()->numbers().last};
  uint64_t bytes = kFreeForNewRunMinBytes;
  for (const Run& input : inputs) bytes += input->size_bytes();
  STELE_CO_TRY(std::string directory, co_await ChooseRoot(numbers.last, bytes));
  ExtentRunWriter writer(env_, std::move(directory), numbers);
  absl::StatusOr<MergedRun> merged =
      co_await MergeRuns(env_.executor, &writer, inputs, /*is_oldest=*/numbers.first == 1);
  if (!merged.ok()) {
    co_await writer.Abandon();
    co_return merged.status();
  }
  // Its inputs go only when it has been read as it was written.
  const absl::StatusOr<Run> read = co_await ReadBack(merged->run);
  if (!read.ok()) {
    static_cast<void>(co_await env_.files->Remove(merged->run->path()));
    co_return read.status();
  }
  Replace(inputs, *read);
  const auto has_lost = [&](LedgerId ledger) {
    return Contains(ledger) && !IsVoid(ledger, numbers);
  };
  // At once: no run shows any more what was passed over, and no header yet knows of it.
  for (const LedgerId ledger : merged->lost_some) {
    if (!has_lost(ledger)) continue;
    Losses& losses = lost_[ledger];
    ++losses.merges;
    losses.is_told = false;
  }
  for (const LedgerId ledger : merged->lost_some) {
    // Not while it is being written, perhaps whole.
    const LedgerLocks::Guard guard = co_await locks_->Acquire(ledger);
    if (has_lost(ledger)) OnLoss(ledger);
  }
  // One that stays is removed when the store is opened.
  for (const Run& input : inputs) static_cast<void>(co_await env_.files->Remove(input->path()));
  co_return absl::OkStatus();
}

// The run as the disk has it.
Task<absl::StatusOr<ExtentStore::Run>> ExtentStore::ReadBack(Run written) {
  STELE_CO_TRY(Run read, co_await ExtentRun::Open(env_, written->path(), written->numbers()));
  if (read->IsSame(*written)) co_return read;
  co_return MakeError(ErrorCode::kCorruptData, StrCat(written->path(), " is not what was written"));
}

// Does a newer run say that what `in` has of the ledger is void?
bool ExtentStore::IsVoid(LedgerId ledger, const RunNumbers& in) const {
  return std::any_of(runs_->begin(), runs_->end(), [&](const Run& run) {
    return run->numbers().first > in.last && (run->FlagsOf(ledger).value_or(0) & kRowIsFresh) != 0;
  });
}

// Newer runs may have come meanwhile.
void ExtentStore::Replace(const Runs& inputs, Run merged) {
  Runs runs = *runs_;
  const auto first = std::find(runs.begin(), runs.end(), inputs.front());
  STELE_CHECK(first != runs.end());
  *first = std::move(merged);
  runs.erase(first + 1, first + static_cast<std::ptrdiff_t>(inputs.size()));
  runs_ = std::make_shared<const Runs>(std::move(runs));
}

Task<void> ExtentStore::AwaitMerges() {
  while (is_merging_) co_await merged_.Wait();
}

}  // namespace stele::bookie
