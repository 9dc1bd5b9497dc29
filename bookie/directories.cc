#include "bookie/directories.h"

#include <algorithm>
#include <set>
#include <utility>

#include "bookie/data_age.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/cookie_check.h"

namespace stele::bookie {
namespace {

constexpr char kDirtyFile[] = "DIRTY";

bool IsOldLayoutFile(std::string_view name) {
  return name == "VERSION" || name.ends_with(".txn") || name.ends_with(".idx") ||
         name.ends_with(".log");
}

Task<absl::StatusOr<bool>> Exists(FileSystem* files, std::string path) {
  const absl::Status found = (co_await files->Stat(std::move(path))).status();
  if (found.ok()) co_return true;
  if (CodeOf(found) == ErrorCode::kNoSuchFile) co_return false;
  co_return found;
}

// MakeDirectories may have made any of the directories on the way: a name that is lost in a power
// cut would take everything below it along.
Task<absl::Status> SyncWithAncestors(FileSystem* files, std::string path) {
  for (;;) {
    STELE_CO_TRY_OK(co_await files->SyncDirectory(path));
    const size_t slash = path.rfind('/');
    if (path == "/" || path == "." || path.empty()) co_return absl::OkStatus();
    path = slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
  }
}

}  // namespace

Task<absl::Status> Directories::Prepare(std::vector<std::string> roots,
                                        std::vector<std::string>* currents) {
  for (const std::string& root : roots) {
    const std::string current = root + "/current";
    STELE_CO_TRY(const bool exists, co_await Exists(files_, current));
    if (!exists) {
      STELE_CO_TRY_OK(co_await files_->MakeDirectories(root));
      STELE_CO_TRY(const std::vector<std::string> names, co_await files_->List(root));
      for (const std::string& name : names) {
        if (!IsOldLayoutFile(name)) continue;
        co_return MakeError(ErrorCode::kConfig,
                            StrCat(root, "/", name,
                                   " is of a layout that is too old: upgrade it "
                                   "with Apache BookKeeper 4.2 or later first"));
      }
      STELE_CO_TRY_OK(co_await files_->MakeDirectories(current));
    }
    // Also when it is there: a start before this one may have made it, and died before the sync.
    STELE_CO_TRY_OK(co_await SyncWithAncestors(files_, root));
    currents->push_back(current);
  }
  co_return absl::OkStatus();
}

std::vector<std::string> Directories::all_currents() const {
  std::set<std::string> all(journals_.begin(), journals_.end());
  all.insert(ledgers_.begin(), ledgers_.end());
  all.insert(indexes_.begin(), indexes_.end());
  return {all.begin(), all.end()};
}

Task<absl::Status> Directories::Lock() {
  for (const std::string& directory : all_currents()) {
    auto lock = co_await files_->LockDirectory(directory);
    if (CodeOf(lock.status()) == ErrorCode::kOverloaded) {
      co_return MakeError(ErrorCode::kOverloaded,
                          StrCat(directory, " is in use by another bookie process (",
                                 ToStd(lock.status().message()), ")"));
    }
    if (!lock.ok()) co_return lock.status();
    locks_.push_back(*std::move(lock));
  }
  co_return absl::OkStatus();
}

// Durable before anything is replayed or written: a crash from here on is seen by the next start.
Task<absl::Status> Directories::MarkDirty() {
  for (const std::string& directory : ledgers_) {
    const std::string path = StrCat(directory, "/", kDirtyFile);
    STELE_CO_TRY(const bool exists, co_await Exists(files_, path));
    if (exists) {
      was_unclean_ = true;
      continue;
    }
    STELE_CO_TRY_OK(co_await ReplaceFile(files_, directory, kDirtyFile, Buffer()));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Directories::MarkClean() {
  for (const std::string& directory : ledgers_) {
    STELE_CO_TRY_OK(co_await files_->Remove(StrCat(directory, "/", kDirtyFile)));
    STELE_CO_TRY_OK(co_await files_->SyncDirectory(directory));
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<std::unique_ptr<Directories>>> OpenDirectories(
    Env env, metadata::MetadataStore* store, const BookieOptions* options,
    std::optional<std::string> instance_id) {
  if (options->journal_directories.empty() || options->ledger_directories.empty()) {
    co_return MakeError(ErrorCode::kConfig, "a bookie needs a journal and a ledger directory");
  }
  std::unique_ptr<Directories> directories(new Directories(env.files));
  STELE_CO_TRY_OK(
      co_await directories->Prepare(options->journal_directories, &directories->journals_));
  STELE_CO_TRY_OK(
      co_await directories->Prepare(options->ledger_directories, &directories->ledgers_));
  STELE_CO_TRY_OK(
      co_await directories->Prepare(options->index_directories, &directories->indexes_));
  if (directories->indexes_.empty()) directories->indexes_ = directories->ledgers_;
  STELE_CO_TRY_OK(co_await directories->Lock());
  const int64_t age = co_await HighestAge(env.files, directories->all_currents());
  metadata::BookieIdentity identity{
      .bookie = options->id,
      .directories = {.journal = options->journal_directories,
                      .ledger = options->ledger_directories,
                      .index = options->index_directories},
      .instance_id = std::move(instance_id),
      .expansion = options->allow_storage_expansion ? metadata::StorageExpansion::kAllowed
                                                    : metadata::StorageExpansion::kRefused,
      .data_age = age,
  };
  STELE_CO_TRY_OK(co_await metadata::CheckCookies(
      env.files, store, metadata::ClusterPaths(options->ledgers_root), std::move(identity)));
  STELE_CO_TRY_OK(co_await directories->MarkDirty());
  co_return directories;
}

}  // namespace stele::bookie
