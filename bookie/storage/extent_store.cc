#include "bookie/storage/extent_store.h"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "absl/container/flat_hash_set.h"
#include "bookie/storage/directory_choice.h"
#include "bookie/storage/extent_merge.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

// What a disk must have left for a new run; for one that only says what was removed.
constexpr uint64_t kFreeForNewRunMinBytes = 1 << 20;
constexpr uint64_t kFreeForRemovalMinBytes = 32 << 10;
// With so many runs a write waits for a merge that is under way.
constexpr size_t kRunsMax = 64;

bool IsRemoval(uint8_t flags) { return (flags & kRowIsFresh) != 0 && (flags & kRowHasHeader) == 0; }

struct FoundRun {
  RunNumbers numbers;
  std::string path;
};

struct FoundRuns {
  std::vector<FoundRun> runs;
  uint64_t last = 0;  // what is known of the last number
};

Task<absl::Status> ListRuns(FileSystem* files, std::string directory, FoundRuns* found) {
  const auto names = co_await files->List(directory);
  if (CodeOf(names.status()) == ErrorCode::kNoSuchFile) co_return absl::OkStatus();
  STELE_CO_TRY_OK(names.status());
  // A process that was killed may have left a name that is not durable; now it counts.
  STELE_CO_TRY_OK(co_await files->SyncDirectory(directory));
  for (const std::string& name : *names) {
    const std::string path = StrCat(directory, "/", name);
    if (name.ends_with(kExtentNewSuffix)) {
      STELE_CO_TRY_OK(co_await files->Remove(path));
    } else if (const auto numbers = ParseExtentRunName(name); numbers.has_value()) {
      found->runs.push_back({*numbers, path});
    } else if (name == kExtentLastName) {
      constexpr size_t kLastMaxBytes = 64;
      const auto last = co_await ReadFile(files, path, kLastMaxBytes);
      // It is a help, and no condition.
      if (last.ok()) found->last = std::max(found->last, ParseExtentLast(last->view()));
    }
  }
  co_return absl::OkStatus();
}

