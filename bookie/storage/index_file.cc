#include "bookie/storage/index_file.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr size_t kPageBytes = kLocationsPerPage * kLocationSize;
constexpr size_t kScanChunkBytes = 64 << 10;
constexpr int64_t kLocationsPerChunk = kScanChunkBytes / kLocationSize;
// One write covers at most so many adjacent pages.
constexpr size_t kPagesPerWriteMax = 64;

// The locations in `bytes`, the file's content from the page's start.
std::unique_ptr<LocationPage> DecodePage(std::string_view bytes) {
  auto page = std::make_unique<LocationPage>();
  page->fill(0);
  for (size_t i = 0; i < std::min<size_t>(bytes.size() / kLocationSize, kLocationsPerPage); ++i) {
    (*page)[i] = LoadBigEndian<int64_t>(bytes.data() + kLocationSize * i);
  }
  return page;
}

std::bitset<kSectorsPerPage> EmptySectors(const LocationPage& page) {
  std::bitset<kSectorsPerPage> empty;
  for (size_t i = 0; i < empty.size(); ++i) {
    const auto begin = page.begin() + static_cast<std::ptrdiff_t>(i) * kLocationsPerSector;
    empty[i] = std::all_of(begin, begin + kLocationsPerSector, [](int64_t at) { return at == 0; });
  }
  return empty;
}

// Of the sectors that are empty in this page.
std::bitset<kSectorsPerPage> LostSectors(const IndexClaim& claim, int64_t page,
                                         std::bitset<kSectorsPerPage> empty) {
  for (size_t i = 0; i < empty.size(); ++i) {
    if (empty[i]) empty[i] = claim.Has(page * kSectorsPerPage + static_cast<int64_t>(i));
  }
  return empty;
}

// Of the whole sectors of `content`, which begins with sector `first`.
bool HasLostSector(const IndexClaim& claim, int64_t first, std::string_view content) {
  for (int64_t sector = first; !content.empty(); ++sector) {
    if (claim.IsLost(sector, content.substr(0, kIndexSectorSize))) return true;
    content.remove_prefix(std::min(content.size(), kIndexSectorSize));
  }
  return false;
}

bool IsUncertain(const IndexHeader& header) {
  return (header.state_bits & kIndexStateUncertain) != 0;
}

// nullopt: it is lost, or damaged.
Task<absl::StatusOr<std::optional<IndexHeader>>> ReadHeader(File* file, LedgerId ledger) {
  STELE_CO_TRY(const Buffer start, co_await file->ReadAt(0, kIndexHeaderSize));
  auto header = ParseIndexHeader(start.view(), ledger);
  if (!header.ok()) co_return std::nullopt;
  co_return *std::move(header);
}

Task<absl::StatusOr<IndexClaim>> ReadClaim(File* file, LedgerId ledger) {
  STELE_CO_TRY(const std::optional<IndexHeader> header, co_await ReadHeader(file, ledger));
  co_return header.has_value() ? header->claim : IndexClaim();
}

// Of what is claimed, what the file has. pace: null, or asked.
Task<absl::StatusOr<IndexClaim>> WithoutLost(File* file, IndexClaim claim, BackgroundPace* pace) {
  IndexClaim there{.size_bytes = claim.size_bytes};
  for (const SectorRun& run : claim.sectors) {
    int64_t sector = run.first;
    while (sector <= run.last) {
      const size_t wanted = std::min<size_t>(
          kScanChunkBytes, kIndexSectorSize * static_cast<size_t>(run.last + 1 - sector));
      if (pace != nullptr) STELE_CO_TRY_OK(co_await pace->Spend(wanted));
      STELE_CO_TRY(const Buffer bytes,
                   co_await file->ReadAt(LocationOffset(sector * kLocationsPerSector), wanted));
      for (size_t at = 0; at < wanted; at += kIndexSectorSize, ++sector) {
        const bool is_there =
            at < bytes.size() && !IsEmptySector(bytes.view().substr(at, kIndexSectorSize));
        if (is_there) there.Add({sector, sector});
      }
    }
  }
  co_return there;
}

