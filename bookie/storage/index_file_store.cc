#include "bookie/storage/index_file_store.h"

#include <algorithm>
#include <set>

#include "bookie/storage/directory_choice.h"
#include "common/async/run_concurrently.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/stable_hash.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

// What a disk must have left for a new index file.
constexpr uint64_t kFreeForNewFileMinBytes = 1 << 20;
constexpr size_t kDirectorySyncsAtATime = 16;

// The ledger's directory below the index directory, as a number.
size_t NameBits(LedgerId ledger) { return static_cast<size_t>(ledger.value() & 0xffff); }

absl::StatusOr<EntryLocation> CheckLocation(LedgerId ledger, EntryId entry, int64_t packed) {
  const EntryLocation location = EntryLocation::FromPacked(packed);
  if (location.IsAbsent() || location.IsPlausible()) return location;
  return MakeError(ErrorCode::kCorruptData,
                   StrCat("index file of ledger ", ledger.value(), ": location ", packed,
                          " of entry ", entry.value()));
}

// A file that should exist and does not is lost, which is no answer to "does it exist".
absl::Status WithoutAbsence(const absl::Status& status) {
  if (CodeOf(status) != ErrorCode::kNoSuchFile) return status;
  return MakeError(ErrorCode::kIoError, ToStd(status.message()));
}

}  // namespace

// A page on its way from the disk. Stale when its ledger's file is written meanwhile: then it may
// lack what was written, and must not stay in the cache.
class IndexFileStore::PageLoad {
 public:
  PageLoad(IndexFileStore* store, LedgerId ledger)
      : store_(store), ledger_(ledger), stale_(store->writing_.contains(ledger)) {
    place_ = store_->loads_.insert(store_->loads_.end(), this);
  }
  PageLoad(const PageLoad&) = delete;
  PageLoad& operator=(const PageLoad&) = delete;
  ~PageLoad() { store_->loads_.erase(place_); }

  LedgerId ledger() const { return ledger_; }
  bool stale() const { return stale_; }
  void MarkStale() { stale_ = true; }

 private:
  IndexFileStore* store_;
  LedgerId ledger_;
  bool stale_;
  std::list<PageLoad*>::iterator place_;
};

class IndexFileStore::WriteGuard {
 public:
  WriteGuard(IndexFileStore* store, LedgerId ledger) : store_(store), ledger_(ledger) {
    STELE_CHECK(store_->writing_.insert(ledger).second);
    MarkLoads();
  }
  WriteGuard(const WriteGuard&) = delete;
  WriteGuard& operator=(const WriteGuard&) = delete;
  ~WriteGuard() { store_->writing_.erase(ledger_); }

 private:
  void MarkLoads() {
    for (PageLoad* load : store_->loads_) {
      if (load->ledger() == ledger_) load->MarkStale();
    }
  }

  IndexFileStore* store_;
  LedgerId ledger_;
};

IndexFileStore::IndexFileStore(Env env, IndexFileStoreOptions options, LedgerLocks* locks,
                               absl::btree_map<LedgerId, uint8_t> files)
    : env_(env),
      options_(std::move(options)),
      locks_(locks),
      directory_of_(std::move(files)),
      readers_(env.files, options_.open_files_max),
      cache_(options_.location_cache_max_bytes),
      synced_names_(options_.directories.size()) {}

std::vector<LedgerId> IndexFileStore::Ledgers() const {
  std::vector<LedgerId> ledgers;
  ledgers.reserve(directory_of_.size());
  for (const auto& [ledger, directory] : directory_of_) ledgers.push_back(ledger);
  return ledgers;
}

std::string IndexFileStore::PathOf(size_t directory, LedgerId ledger) const {
  return StrCat(options_.directories[directory], "/", IndexFilePath(ledger));
}

Task<absl::StatusOr<std::shared_ptr<File>>> IndexFileStore::OpenForReading(LedgerId ledger) {
  const auto found = directory_of_.find(ledger);
  if (found == directory_of_.end()) co_return NoSuchLedger(ledger);
  absl::StatusOr<std::shared_ptr<File>> file =
      co_await readers_.Get(ledger.value(), PathOf(found->second, ledger));
  if (!file.ok()) {
    if (!Contains(ledger)) co_return NoSuchLedger(ledger);  // deleted meanwhile
    co_return WithoutAbsence(file.status());
  }
  co_return file;
}

