#include "bookie/storage/index_open.h"

#include <utility>

#include "bookie/storage/extent_store.h"
#include "bookie/storage/index_enumeration.h"
#include "bookie/storage/index_file_store.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

// What is converted at a time; bounds the memory (16 MiB).
constexpr size_t kEntriesAtATime = 1 << 20;
constexpr size_t kLedgersAtATime = 16 << 10;
constexpr size_t kFilesAtATime = 16;

// Copies ledgers from one store to another. Nobody else uses the two.
class Conversion final : public IndexUpdates {
 public:
  Conversion(IndexStore* from, IndexStore* to,
             const std::function<void(int64_t, int64_t)>* on_converted)
      : from_(from), to_(to), on_converted_(on_converted) {}

  // What a conversion that was broken off has copied in part is completed. What `to` knows stays:
  // of a ledger that both have `from` may be far older.
  Task<absl::Status> Run();

 private:
  struct Part {
    LedgerId ledger;
    IndexHeader header;
    LocationPiece piece;
  };

  size_t count() const override { return parts_.size(); }
  LedgerId ledger(size_t i) const override { return parts_[i].ledger; }
  Task<absl::StatusOr<std::optional<IndexUpdate>>> Prepare(size_t i) override {
    const Part& part = parts_[i];
    co_return IndexUpdate{.ledger = part.ledger,
                          .header = part.header,
                          .entries = part.piece.entries,
                          .locations = part.piece.locations};
  }

  Task<absl::Status> Copy(LedgerId ledger);
  Task<absl::StatusOr<LocationPiece>> ReadPiece(LedgerId ledger, int64_t first);
  static Task<absl::StatusOr<IndexHeader>> HeaderOf(IndexStore* store, LedgerId ledger);
  Task<absl::Status> LeaveWhatIsThere(LedgerId ledger, IndexHeader* header, LocationPiece* piece);
  Task<absl::Status> WriteParts();

  IndexStore* from_;
  IndexStore* to_;
  const std::function<void(int64_t, int64_t)>* on_converted_;
  int64_t ledgers_ = 0;  // read
  std::vector<Part> parts_;
  size_t entries_ = 0;
};

Task<absl::Status> Conversion::Run() {
  for (const LedgerId ledger : from_->Ledgers()) {
    const absl::Status copied = co_await Copy(ledger);
    if (!copied.ok()) co_return WithContext(copied, StrCat("ledger ", ledger.value()));
    ++ledgers_;
  }
  co_return co_await WriteParts();
}

// What is damaged is lost, and no reason to stop for; what the disk does not give may be there.
Task<absl::StatusOr<LocationPiece>> Conversion::ReadPiece(LedgerId ledger, int64_t first) {
  absl::StatusOr<LocationPiece> piece = co_await from_->ReadPiece(ledger, first);
  if (CodeOf(piece.status()) == ErrorCode::kCorruptData) co_return LocationPiece{.lost_some = true};
  co_return piece;
}

Task<absl::StatusOr<IndexHeader>> Conversion::HeaderOf(IndexStore* store, LedgerId ledger) {
  absl::StatusOr<LoadedIndex> read = co_await store->Load(ledger);
  if (CodeOf(read.status()) == ErrorCode::kCorruptData) read = LoadedIndex();
  STELE_CO_TRY(const LoadedIndex loaded, std::move(read));
  // What the storage makes of such a ledger, when it loads it.
  const bool may_have_been_fenced = !loaded.header.has_value() || loaded.is_cut;
  IndexHeader header = loaded.header.value_or(IndexHeader());
  header.claim = {};
  if (may_have_been_fenced) header.state_bits |= kIndexStateFenced;
  if (may_have_been_fenced || loaded.has_lost_its_end || !loaded.last_entry_is_certain) {
    header.state_bits |= kIndexStateUncertain;
  }
  co_return header;
}

Task<absl::Status> Conversion::Copy(LedgerId ledger) {
  STELE_CO_TRY(IndexHeader header, co_await HeaderOf(from_, ledger));
  for (std::optional<int64_t> next = 0; next.has_value();) {
    STELE_CO_TRY(LocationPiece piece, co_await ReadPiece(ledger, *next));
    if (piece.lost_some) header.state_bits |= kIndexStateUncertain;
    next = piece.next;
    if (to_->Contains(ledger)) {
      STELE_CO_TRY_OK(co_await LeaveWhatIsThere(ledger, &header, &piece));
    }
    entries_ += piece.entries.size();
    parts_.push_back({.ledger = ledger, .header = header, .piece = std::move(piece)});
    // A further piece of the ledger cannot be of the same write.
    if (next.has_value() || entries_ >= kEntriesAtATime || parts_.size() >= kLedgersAtATime) {
      STELE_CO_TRY_OK(co_await WriteParts());
    }
  }
  co_return absl::OkStatus();
}

