// ExtentStore, opening and clearing: which runs are the index. Reading: extent_store_read.cc;
// writing and merging: extent_store.cc.
#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "bookie/storage/extent_store.h"
#include "bookie/storage/java_guard.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

struct FoundRun {
  RunNumbers numbers;
  std::string path;
  std::shared_ptr<const ExtentRun> run;  // null: not opened, or damaged
};
using Runs = std::vector<std::shared_ptr<const ExtentRun>>;

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
      found->runs.push_back({.numbers = *numbers, .path = path});
    } else if (name == kExtentLastName) {
      constexpr size_t kLastMaxBytes = 64;
      const auto last = co_await ReadFile(files, path, kLastMaxBytes);
      // It is a help, and no condition.
      if (last.ok()) found->last = std::max(found->last, ParseExtentLast(last->view()));
    }
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<FoundRuns>> FindRuns(FileSystem* files, std::vector<std::string> directories) {
  FoundRuns found;
  for (const std::string& directory : directories) {
    STELE_CO_TRY_OK(co_await ListRuns(files, StrCat(directory, "/", kExtentDirectory), &found));
  }
  // The newest first. Of those that end together the widest comes first, so a run comes behind what
  // was made of it.
  std::sort(found.runs.begin(), found.runs.end(), [](const FoundRun& a, const FoundRun& b) {
    if (a.numbers.last != b.numbers.last) return a.numbers.last > b.numbers.last;
    return std::pair(a.numbers.first, a.path) < std::pair(b.numbers.first, b.path);
  });
  co_return found;
}

// Is all that the run holds in others, which were to be removed after it was made of them?
bool IsHeldByOthers(const std::vector<FoundRun>& all, size_t run) {
  const RunNumbers& numbers = all[run].numbers;
  uint64_t wanted = numbers.last;
  for (size_t i = run + 1; i < all.size() && wanted >= numbers.first; ++i) {
    const bool is_next = all[i].numbers.last == wanted && numbers.Contains(all[i].numbers);
    if (is_next) wanted = all[i].numbers.first - 1;
  }
  return wanted < numbers.first;
}

absl::Status IsMissing(std::string_view which) {
  return MakeError(ErrorCode::kCorruptData, StrCat("the index run ", which, " is missing"));
}

struct ChosenRuns {
  std::vector<FoundRun> runs;  // the newest first; of damaged ones `run` is null
  std::vector<std::string> superfluous;
};

// The runs that are the index. One that is in another run goes, unless the other is damaged: where
// all that that one holds is still there otherwise, it goes itself. One that another holds in part
// was a merged run that had failed, whose inputs were used on.
Task<absl::StatusOr<ChosenRuns>> ChooseRuns(Env env, FoundRuns found) {
  ChosenRuns result;
  std::vector<FoundRun>& chosen = result.runs;
  for (size_t i = 0; i < found.runs.size(); ++i) {
    FoundRun run = found.runs[i];
    if (!chosen.empty() && run.numbers.last >= chosen.back().numbers.first) {
      const bool may_be_needed = chosen.back().run == nullptr;
      if (!may_be_needed) result.superfluous.push_back(run.path);
      continue;
    }
    if (!chosen.empty() && chosen.back().numbers.first != run.numbers.last + 1) {
      co_return IsMissing(StrCat("before ", chosen.back().path));
    }
    auto opened = co_await ExtentRun::Open(env, run.path, run.numbers);
    if (opened.ok()) {
      run.run = *std::move(opened);
    } else if (CodeOf(opened.status()) != ErrorCode::kCorruptData) {
      co_return opened.status();
    } else if (IsHeldByOthers(found.runs, i)) {
      result.superfluous.push_back(run.path);
      continue;
    }
    chosen.push_back(std::move(run));
  }
  if (found.last > (chosen.empty() ? 0 : chosen.front().numbers.last)) {
    co_return IsMissing(StrCat("that ends with ", found.last));
  }
  if (!chosen.empty() && chosen.back().numbers.first != 1) {
    co_return IsMissing(StrCat("before ", chosen.back().path));
  }
  co_return result;
}

// What a damaged one may have had is known from the others: so each is opened alone first, and then
// with the others, the oldest first.
Task<absl::StatusOr<Runs>> OpenDamagedOnes(Env env, const std::vector<FoundRun>* chosen) {
  Runs runs;
  for (const FoundRun& found : *chosen) {
    runs.push_back(found.run);
    if (found.run != nullptr) continue;
    STELE_CO_TRY(runs.back(), co_await ExtentRun::OpenDamaged(env, found.path, found.numbers, {}));
  }
  for (size_t i = chosen->size(); i-- > 0;) {
    const FoundRun& found = (*chosen)[i];
    if (found.run != nullptr) continue;
    const auto here = runs.begin() + static_cast<std::ptrdiff_t>(i);
    OtherRuns others{.older = {here + 1, runs.end()}, .newer = {runs.begin(), here}};
    STELE_CO_TRY(runs[i], co_await ExtentRun::OpenDamaged(env, found.path, found.numbers,
                                                          std::move(others)));
  }
  co_return runs;
}