Task<absl::StatusOr<LoadedIndex>> IndexFileStore::Load(LedgerId ledger) {
  STELE_CO_TRY(const std::shared_ptr<File> file, co_await OpenForReading(ledger));
  co_return co_await LoadIndex(file.get(), ledger);
}

std::optional<absl::StatusOr<EntryLocation>> IndexFileStore::FindCached(LedgerId ledger,
                                                                        EntryId entry) {
  STELE_CHECK(!entry.IsNone());
  const LocationPage* cached = cache_.Find(ledger, entry.value() / kLocationsPerPage);
  if (cached == nullptr) return std::nullopt;
  const int64_t packed = (*cached)[static_cast<size_t>(entry.value() % kLocationsPerPage)];
  return CheckLocation(ledger, entry, packed);
}

Task<absl::StatusOr<EntryLocation>> IndexFileStore::Find(LedgerId ledger, EntryId entry) {
  if (auto cached = FindCached(ledger, entry); cached.has_value()) co_return *std::move(cached);
  const int64_t page = entry.value() / kLocationsPerPage;
  PageLoad load(this, ledger);
  STELE_CO_TRY(const std::shared_ptr<File> file, co_await OpenForReading(ledger));
  STELE_CO_TRY(LoadedPage loaded, co_await LoadPage(file.get(), ledger, page));
  const auto slot = static_cast<size_t>(entry.value() % kLocationsPerPage);
  const int64_t packed = (*loaded.locations)[slot];
  if (loaded.lost.any()) {
    loss_listener_(ledger);
    if (loaded.lost[slot / kLocationsPerSector]) co_return LocationsLost(ledger);
  } else if (!load.stale() && Contains(ledger)) {
    cache_.Put(ledger, page, std::move(loaded.locations));
  }
  co_return CheckLocation(ledger, entry, packed);
}

uint64_t IndexFileStore::RunEnd(LedgerId ledger, EntryId entry, int64_t count_max,
                                uint64_t size_max) {
  const LocationPage* page = cache_.Find(ledger, entry.value() / kLocationsPerPage);
  if (page == nullptr) return 0;
  const int64_t slot = entry.value() % kLocationsPerPage;
  const auto first = EntryLocation::FromPacked((*page)[static_cast<size_t>(slot)]);
  EntryLocation last = first;
  uint64_t last_size = 0;
  for (int64_t i = slot + 1; i < std::min(kLocationsPerPage, slot + count_max); ++i) {
    const auto next = EntryLocation::FromPacked((*page)[static_cast<size_t>(i)]);
    if (next.IsAbsent()) continue;  // on other bookies
    if (!next.IsPlausible() || next.log() != first.log() || next <= last ||
        next.record_offset() - first.record_offset() >= size_max) {
      break;
    }
    last_size = next.record_offset() - last.record_offset();
    last = next;
  }
  return last == first ? 0 : last.record_offset() + last_size;
}

Task<absl::StatusOr<std::vector<EntryId>>> IndexFileStore::List(LedgerId ledger) {
  STELE_CO_TRY(const std::shared_ptr<File> file, co_await OpenForReading(ledger));
  auto entries = co_await ListEntriesOf(file.get(), ledger);
  if (CodeOf(entries.status()) == ErrorCode::kCorruptData) loss_listener_(ledger);
  co_return entries;
}