Task<absl::Status> Conversion::LeaveWhatIsThere(LedgerId ledger, IndexHeader* header,
                                                LocationPiece* piece) {
  constexpr int32_t kNeverTakenBack = kIndexStateFenced | kIndexStateUncertain;
  // Also that it has lost some: what `from` is certain of proves nothing about it.
  STELE_CO_TRY(IndexHeader there, co_await HeaderOf(to_, ledger));
  there.state_bits |= header->state_bits & kNeverTakenBack;
  if (!there.master_key.has_value()) there.master_key = header->master_key;
  *header = std::move(there);
  LocationPiece missing{.lost_some = piece->lost_some, .next = piece->next};
  for (size_t i = 0; i < piece->entries.size(); ++i) {
    const auto found = co_await to_->Find(ledger, EntryId(piece->entries[i]));
    if (!found.ok() && CodeOf(found.status()) != ErrorCode::kCorruptData) co_return found.status();
    if (found.ok() && !found->IsAbsent()) continue;
    missing.entries.push_back(piece->entries[i]);
    missing.locations.push_back(piece->locations[i]);
  }
  *piece = std::move(missing);
  co_return absl::OkStatus();
}

Task<absl::Status> Conversion::WriteParts() {
  STELE_CO_TRY_OK(co_await to_->Write(this, kFilesAtATime));
  STELE_CO_TRY_OK(co_await to_->SyncNames());
  if (*on_converted_ && !parts_.empty()) {
    (*on_converted_)(ledgers_, static_cast<int64_t>(from_->ledger_count()));
  }
  parts_.clear();
  entries_ = 0;
  co_return absl::OkStatus();
}

// All is durable in `to` when it returns, and still there in `from`.
Task<absl::Status> Convert(IndexStore* from, IndexStore* to, const IndexOptions* options) {
  Conversion conversion(from, to, &options->on_converted);
  co_return co_await conversion.Run();
}

}  // namespace

Task<absl::StatusOr<std::unique_ptr<IndexStore>>> OpenIndex(Env env, IndexOptions options,
                                                            LedgerLocks* locks) {
  STELE_CO_TRY(EnumeratedIndexes found, co_await EnumerateIndexes(env.files, options.directories));
  std::unique_ptr<IndexStore> files = std::make_unique<IndexFileStore>(
      env,
      IndexFileStoreOptions{.directories = options.directories,
                            .disk_usage_max_ppm = options.disk_usage_max_ppm,
                            .open_files_max = options.open_files_max,
                            .location_cache_max_bytes = options.cache_max_bytes},
      locks, std::move(found.directory_of));
  if (!found.has_extents && options.format != IndexFormat::kExtents) co_return std::move(files);
  STELE_CO_TRY(auto extents,
               co_await ExtentStore::Open(env,
                                          {.directories = options.directories,
                                           .disk_usage_max_ppm = options.disk_usage_max_ppm,
                                           .cache_max_bytes = options.cache_max_bytes,
                                           .on_ledgers_lost = options.on_ledgers_lost},
                                          locks));
  const bool is_in_extents = extents->run_count() > 0;
  const IndexFormat as_it_is = is_in_extents ? IndexFormat::kExtents : IndexFormat::kFiles;
  if (options.format.value_or(as_it_is) == IndexFormat::kFiles) {
    STELE_CO_TRY_OK(co_await Convert(extents.get(), files.get(), &options));
    // Also what the end of a conversion that was broken off has left.
    STELE_CO_TRY_OK(co_await extents->Clear());
    co_return std::move(files);
  }
  // Also the rest of a conversion that was broken off.
  STELE_CO_TRY_OK(co_await Convert(files.get(), extents.get(), &options));
  for (const LedgerId ledger : files->Ledgers()) STELE_CO_TRY_OK(co_await files->Remove(ledger));
  co_return std::move(extents);
}

}  // namespace stele::bookie
