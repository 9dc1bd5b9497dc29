#include "bookie/storage/index_store.h"

#include <algorithm>
#include <cstring>
#include <set>

#include "bookie/storage/directory_choice.h"
#include "bookie/storage/index_enumeration.h"
#include "bookie/storage/run_concurrently.h"
#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/stable_hash.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr size_t kPageBytes = kLocationsPerPage * kLocationSize;
constexpr size_t kScanChunkBytes = 64 << 10;
// One write covers at most so many adjacent pages.
constexpr size_t kPagesPerWriteMax = 64;
// What a disk must have left for a new index file.
constexpr uint64_t kFreeForNewFileMinBytes = 1 << 20;
constexpr size_t kDirectorySyncsAtATime = 16;

// Fills `page` with the locations in `bytes`, the file's content from the page's start.
void DecodePage(std::string_view bytes, LocationPage& page) {
  page.fill(0);
  for (size_t i = 0; i < std::min<size_t>(bytes.size() / kLocationSize, kLocationsPerPage); ++i) {
    page[i] = LoadBigEndian<int64_t>(bytes.data() + kLocationSize * i);
  }
}

// The ledger's directory below the index directory, as a number.
size_t NameBits(LedgerId ledger) { return static_cast<size_t>(ledger.value() & 0xffff); }

absl::Status NoSuchLedger(LedgerId ledger) {
  return MakeError(ErrorCode::kNoSuchLedger, StrCat("ledger ", ledger.value()));
}

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
class IndexStore::PageLoad {
 public:
  PageLoad(IndexStore* store, LedgerId ledger)
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
  IndexStore* store_;
  LedgerId ledger_;
  bool stale_;
  std::list<PageLoad*>::iterator place_;
};