// The newest first, without those that another has replaced, whose files are removed.
Task<absl::StatusOr<std::vector<FoundRun>>> FindRuns(FileSystem* files,
                                                     std::vector<std::string> directories) {
  FoundRuns found;
  for (const std::string& directory : directories) {
    STELE_CO_TRY_OK(co_await ListRuns(files, StrCat(directory, "/", kExtentDirectory), &found));
  }
  std::vector<FoundRun>& all = found.runs;
  // Of those that end together the widest comes first, so a run comes behind what replaced it.
  std::sort(all.begin(), all.end(), [](const FoundRun& a, const FoundRun& b) {
    if (a.numbers.last != b.numbers.last) return a.numbers.last > b.numbers.last;
    return std::pair(a.numbers.first, a.path) < std::pair(b.numbers.first, b.path);
  });
  std::vector<FoundRun> runs;
  for (FoundRun& run : all) {
    if (!runs.empty() && runs.back().numbers.Contains(run.numbers)) {
      STELE_CO_TRY_OK(co_await files->Remove(run.path));
      continue;
    }
    if (!runs.empty() && runs.back().numbers.first != run.numbers.last + 1) {
      co_return MakeError(ErrorCode::kCorruptData,
                          StrCat("the index run before ", runs.back().path, " is missing"));
    }
    runs.push_back(std::move(run));
  }
  if (found.last > (runs.empty() ? 0 : runs.front().numbers.last)) {
    co_return MakeError(ErrorCode::kCorruptData,
                        StrCat("the index run that ends with ", found.last, " is missing"));
  }
  if (!runs.empty() && runs.back().numbers.first != 1) {
    co_return MakeError(ErrorCode::kCorruptData,
                        StrCat("the index run before ", runs.back().path, " is missing"));
  }
  co_return runs;
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

// ---- Opening

ExtentStore::ExtentStore(Env env, ExtentStoreOptions options, LedgerLocks* locks, Runs runs)
    : env_(env),
      options_(std::move(options)),
      locks_(locks),
      runs_(std::make_shared<const Runs>(std::move(runs))),
      cache_(options_.cache_max_bytes),
      turn_(env.executor, 1),
      merged_(env.executor),
      background_(env.executor) {
  if (!runs_->empty()) published_ = runs_->front()->numbers().last;
  next_number_ = published_ + 1;
  absl::flat_hash_set<LedgerId> settled;  // of which older runs are void
  for (const Run& run : *runs_) {
    for (size_t i = 0; i < run->ledgers().size(); ++i) {
      const LedgerId ledger = run->ledgers()[i];
      const uint8_t flags = run->flags(i);
      if (settled.contains(ledger)) continue;
      if (!IsRemoval(flags)) ledgers_.insert(ledger);
      if ((flags & kRowLostSome) != 0) lost_.insert(ledger);
      if ((flags & kRowIsFresh) != 0) settled.insert(ledger);
    }
  }
}

Task<absl::StatusOr<std::unique_ptr<ExtentStore>>> ExtentStore::Open(Env env,
                                                                     ExtentStoreOptions options,
                                                                     LedgerLocks* locks) {
  STELE_CO_TRY(const std::vector<FoundRun> found,
               co_await FindRuns(env.files, options.directories));
  Runs runs;
  for (const FoundRun& run : found) {
    STELE_CO_TRY(Run opened, co_await ExtentRun::Open(env.files, run.path, run.numbers));
    runs.push_back(std::move(opened));
  }
  co_return std::unique_ptr<ExtentStore>(
      new ExtentStore(env, std::move(options), locks, std::move(runs)));
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
    STELE_CO_TRY(Prepared one, co_await Prepare(*std::move(update)));
    guards.push_back(std::move(guard));
    prepared.push_back(std::move(one));
    indexes.push_back(i);
  }
  if (prepared.empty()) co_return absl::OkStatus();
  STELE_CO_TRY_OK(co_await Publish(&prepared, kFreeForNewRunMinBytes));
  for (size_t i = 0; i < prepared.size(); ++i) {
    ledgers_.insert(prepared[i].ledger);
    if ((prepared[i].row.flags & kRowIsFresh) != 0) lost_.erase(prepared[i].ledger);
    updates->OnWritten(indexes[i]);
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<ExtentStore::Prepared>> ExtentStore::Prepare(IndexUpdate update) {
  STELE_CHECK(update.entries.size() == update.locations.size());
  const LedgerId ledger = update.ledger;
  Prepared prepared{.ledger = ledger, .entries = update.entries, .locations = update.locations};
  if (update.header.has_value()) {
    const bool is_certain = (update.header->state_bits & kIndexStateUncertain) == 0;
    prepared.row.flags = kRowHasHeader;
    prepared.row.header = std::move(update.header);
    if (is_certain && lost_.contains(ledger)) {
      STELE_CO_TRY(prepared.whole, co_await ReadWhole(ledger));
      prepared.row.flags |= kRowIsFresh;
    }
  }
  if (!Contains(ledger)) {
    STELE_CHECK(prepared.row.header.has_value());
    // What is left of one that was removed is void.
    prepared.row.flags |= kRowIsFresh;
  }
  co_return prepared;
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
    STELE_CO_TRY_OK(co_await env_.files->SyncDirectory(root));
    made_directories_.insert(path);
  }
  co_return path;
}

namespace {

Task<absl::Status> AddRows(ExtentRunWriter* writer, const ExtentStore::Prepared* update) {
  ExtentRunBuilder* builder = writer->builder();
  const LedgerId ledger = update->ledger;
  size_t next = 0;
  const auto add_new_before = [&](int64_t end) {
    for (; next < update->entries.size() && update->entries[next] < end; ++next) {
      builder->AddEntry(ledger, update->entries[next],
                        EntryLocation::FromPacked(update->locations[next]));
    }
  };
  for (size_t i = 0; i < update->whole.entries.size(); ++i) {
    const int64_t entry = update->whole.entries[i];
    add_new_before(entry);
    const bool is_replaced = next < update->entries.size() && update->entries[next] == entry;
    const auto location = EntryLocation::FromPacked(update->whole.locations[i]);
    if (!is_replaced) builder->AddEntry(ledger, entry, location);
    STELE_CO_TRY_OK(co_await writer->Drain());
  }
  add_new_before(INT64_MAX);
  builder->EndLedger(ledger, update->row);
  co_return co_await writer->Drain();
}

Task<absl::StatusOr<std::shared_ptr<const ExtentRun>>> WriteRows(
    ExtentRunWriter* writer, const std::vector<ExtentStore::Prepared>* updates) {
  STELE_CO_TRY_OK(co_await writer->Begin());
  for (const ExtentStore::Prepared& update : *updates) {
    STELE_CO_TRY_OK(co_await AddRows(writer, &update));
  }
  co_return co_await writer->Finish();
}

}  // namespace

Task<absl::StatusOr<ExtentStore::Run>> ExtentStore::WriteRun(RunNumbers numbers,
                                                             const std::vector<Prepared>* updates,
                                                             uint64_t free_min_bytes) {
  STELE_CO_TRY(std::string directory, co_await ChooseRoot(numbers.last, free_min_bytes));
  ExtentRunWriter writer(env_.files, std::move(directory), numbers);
  absl::StatusOr<Run> run = co_await WriteRows(&writer, updates);
  if (run.ok()) co_return run;
  co_await writer.Abandon();
  co_return WithContext(run.status(), "index run");
}

// One at a time. A number whose run may exist although it failed is covered by the next.
Task<absl::Status> ExtentStore::Publish(const std::vector<Prepared>* updates,
                                        uint64_t free_min_bytes) {
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

// An empty run that covers all others, which can go then.
Task<absl::Status> ExtentStore::Clear() {
  co_await AwaitMerges();
  const Permits::Hold turn = co_await turn_.Acquire(1);
  const RunNumbers numbers{.first = 1, .last = next_number_++};
  const std::vector<Prepared> nothing;
  STELE_CO_TRY(Run empty, co_await WriteRun(numbers, &nothing, kFreeForRemovalMinBytes));
  const std::shared_ptr<const Runs> before = runs_;
  runs_ = std::make_shared<const Runs>();
  ledgers_.clear();
  lost_.clear();
  for (const Run& run : *before) STELE_CO_TRY_OK(co_await env_.files->Remove(run->path()));
  for (const std::string& directory : options_.directories) {
    const std::string last = StrCat(directory, "/", kExtentDirectory, "/", kExtentLastName);
    const absl::Status removed = co_await env_.files->Remove(last);
    if (CodeOf(removed) != ErrorCode::kNoSuchFile) STELE_CO_TRY_OK(removed);
  }
  STELE_CO_TRY_OK(co_await SyncDirectories());
  STELE_CO_TRY_OK(co_await env_.files->Remove(empty->path()));
  co_return co_await SyncDirectories();
}

Task<absl::Status> ExtentStore::SyncDirectories() {
  for (const std::string& directory : options_.directories) {
    const absl::Status synced =
        co_await env_.files->SyncDirectory(StrCat(directory, "/", kExtentDirectory));
    if (CodeOf(synced) != ErrorCode::kNoSuchFile) STELE_CO_TRY_OK(synced);
  }
  co_return absl::OkStatus();
}

// ---- Merging

void ExtentStore::StartMerging() {
  if (!std::exchange(is_merging_, true)) background_.Spawn(MergeWhileDue());
}

Task<void> ExtentStore::MergeWhileDue() {
  for (;;) {
    std::vector<uint64_t> sizes;
    for (const Run& run : *runs_) sizes.push_back(run->size_bytes());
    const size_t count = RunsToMerge(sizes);
    // After a failure the next write tries again.
    if (count == 0 || !(co_await MergeNewest(count)).ok()) break;
    merged_.NotifyAll();
  }
  is_merging_ = false;
  merged_.NotifyAll();
}

Task<absl::Status> ExtentStore::MergeNewest(size_t count) {
  const Runs inputs(runs_->begin(), runs_->begin() + static_cast<std::ptrdiff_t>(count));
  const RunNumbers numbers{.first = inputs.back()->numbers().first,
                           .last = inputs.front()->numbers().last};
  uint64_t bytes = kFreeForNewRunMinBytes;
  for (const Run& input : inputs) bytes += input->size_bytes();
  STELE_CO_TRY(std::string directory, co_await ChooseRoot(numbers.last, bytes));
  ExtentRunWriter writer(env_.files, std::move(directory), numbers);
  absl::StatusOr<MergedRun> merged =
      co_await MergeRuns(&writer, inputs, /*is_oldest=*/numbers.first == 1);
  if (!merged.ok()) {
    co_await writer.Abandon();
    co_return merged.status();
  }
  Replace(inputs, std::move(merged->run));
  for (const LedgerId ledger : merged->lost_some) {
    if (Contains(ledger)) OnLoss(ledger);
  }
  // One that stays is removed when the store is opened.
  for (const Run& input : inputs) static_cast<void>(co_await env_.files->Remove(input->path()));
  co_return absl::OkStatus();
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