Task<absl::Status> FindLastEntry(File* file, uint64_t size, LoadedIndex* loaded) {
  int64_t end = LocationCount(size);
  const int64_t searched_to =
      std::max<int64_t>(0, end - static_cast<int64_t>(kLastEntrySearchMaxBytes / kLocationSize));
  while (end > searched_to) {
    const int64_t begin = std::max<int64_t>(searched_to, end - kLocationsPerChunk);
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

}  // namespace

// ---- Reading

Task<absl::StatusOr<LoadedIndex>> LoadIndex(File* file, LedgerId ledger) {
  STELE_CO_TRY(const Buffer start, co_await file->ReadAt(0, kIndexHeaderSize));
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  LoadedIndex loaded;
  STELE_CO_TRY(loaded.header, ParseIndexHeader(start.view(), ledger));
  STELE_CO_TRY_OK(co_await FindLastEntry(file, size, &loaded));
  if (!loaded.header.has_value()) co_return loaded;
  const IndexClaim& claim = loaded.header->claim;
  loaded.is_cut = size < claim.size_bytes;
  loaded.has_lost_its_end = claim.LastSector() * kLocationsPerSector > loaded.last_entry.value();
  co_return loaded;
}

Task<absl::StatusOr<LoadedPage>> LoadPage(File* file, LedgerId ledger, int64_t page) {
  const uint64_t offset = LocationOffset(page * kLocationsPerPage);
  STELE_CO_TRY(Buffer bytes, co_await file->ReadAt(offset, kPageBytes));
  LoadedPage loaded{.locations = DecodePage(bytes.view())};
  const auto empty = EmptySectors(*loaded.locations);
  if (empty.none()) co_return loaded;
  STELE_CO_TRY(const IndexClaim claim, co_await ReadClaim(file, ledger));
  if (LostSectors(claim, page, empty).none()) co_return loaded;
  // Unless an update came between the two reads.
  STELE_CO_TRY(bytes, co_await file->ReadAt(offset, kPageBytes));
  loaded.locations = DecodePage(bytes.view());
  loaded.lost = LostSectors(claim, page, EmptySectors(*loaded.locations));
  co_return loaded;
}

Task<absl::StatusOr<std::vector<EntryId>>> ListEntriesOf(File* file, LedgerId ledger) {
  STELE_CO_TRY(const IndexClaim claim, co_await ReadClaim(file, ledger));
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  const absl::Status too_large = MakeError(
      ErrorCode::kOverloaded,
      StrCat("index file of ledger ", ledger.value(), " has ", size, " bytes or too many entries"));
  if (size > kListedIndexMaxBytes) co_return too_large;
  std::vector<EntryId> entries;
  const int64_t count = LocationCount(size);
  for (int64_t begin = 0; begin < count; begin += kLocationsPerChunk) {
    STELE_CO_TRY(const Buffer bytes, co_await file->ReadAt(LocationOffset(begin), kScanChunkBytes));
    if (HasLostSector(claim, begin / kLocationsPerSector, bytes.view())) {
      co_return LocationsLost(ledger);
    }
    for (size_t i = 0; i < bytes.size() / kLocationSize; ++i) {
      if (LoadBigEndian<int64_t>(bytes.data() + kLocationSize * i) == 0) continue;
      entries.emplace_back(begin + static_cast<int64_t>(i));
    }
    if (entries.size() > kListedEntriesMax) co_return too_large;
  }
  co_return entries;
}

Task<absl::StatusOr<bool>> HasLostSome(File* file, LedgerId ledger, BackgroundPace* pace) {
  STELE_CO_TRY(const IndexClaim claim, co_await ReadClaim(file, ledger));
  STELE_CO_TRY(const IndexClaim there, co_await WithoutLost(file, claim, pace));
  co_return there != claim;
}

absl::Status LocationsLost(LedgerId ledger) {
  return MakeError(ErrorCode::kCorruptData,
                   StrCat("index file of ledger ", ledger.value(), ": locations became zeroes"));
}

// ---- Updating

namespace {

struct PageUpdate {
  int64_t number = 0;
  std::unique_ptr<LocationPage> locations;
  std::bitset<kSectorsPerPage> empty;  // before the update
  size_t begin = 0;                    // its entries in the update
  size_t end = 0;
};

constexpr int64_t RoundDown(int64_t value, int64_t unit) { return value / unit * unit; }
constexpr int64_t RoundUp(int64_t value, int64_t unit) { return RoundDown(value + unit - 1, unit); }

class Update {
 public:
  Update(File* file, IndexUpdate update, bool is_new, UpdateHooks hooks)
      : file_(file), update_(std::move(update)), is_new_(is_new), hooks_(hooks) {}

  Task<absl::StatusOr<NumberedPages>> Run();

 private:
  Task<absl::Status> MeasureFile();
  Task<absl::Status> LoadPages();
  Task<absl::Status> WriteHeader();
  bool HasLostSome() const;
  Task<absl::Status> WriteLocations();
  Task<absl::Status> WriteRun(size_t first, size_t end);
  Task<absl::Status> WriteClaim();

  File* file_;
  const IndexUpdate update_;
  const bool is_new_;
  const UpdateHooks hooks_;
  int64_t count_before_ = 0;  // locations that the file had
  int64_t count_ = 0;         // and has now
  std::vector<PageUpdate> pages_;
  bool claim_matters_ = false;         // it may change, or speak of what a page does not have
  std::optional<IndexHeader> header_;  // what the file has now; nullopt: not read, lost, damaged
  std::vector<SectorRun> written_;     // those that have a location
};

Task<absl::StatusOr<NumberedPages>> Update::Run() {
  STELE_CO_TRY_OK(co_await MeasureFile());
  STELE_CO_TRY_OK(co_await LoadPages());
  STELE_CO_TRY_OK(co_await WriteHeader());
  STELE_CO_TRY_OK(co_await WriteLocations());
  STELE_CO_TRY_OK(co_await file_->Sync());
  STELE_CO_TRY_OK(co_await WriteClaim());
  NumberedPages changed;
  for (PageUpdate& page : pages_) changed.emplace_back(page.number, std::move(page.locations));
  co_return changed;
}

Task<absl::Status> Update::MeasureFile() {
  STELE_CO_TRY(const uint64_t size, co_await file_->Size());
  if (is_new_) {
    if (size > 0) STELE_CO_TRY_OK(co_await file_->Truncate(0));
    co_return absl::OkStatus();
  }
  count_ = count_before_ = LocationCount(size);
  if (size > kIndexHeaderSize && size != LocationOffset(count_before_)) {
    // Half a location at the end would become a whole one when the file grows.
    co_return co_await file_->Truncate(LocationOffset(count_before_));
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Update::LoadPages() {
  for (size_t i = 0; i < update_.entries.size(); ++i) {
    const int64_t entry = update_.entries[i];
    const int64_t number = entry / kLocationsPerPage;
    if (pages_.empty() || pages_.back().number != number) {
      PageUpdate page{.number = number, .begin = i};
      if (const LocationPage* cached = hooks_.cached(number); cached != nullptr) {
        page.locations = std::make_unique<LocationPage>(*cached);
      } else {
        Buffer bytes;
        const int64_t begin = number * kLocationsPerPage;
        if (begin < count_before_) {
          STELE_CO_TRY(bytes, co_await file_->ReadAt(LocationOffset(begin), kPageBytes));
        }
        page.locations = DecodePage(bytes.view());
        claim_matters_ = claim_matters_ || EmptySectors(*page.locations).any();
      }
      page.empty = EmptySectors(*page.locations);
      pages_.push_back(std::move(page));
    }
    PageUpdate& page = pages_.back();
    page.end = i + 1;
    const auto slot = static_cast<size_t>(entry % kLocationsPerPage);
    if (page.empty[slot / kLocationsPerSector]) claim_matters_ = true;
    (*page.locations)[slot] = update_.locations[i];
  }
  co_return absl::OkStatus();
}

// The claim that the file has stays true.
Task<absl::Status> Update::WriteHeader() {
  if (!is_new_ && !update_.header.has_value() && !claim_matters_) co_return absl::OkStatus();
  if (!is_new_) {
    STELE_CO_TRY(header_, co_await ReadHeader(file_, update_.ledger));
  }
  bool has_changed = false;
  if (update_.header.has_value()) {
    IndexClaim claim;
    if (header_.has_value()) {
      claim = std::move(header_->claim);
      const bool is_proven = IsUncertain(*header_) && !IsUncertain(*update_.header);
      if (is_proven) {
        STELE_CO_TRY(claim, co_await WithoutLost(file_, claim, /*pace=*/nullptr));
        claim.size_bytes = 0;
      }
    }
    header_ = update_.header;
    header_->claim = std::move(claim);
    has_changed = true;
  }
  if (!header_.has_value()) co_return absl::OkStatus();
  const bool has_lost_some = HasLostSome();
  if (has_lost_some) {
    hooks_.on_lost();
    has_changed = has_changed || !IsUncertain(*header_);
    header_->state_bits |= kIndexStateUncertain;
  }
  if (!has_changed) co_return absl::OkStatus();
  STELE_CO_TRY_OK(co_await file_->WriteAt(0, Buffer::FromString(MakeIndexHeader(*header_))));
  co_return has_lost_some ? co_await file_->Sync() : absl::OkStatus();
}

bool Update::HasLostSome() const {
  if (header_->claim.size_bytes > LocationOffset(count_before_)) return true;
  return std::any_of(pages_.begin(), pages_.end(), [this](const PageUpdate& page) {
    return LostSectors(header_->claim, page.number, page.empty).any();
  });
}

// Runs of adjacent pages, each from the first to the last sector that changes. What lies between
// keeps its value, so a torn write leaves old or new locations, sector by sector.
Task<absl::Status> Update::WriteLocations() {
  for (size_t first = 0; first < pages_.size();) {
    size_t end = first + 1;
    while (end < pages_.size() && end - first < kPagesPerWriteMax &&
           pages_[end].number == pages_[end - 1].number + 1) {
      ++end;
    }
    STELE_CO_TRY_OK(co_await WriteRun(first, end));
    first = end;
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Update::WriteRun(size_t first, size_t end) {
  const int64_t first_entry = RoundDown(update_.entries[pages_[first].begin], kLocationsPerSector);
  const int64_t end_entry =
      RoundUp(update_.entries[pages_[end - 1].end - 1] + 1, kLocationsPerSector);
  int64_t end_of_write = end_entry;
  if (end == pages_.size() && end_entry > count_before_) {
    // Java reads the last page whole, or not at all.
    end_of_write = RoundUp(end_entry, kJavaLocationsPerPage);
  }
  MutableBuffer bytes(kLocationSize * static_cast<size_t>(end_of_write - first_entry));
  std::memset(bytes.data(), 0, bytes.size());
  for (int64_t entry = first_entry; entry < end_entry; ++entry) {
    const auto page = static_cast<size_t>(entry / kLocationsPerPage - pages_[first].number);
    const int64_t location =
        (*pages_[first + page].locations)[static_cast<size_t>(entry % kLocationsPerPage)];
    if (location == 0) continue;
    StoreBigEndian(bytes.data() + kLocationSize * static_cast<size_t>(entry - first_entry),
                   location);
    const int64_t sector = entry / kLocationsPerSector;
    if (written_.empty() || written_.back().last + 1 < sector) {
      written_.push_back({sector, sector});
    } else {
      written_.back().last = sector;
    }
  }
  count_ = std::max(count_, end_of_write);
  co_return co_await file_->WriteAt(LocationOffset(first_entry), std::move(bytes).Freeze());
}

// Not synced: where a crash loses it, the file claims less, or nothing.
Task<absl::Status> Update::WriteClaim() {
  if (!header_.has_value() || !header_->HasRoomForClaim()) co_return absl::OkStatus();
  IndexClaim claim = header_->claim;
  claim.size_bytes = LocationOffset(count_);
  for (const SectorRun& run : written_) claim.Add(run);
  if (claim == header_->claim) co_return absl::OkStatus();
  co_return co_await file_->WriteAt(kClaimOffset, Buffer::FromString(MakeIndexClaim(claim)));
}

}  // namespace

Task<absl::StatusOr<NumberedPages>> UpdateIndex(File* file, IndexUpdate update, bool is_new,
                                                UpdateHooks hooks) {
  Update work(file, std::move(update), is_new, hooks);
  co_return co_await work.Run();
}

}  // namespace stele::bookie