class IndexStore::WriteGuard {
 public:
  WriteGuard(IndexStore* store, LedgerId ledger) : store_(store), ledger_(ledger) {
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

  IndexStore* store_;
  LedgerId ledger_;
};

IndexStore::IndexStore(Env env, IndexStoreOptions options,
                       absl::btree_map<LedgerId, uint8_t> directory_of)
    : env_(env),
      options_(std::move(options)),
      directory_of_(std::move(directory_of)),
      readers_(env.files, options_.open_files_max),
      cache_(options_.location_cache_max_bytes),
      synced_names_(options_.directories.size()) {}

Task<absl::StatusOr<std::unique_ptr<IndexStore>>> IndexStore::Open(Env env,
                                                                   IndexStoreOptions options) {
  STELE_CO_TRY(auto directory_of, co_await EnumerateIndexes(env.files, options.directories));
  co_return std::unique_ptr<IndexStore>(
      new IndexStore(env, std::move(options), std::move(directory_of)));
}

std::vector<LedgerId> IndexStore::Ledgers() const {
  std::vector<LedgerId> ledgers;
  ledgers.reserve(directory_of_.size());
  for (const auto& [ledger, directory] : directory_of_) ledgers.push_back(ledger);
  return ledgers;
}

std::string IndexStore::PathOf(size_t directory, LedgerId ledger) const {
  return StrCat(options_.directories[directory], "/", IndexFilePath(ledger));
}

Task<absl::StatusOr<std::shared_ptr<File>>> IndexStore::OpenForReading(LedgerId ledger) {
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

Task<absl::StatusOr<LoadedIndex>> IndexStore::Load(LedgerId ledger) {
  STELE_CO_TRY(const std::shared_ptr<File> file, co_await OpenForReading(ledger));
  STELE_CO_TRY(const Buffer start, co_await file->ReadAt(0, kIndexHeaderSize));
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  LoadedIndex loaded;
  STELE_CO_TRY(loaded.header, ParseIndexHeader(start.view(), ledger));
  loaded.is_cut = loaded.header.has_value() && size < loaded.header->claimed_size_bytes;
  STELE_CO_TRY_OK(co_await FindLastEntry(file.get(), size, &loaded));
  co_return loaded;
}

Task<absl::Status> IndexStore::FindLastEntry(File* file, uint64_t size, LoadedIndex* loaded) {
  int64_t end = LocationCount(size);
  const int64_t searched_to =
      std::max<int64_t>(0, end - static_cast<int64_t>(kLastEntrySearchMaxBytes / kLocationSize));
  while (end > searched_to) {
    const int64_t begin =
        std::max<int64_t>(searched_to, end - static_cast<int64_t>(kScanChunkBytes / kLocationSize));
    STELE_CO_TRY(const Buffer bytes,
                 co_await file->ReadAt(LocationOffset(begin),
                                       kLocationSize * static_cast<size_t>(end - begin)));
    for (int64_t i = static_cast<int64_t>(bytes.size() / kLocationSize) - 1; i >= 0; --i) {
      if (LoadBigEndian<int64_t>(bytes.data() + kLocationSize * static_cast<size_t>(i)) != 0) {
        loaded->last_entry = EntryId(begin + i);
        co_return absl::OkStatus();
      }
    }
    end = begin;
  }
  loaded->last_entry_is_certain = searched_to == 0;
  if (searched_to > 0) loaded->last_entry = EntryId(searched_to - 1);
  co_return absl::OkStatus();
}

std::optional<absl::StatusOr<EntryLocation>> IndexStore::FindCached(LedgerId ledger,
                                                                    EntryId entry) {
  STELE_CHECK(!entry.IsNone());
  const LocationPage* cached = cache_.Find(ledger, entry.value() / kLocationsPerPage);
  if (cached == nullptr) return std::nullopt;
  const int64_t packed = (*cached)[static_cast<size_t>(entry.value() % kLocationsPerPage)];
  return CheckLocation(ledger, entry, packed);
}

Task<absl::StatusOr<EntryLocation>> IndexStore::Find(LedgerId ledger, EntryId entry) {
  if (auto cached = FindCached(ledger, entry); cached.has_value()) co_return *std::move(cached);
  const int64_t page = entry.value() / kLocationsPerPage;
  PageLoad load(this, ledger);
  STELE_CO_TRY(const std::shared_ptr<File> file, co_await OpenForReading(ledger));
  STELE_CO_TRY(const Buffer bytes,
               co_await file->ReadAt(LocationOffset(page * kLocationsPerPage), kPageBytes));
  auto content = std::make_unique<LocationPage>();
  DecodePage(bytes.view(), *content);
  const int64_t packed = (*content)[static_cast<size_t>(entry.value() % kLocationsPerPage)];
  if (!load.stale() && Contains(ledger)) cache_.Put(ledger, page, std::move(content));
  co_return CheckLocation(ledger, entry, packed);
}

uint64_t IndexStore::RunEnd(LedgerId ledger, EntryId entry, int64_t count_max, uint64_t size_max) {
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

Task<absl::StatusOr<std::vector<EntryId>>> IndexStore::List(LedgerId ledger) {
  STELE_CO_TRY(const std::shared_ptr<File> file, co_await OpenForReading(ledger));
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  const absl::Status too_large = MakeError(
      ErrorCode::kOverloaded,
      StrCat("index file of ledger ", ledger.value(), " has ", size, " bytes or too many entries"));
  if (size > kListedIndexMaxBytes) co_return too_large;
  std::vector<EntryId> entries;
  const int64_t count = LocationCount(size);
  constexpr int64_t kStep = kScanChunkBytes / kLocationSize;
  for (int64_t begin = 0; begin < count; begin += kStep) {
    STELE_CO_TRY(const Buffer bytes, co_await file->ReadAt(LocationOffset(begin), kScanChunkBytes));
    for (size_t i = 0; i < bytes.size() / kLocationSize; ++i) {
      if (LoadBigEndian<int64_t>(bytes.data() + kLocationSize * i) == 0) continue;
      entries.emplace_back(begin + static_cast<int64_t>(i));
    }
    if (entries.size() > kListedEntriesMax) co_return too_large;
  }
  co_return entries;
}

// ---- Writing

Task<absl::StatusOr<size_t>> IndexStore::ChooseForNew(LedgerId ledger) {
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

Task<absl::Status> IndexStore::Write(IndexUpdate update) {
  STELE_CHECK(update.entries.size() == update.locations.size());
  const LedgerId ledger = update.ledger;
  WriteGuard guard(this, ledger);
  Pages written;
  if (const auto found = directory_of_.find(ledger); found != directory_of_.end()) {
    const uint8_t directory = found->second;
    STELE_CO_TRY_OK(WithoutAbsence(
        co_await WriteFile(PathOf(directory, ledger), update, /*is_new=*/false, &written)));
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
    STELE_CO_TRY_OK(co_await WriteFile(temporary, update, /*is_new=*/true, &written));
    // Remembered first: the rename may happen although it fails.
    unsynced_names_[ledger] = static_cast<uint8_t>(directory);
    STELE_CO_TRY_OK(co_await env_.files->Rename(temporary, path));
  }
  for (auto& [page, content] : written) cache_.Put(ledger, page, std::move(content));
  co_return absl::OkStatus();
}

Task<absl::Status> IndexStore::WriteFile(std::string path, IndexUpdate update, bool is_new,
                                         Pages* written) {
  STELE_CO_TRY(const std::unique_ptr<File> file,
               co_await env_.files->Open(path, {.access = OpenOptions::Access::kReadWrite,
                                                .create = is_new ? OpenOptions::Create::kIfMissing
                                                                 : OpenOptions::Create::kNever}));
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  int64_t count_on_file = LocationCount(size);
  if (is_new) {
    if (size > 0) STELE_CO_TRY_OK(co_await file->Truncate(0));
    count_on_file = 0;
  } else if (size > kIndexHeaderSize && size != LocationOffset(count_on_file)) {
    // Half a location at the end would become a whole one when the file grows.
    STELE_CO_TRY_OK(co_await file->Truncate(LocationOffset(count_on_file)));
  }
  if (update.header.has_value()) {
    STELE_CO_TRY_OK(co_await file->WriteAt(0, Buffer::FromString(MakeIndexHeader(*update.header))));
  }
  STELE_CO_TRY(const int64_t count,
               co_await WriteLocations(file.get(), update, count_on_file, written));
  STELE_CO_TRY_OK(co_await file->Sync());
  if (count == count_on_file && !update.header.has_value()) co_return absl::OkStatus();
  co_return co_await ClaimSize(file.get(), update.ledger, LocationOffset(count));
}

// Not synced: where a crash loses it, the file claims less, or nothing. A header that leaves no
// room, or is damaged, stays as it is.
Task<absl::Status> IndexStore::ClaimSize(File* file, LedgerId ledger, uint64_t synced_size_bytes) {
  STELE_CO_TRY(const Buffer start, co_await file->ReadAt(0, kIndexHeaderSize));
  const absl::StatusOr<std::optional<IndexHeader>> header = ParseIndexHeader(start.view(), ledger);
  if (!header.ok() || !header->has_value() ||
      !HasRoomForSizeClaim((*header)->explicit_lac.size())) {
    co_return absl::OkStatus();
  }
  co_return co_await file->WriteAt(kSizeClaimOffset,
                                   Buffer::FromString(MakeSizeClaim(synced_size_bytes)));
}

// Writes runs of adjacent pages, each from the first to the last location that changes. What lies
// between keeps its value, so a torn write leaves old or new locations, sector by sector. Gives how
// many locations the file has then.
Task<absl::StatusOr<int64_t>> IndexStore::WriteLocations(File* file, IndexUpdate update,
                                                         int64_t count_on_file, Pages* written) {
  int64_t count = count_on_file;
  for (size_t i = 0; i < update.entries.size();) {
    const int64_t first_entry = update.entries[i];
    const int64_t first_page = first_entry / kLocationsPerPage;
    const size_t first_written = written->size();
    int64_t last_entry = first_entry;
    while (i < update.entries.size()) {
      const int64_t page = update.entries[i] / kLocationsPerPage;
      const auto pages = static_cast<int64_t>(written->size() - first_written);
      if (page > first_page + pages || page - first_page >= int64_t{kPagesPerWriteMax}) break;
      if (page == first_page + pages) {
        STELE_CO_TRY(auto content,
                     co_await LoadForUpdate(file, update.ledger, page, count_on_file));
        written->emplace_back(page, std::move(content));
      }
      last_entry = update.entries[i];
      (*written->back().second)[static_cast<size_t>(last_entry % kLocationsPerPage)] =
          update.locations[i];
      ++i;
    }
    int64_t end = last_entry + 1;
    if (i == update.entries.size() && end > count_on_file) {
      // Java reads the last page whole, or not at all.
      end = (end + kJavaLocationsPerPage - 1) / kJavaLocationsPerPage * kJavaLocationsPerPage;
    }
    MutableBuffer bytes(kLocationSize * static_cast<size_t>(end - first_entry));
    std::memset(bytes.data(), 0, bytes.size());
    for (int64_t entry = first_entry; entry <= last_entry; ++entry) {
      const auto page = static_cast<size_t>(entry / kLocationsPerPage - first_page);
      StoreBigEndian(bytes.data() + kLocationSize * static_cast<size_t>(entry - first_entry),
                     (*(*written)[first_written + page]
                           .second)[static_cast<size_t>(entry % kLocationsPerPage)]);
    }
    STELE_CO_TRY_OK(co_await file->WriteAt(LocationOffset(first_entry), std::move(bytes).Freeze()));
    count = std::max(count, end);
  }
  co_return count;
}

Task<absl::StatusOr<std::unique_ptr<LocationPage>>> IndexStore::LoadForUpdate(
    File* file, LedgerId ledger, int64_t page, int64_t count_on_file) {
  if (const LocationPage* cached = cache_.Find(ledger, page); cached != nullptr) {
    co_return std::make_unique<LocationPage>(*cached);
  }
  auto content = std::make_unique<LocationPage>();
  Buffer bytes;
  if (const int64_t begin = page * kLocationsPerPage; begin < count_on_file) {
    STELE_CO_TRY(bytes, co_await file->ReadAt(LocationOffset(begin), kPageBytes));
  }
  DecodePage(bytes.view(), *content);
  co_return content;
}

std::vector<std::string> IndexStore::NamesToSync(const std::map<LedgerId, uint8_t>& made,
                                                 const std::map<LedgerId, uint8_t>& found) const {
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

Task<absl::Status> IndexStore::SyncNames() {
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

Task<absl::Status> IndexStore::Remove(LedgerId ledger) {
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