Task<absl::StatusOr<LocationPiece>> IndexFileStore::ReadPiece(LedgerId ledger, int64_t first) {
  STELE_CO_TRY(const std::shared_ptr<File> file, co_await OpenForReading(ledger));
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  const int64_t pages = (LocationCount(size) + kLocationsPerPage - 1) / kLocationsPerPage;
  LocationPiece piece;
  for (int64_t page = first / kLocationsPerPage; page < pages; ++page) {
    if (piece.entries.size() >= kPieceEntries) {
      piece.next = page * kLocationsPerPage;
      break;
    }
    STELE_CO_TRY(const LoadedPage loaded, co_await LoadPage(file.get(), ledger, page));
    piece.lost_some = piece.lost_some || loaded.lost.any();
    for (int64_t slot = 0; slot < kLocationsPerPage; ++slot) {
      const int64_t packed = (*loaded.locations)[static_cast<size_t>(slot)];
      const int64_t entry = page * kLocationsPerPage + slot;
      if (packed == 0 || entry < first) continue;
      if (!EntryLocation::FromPacked(packed).IsPlausible()) {
        piece.lost_some = true;
        continue;
      }
      piece.entries.push_back(entry);
      piece.locations.push_back(packed);
    }
  }
  co_return piece;
}

Task<absl::Status> IndexFileStore::LookForLosses(LedgerId ledger, BackgroundPace* pace) {
  STELE_CO_TRY(const std::shared_ptr<File> file, co_await OpenForReading(ledger));
  STELE_CO_TRY(const bool has_lost_some, co_await HasLostSome(file.get(), ledger, pace));
  if (has_lost_some) loss_listener_(ledger);
  co_return absl::OkStatus();
}

// ---- Writing

Task<absl::StatusOr<size_t>> IndexFileStore::ChooseForNew(LedgerId ledger) {
  if (const auto found = unsynced_names_.find(ledger); found != unsynced_names_.end()) {
    co_return found->second;
  }
  co_return co_await ChooseDirectory(
      env_.files,
      {.directories = options_.directories,
       .usage_max_ppm = options_.disk_usage_max_ppm,
       .free_min_bytes = kFreeForNewFileMinBytes,
       .first = StableHash(static_cast<uint64_t>(ledger.value())) % options_.directories.size()});
}

Task<absl::Status> IndexFileStore::Write(IndexUpdates* updates, size_t at_a_time) {
  const auto write = [&](size_t i) { return WriteOne(updates, i); };
  co_return co_await RunConcurrently(env_.executor, updates->count(), at_a_time, write);
}

Task<absl::Status> IndexFileStore::WriteOne(IndexUpdates* updates, size_t i) {
  const LedgerId ledger = updates->ledger(i);
  const LedgerLocks::Guard guard = co_await locks_->Acquire(ledger);
  STELE_CO_TRY(std::optional<IndexUpdate> update, co_await updates->Prepare(i));
  if (!update.has_value()) co_return absl::OkStatus();
  const absl::Status written = co_await WriteLedger(*std::move(update));
  if (!written.ok()) {
    co_return WithContext(written, StrCat("index file of ledger ", ledger.value()));
  }
  updates->OnWritten(i);
  co_return written;
}