Task<absl::Status> RemoveIfThere(FileSystem* files, std::string path) {
  const absl::Status removed = co_await files->Remove(path);
  co_return CodeOf(removed) == ErrorCode::kNoSuchFile ? absl::OkStatus() : removed;
}

}  // namespace

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
      if ((flags & kRowIsFresh) != 0) settled.insert(ledger);
      if (IsRemoval(flags)) continue;
      ledgers_.insert(ledger);
      if ((flags & kRowLostSome) != 0) lost_[ledger];
    }
  }
}

Task<absl::StatusOr<std::unique_ptr<ExtentStore>>> ExtentStore::Open(Env env,
                                                                     ExtentStoreOptions options,
                                                                     LedgerLocks* locks) {
  STELE_CO_TRY(FoundRuns found, co_await FindRuns(env.files, options.directories));
  STELE_CO_TRY(const ChosenRuns chosen, co_await ChooseRuns(env, std::move(found)));
  STELE_CO_TRY(Runs runs, co_await OpenDamagedOnes(env, &chosen.runs));
  const bool have_lost_ledgers = std::any_of(
      runs.begin(), runs.end(), [](const auto& run) { return run->may_hide_ledgers(); });
  if (have_lost_ledgers && options.on_ledgers_lost) {
    STELE_CO_TRY_OK(co_await options.on_ledgers_lost());
  }
  for (const std::string& path : chosen.superfluous)
    STELE_CO_TRY_OK(co_await env.files->Remove(path));
  co_return std::unique_ptr<ExtentStore>(
      new ExtentStore(env, std::move(options), locks, std::move(runs)));
}

// An empty run that covers all others, which can go then.
Task<absl::Status> ExtentStore::Clear() {
  co_await AwaitMerges();
  const Permits::Hold turn = co_await turn_.Acquire(1);
  for (const Run& run : *runs_) {
    if (!run->has_unreadable_blocks()) continue;
    co_return MakeError(ErrorCode::kIoError,
                        StrCat(run->path(), ": what cannot be read now is not removed"));
  }
  // Also what a failure has left behind.
  STELE_CO_TRY(const FoundRuns found, co_await FindRuns(env_.files, options_.directories));
  std::vector<std::string> last;
  if (!found.runs.empty()) {
    const RunNumbers numbers{.first = 1, .last = next_number_++};
    std::vector<Prepared> nothing;
    STELE_CO_TRY(const Run empty, co_await WriteRun(numbers, &nothing, kFreeForRemovalMinBytes));
    last.push_back(empty->path());
  }
  runs_ = std::make_shared<const Runs>();
  ledgers_.clear();
  lost_.clear();
  for (const FoundRun& run : found.runs) STELE_CO_TRY_OK(co_await env_.files->Remove(run.path));
  for (const std::string& directory : options_.directories) {
    STELE_CO_TRY_OK(co_await RemoveIfThere(
        env_.files, StrCat(directory, "/", kExtentDirectory, "/", kExtentLastName)));
  }
  STELE_CO_TRY_OK(co_await SyncDirectories());
  for (const std::string& path : last) STELE_CO_TRY_OK(co_await env_.files->Remove(path));
  for (const std::string& directory : options_.directories) {
    STELE_CO_TRY_OK(co_await LetJavaIn(env_.files, StrCat(directory, "/", kExtentDirectory)));
  }
  STELE_CO_TRY_OK(co_await SyncDirectories());
  for (const std::string& directory : options_.directories) {
    // One that has something of a stranger stays, and is looked at again at the next start.
    (co_await env_.files->Remove(StrCat(directory, "/", kExtentDirectory))).IgnoreError();
  }
  co_return absl::OkStatus();
}

Task<absl::Status> ExtentStore::SyncDirectories() {
  for (const std::string& directory : options_.directories) {
    const absl::Status synced =
        co_await env_.files->SyncDirectory(StrCat(directory, "/", kExtentDirectory));
    if (CodeOf(synced) != ErrorCode::kNoSuchFile) STELE_CO_TRY_OK(synced);
  }
  co_return absl::OkStatus();
}

}  // namespace stele::bookie