Task<absl::Status> IndexFileStore::WriteLedger(IndexUpdate update) {
  STELE_CHECK(update.entries.size() == update.locations.size());
  const LedgerId ledger = update.ledger;
  WriteGuard guard(this, ledger);
  if (const auto found = directory_of_.find(ledger); found != directory_of_.end()) {
    const uint8_t directory = found->second;
    STELE_CO_TRY_OK(
        WithoutAbsence(co_await WriteFile(PathOf(directory, ledger), update, /*is_new=*/false)));
    if (!synced_names_[directory].inner[NameBits(ledger)]) doubtful_names_[ledger] = directory;
  } else {
    STELE_CHECK(update.header.has_value());
    STELE_CO_TRY(const size_t directory, co_await ChooseForNew(ledger));
    const std::string path = PathOf(directory, ledger);
    const std::string temporary = StrCat(path, kIndexNewSuffix.substr(kIndexSuffix.size()));
    if (!synced_names_[directory].inner[NameBits(ledger)]) {
      STELE_CO_TRY_OK(co_await env_.files->MakeDirectories(
          StrCat(options_.directories[directory], "/", IndexFileDirectory(ledger))));
    }
    STELE_CO_TRY_OK(co_await WriteFile(temporary, update, /*is_new=*/true));
    // Remembered first: the rename may happen although it fails.
    unsynced_names_[ledger] = static_cast<uint8_t>(directory);
    STELE_CO_TRY_OK(co_await env_.files->Rename(temporary, path));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> IndexFileStore::WriteFile(std::string path, IndexUpdate update, bool is_new) {
  const LedgerId ledger = update.ledger;
  STELE_CO_TRY(const std::unique_ptr<File> file,
               co_await env_.files->Open(path, {.access = OpenOptions::Access::kReadWrite,
                                                .create = is_new ? OpenOptions::Create::kIfMissing
                                                                 : OpenOptions::Create::kNever}));
  bool has_lost_some = false;
  const auto cached = [&](int64_t page) { return is_new ? nullptr : cache_.Find(ledger, page); };
  const auto on_lost = [&] {
    has_lost_some = true;
    loss_listener_(ledger);
  };
  auto changed = co_await UpdateIndex(file.get(), std::move(update), is_new,
                                      {.cached = cached, .on_lost = on_lost});
  // After an error the file may have what the cache does not.
  if (!changed.ok() || has_lost_some) cache_.EraseLedger(ledger);
  if (!changed.ok()) co_return changed.status();
  if (has_lost_some) co_return absl::OkStatus();
  for (auto& [page, content] : *changed) cache_.Put(ledger, page, std::move(content));
  co_return absl::OkStatus();
}

std::vector<std::string> IndexFileStore::NamesToSync(
    const std::map<LedgerId, uint8_t>& made, const std::map<LedgerId, uint8_t>& found) const {
  std::set<std::string> paths;
  for (const auto* files : {&made, &found}) {
    for (const auto& [ledger, directory] : *files) {
      const SyncedNames& synced = synced_names_[directory];
      const std::string& root = options_.directories[directory];
      const std::string inner = StrCat(root, "/", IndexFileDirectory(ledger));
      paths.insert(inner);
      if (!synced.inner[NameBits(ledger)]) paths.insert(inner.substr(0, inner.rfind('/')));
      if (!synced.outer[NameBits(ledger) >> 8]) paths.insert(root);
    }
  }
  return {paths.begin(), paths.end()};
}

Task<absl::Status> IndexFileStore::SyncNames() {
  const std::map<LedgerId, uint8_t> made = unsynced_names_;
  const std::map<LedgerId, uint8_t> found = std::exchange(doubtful_names_, {});
  if (made.empty() && found.empty()) co_return absl::OkStatus();
  const std::vector<std::string> paths = NamesToSync(made, found);
  const auto sync = [&](size_t i) { return env_.files->SyncDirectory(paths[i]); };
  STELE_CO_TRY_OK(
      co_await RunConcurrently(env_.executor, paths.size(), kDirectorySyncsAtATime, sync));
  for (const auto* files : {&made, &found}) {
    for (const auto& [ledger, directory] : *files) {
      synced_names_[directory].inner.set(NameBits(ledger));
      synced_names_[directory].outer.set(NameBits(ledger) >> 8);
    }
  }
  for (const auto& [ledger, directory] : made) {
    // Not one that was deleted meanwhile.
    if (unsynced_names_.erase(ledger) > 0) directory_of_[ledger] = directory;
  }
  co_return absl::OkStatus();
}

Task<absl::Status> IndexFileStore::Remove(LedgerId ledger) {
  uint8_t directory = 0;
  if (const auto on_disk = directory_of_.find(ledger); on_disk != directory_of_.end()) {
    directory = on_disk->second;
  } else if (const auto made = unsynced_names_.find(ledger); made != unsynced_names_.end()) {
    directory = made->second;
  } else {
    co_return absl::OkStatus();
  }
  const std::string path = PathOf(directory, ledger);
  const absl::Status removed = co_await env_.files->Remove(path);
  if (!removed.ok() && CodeOf(removed) != ErrorCode::kNoSuchFile) co_return removed;
  directory_of_.erase(ledger);
  unsynced_names_.erase(ledger);
  readers_.Drop(ledger.value());
  cache_.EraseLedger(ledger);
  co_return co_await env_.files->SyncDirectory(path.substr(0, path.rfind('/')));
}

}  // namespace stele::bookie
