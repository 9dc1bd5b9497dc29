// ExtentStore, reading: the newest run first. Opening, writing and merging: extent_store.cc.
#include <algorithm>
#include <iterator>
#include <utility>

#include "bookie/storage/extent_store.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

absl::Status LocationsDamaged(LedgerId ledger) {
  return MakeError(ErrorCode::kCorruptData,
                   StrCat("index of ledger ", ledger.value(), ": a block is damaged"));
}

}  // namespace

void ExtentStore::OnLoss(LedgerId ledger) { lost_[ledger].is_told = loss_listener_(ledger); }

int64_t ExtentStore::KnownLosses(LedgerId ledger) const {
  const auto known = lost_.find(ledger);
  return known == lost_.end() ? 0 : known->second.count();
}

// From the disk. A damaged block is a loss of the ledger for which it is read: that is told at
// once, so that no header that is written meanwhile counts as a proof that nothing is missing.
Task<absl::StatusOr<ExtentStore::Block>> ExtentStore::ReadBlock(LedgerId ledger,
                                                                const ExtentRun* run,
                                                                uint32_t number) {
  absl::StatusOr<Block> block = co_await run->ReadBlock(number);
  if (CodeOf(block.status()) == ErrorCode::kCorruptData && Contains(ledger)) {
    Losses& losses = lost_[ledger];
    const bool is_new = losses.blocks.emplace(run->numbers(), number).second;
    if (is_new || !losses.is_told) OnLoss(ledger);
  }
  co_return block;
}

Task<absl::StatusOr<ExtentStore::Block>> ExtentStore::BlockOf(LedgerId ledger, const ExtentRun* run,
                                                              uint32_t number) {
  if (Block cached = cache_.Find(run->numbers(), number); cached != nullptr) co_return cached;
  STELE_CO_TRY(Block block, co_await ReadBlock(ledger, run, number));
  cache_.Put(run->numbers(), number, block);
  co_return block;
}

namespace {

// At the entry; nullopt: the block does not have it.
std::optional<ExtentCursor> CursorAt(const ExtentBlock& block, const ExtentKey& key) {
  const std::optional<size_t> row = block.Floor(key);
  if (!row.has_value() || block.key(*row).ledger != key.ledger || block.IsState(*row)) {
    return std::nullopt;
  }
  ExtentCursor cursor = block.extent(*row);
  if (!cursor.SeekTo(key.entry)) return std::nullopt;
  return cursor;
}

std::optional<EntryLocation> FindInBlock(const ExtentBlock& block, const ExtentKey& key) {
  const std::optional<ExtentCursor> cursor = CursorAt(block, key);
  if (!cursor.has_value()) return std::nullopt;
  return cursor->location();
}

// Where in the log the entries end that the cursor gives from here on.
uint64_t EndOfRun(ExtentCursor cursor, int64_t count_max, uint64_t size_max) {
  const int64_t entry = cursor.entry();
  const EntryLocation first = cursor.location();
  EntryLocation last = first;
  uint64_t last_size = 0;
  while (cursor.Next() && cursor.entry() - entry < count_max &&
         cursor.location().record_offset() - first.record_offset() < size_max) {
    last_size = cursor.location().record_offset() - last.record_offset();
    last = cursor.location();
  }
  return last == first ? 0 : last.record_offset() + last_size;
}

}  // namespace

Task<absl::StatusOr<std::optional<EntryLocation>>> ExtentStore::FindIn(const ExtentRun* run,
                                                                       ExtentKey key) {
  const std::optional<uint32_t> number = run->FloorBlock(key);
  if (!number.has_value()) co_return std::nullopt;
  STELE_CO_TRY(const Block block, co_await BlockOf(key.ledger, run, *number));
  co_return FindInBlock(*block, key);
}

Task<absl::StatusOr<EntryLocation>> ExtentStore::Find(LedgerId ledger, EntryId entry) {
  STELE_CHECK(!entry.IsNone());
  if (!Contains(ledger)) co_return NoSuchLedger(ledger);
  const std::shared_ptr<const Runs> runs = runs_;
  for (const Run& run : *runs) {
    const std::optional<uint8_t> flags = run->FlagsOf(ledger);
    if (!flags.has_value()) continue;
    const auto found = co_await FindIn(run.get(), {.ledger = ledger, .entry = entry.value()});
    if (CodeOf(found.status()) == ErrorCode::kCorruptData) {
      if (!Contains(ledger)) co_return NoSuchLedger(ledger);
      co_return LocationsDamaged(ledger);
    }
    STELE_CO_TRY_OK(found.status());
    if (found->has_value()) co_return **found;
    if ((*flags & kRowIsFresh) != 0) break;
  }
  if (!Contains(ledger)) co_return NoSuchLedger(ledger);  // deleted meanwhile
  // Also when whoever asks does not know yet that some were lost.
  if (lost_.contains(ledger)) co_return LocationsDamaged(ledger);
  co_return EntryLocation();
}

std::optional<absl::StatusOr<EntryLocation>> ExtentStore::FindCached(LedgerId ledger,
                                                                     EntryId entry) {
  STELE_CHECK(!entry.IsNone());
  const ExtentKey key{.ledger = ledger, .entry = entry.value()};
  for (const Run& run : *runs_) {
    const std::optional<uint8_t> flags = run->FlagsOf(ledger);
    if (!flags.has_value()) continue;
    const std::optional<uint32_t> number = run->FloorBlock(key);
    if (number.has_value()) {
      const Block block = cache_.Find(run->numbers(), *number);
      if (block == nullptr) return std::nullopt;
      if (const auto found = FindInBlock(*block, key); found.has_value()) return *found;
    }
    if ((*flags & kRowIsFresh) != 0) break;
  }
  if (lost_.contains(ledger)) return LocationsDamaged(ledger);
  return EntryLocation();
}

uint64_t ExtentStore::RunEnd(LedgerId ledger, EntryId entry, int64_t count_max, uint64_t size_max) {
  const ExtentKey key{.ledger = ledger, .entry = entry.value()};
  for (const Run& run : *runs_) {
    const std::optional<uint8_t> flags = run->FlagsOf(ledger);
    if (!flags.has_value()) continue;
    if (const std::optional<uint32_t> number = run->FloorBlock(key); number.has_value()) {
      const Block block = cache_.Find(run->numbers(), *number);
      if (block == nullptr) return 0;
      std::optional<ExtentCursor> cursor = CursorAt(*block, key);
      if (cursor.has_value()) return EndOfRun(*std::move(cursor), count_max, size_max);
    }
    if ((*flags & kRowIsFresh) != 0) break;
  }
  return 0;
}

// The last extent, and the state behind it, which may be in another block.
Task<absl::Status> ExtentStore::LoadFrom(const ExtentRun* run, LedgerId ledger, LoadedIndex* loaded,
                                         bool* has_header) {
  const auto [first, end] = run->BlocksOf(ledger);
  for (uint32_t number = end; number-- > first;) {
    STELE_CO_TRY(const Block block, co_await BlockOf(ledger, run, number));
    std::optional<size_t> row = block->Floor({.ledger = ledger, .entry = kStateEntry});
    if (!row.has_value() || block->key(*row).ledger != ledger) break;
    if (block->IsState(*row)) {
      const LedgerRow state = block->state(*row);
      if (state.header.has_value() && !std::exchange(*has_header, true)) {
        loaded->header = state.header;
      }
      if (*row == 0) continue;
      if (block->key(--*row).ledger != ledger) break;
    }
    loaded->last_entry = std::max(loaded->last_entry, EntryId(block->last_entry(*row)));
    break;
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<LoadedIndex>> ExtentStore::Load(LedgerId ledger) {
  if (!Contains(ledger)) co_return NoSuchLedger(ledger);
  LoadedIndex loaded;
  bool has_header = false;
  const std::shared_ptr<const Runs> runs = runs_;
  for (const Run& run : *runs) {
    const std::optional<uint8_t> flags = run->FlagsOf(ledger);
    if (!flags.has_value()) continue;
    const absl::Status read = co_await LoadFrom(run.get(), ledger, &loaded, &has_header);
    if (CodeOf(read) == ErrorCode::kCorruptData) {
      loaded.has_lost_its_end = true;
      // An older one is no answer: the ledger may have been fenced since.
      if ((*flags & kRowHasHeader) != 0) has_header = true;
    } else {
      STELE_CO_TRY_OK(read);
    }
    if ((*flags & kRowIsFresh) != 0) break;
  }
  if (!Contains(ledger)) co_return NoSuchLedger(ledger);
  if (const auto lost = lost_.find(ledger); lost != lost_.end()) {
    loaded.last_entry_is_certain = false;
    loaded.has_lost_its_end = true;
    lost->second.is_told = true;
  }
  co_return loaded;
}

// Adds what the run has of the ledger from entry `first` on, until there are `count_max`. False: a
// part of it is damaged.
Task<absl::StatusOr<bool>> ExtentStore::Gather(const ExtentRun* run, LedgerId ledger, int64_t first,
                                               size_t count_max, Locations* locations) {
  bool is_whole = true;
  const uint32_t begin = run->FloorBlock({.ledger = ledger, .entry = first}).value_or(0);
  const uint32_t end = run->BlocksOf(ledger).second;
  for (uint32_t number = begin; number < end; ++number) {
    const absl::StatusOr<Block> block = co_await BlockOf(ledger, run, number);
    if (CodeOf(block.status()) == ErrorCode::kCorruptData) {
      is_whole = false;
      continue;
    }
    STELE_CO_TRY_OK(block.status());
    for (size_t row = 0; row < (*block)->row_count(); ++row) {
      if ((*block)->key(row).ledger != ledger || (*block)->IsState(row)) continue;
      ExtentCursor cursor = (*block)->extent(row);
      do {
        if (cursor.entry() < first) continue;
        if (locations->size() == count_max) co_return is_whole;
        locations->emplace_back(cursor.entry(), cursor.location());
      } while (cursor.Next());
    }
  }
  co_return is_whole;
}

Task<absl::StatusOr<LocationPiece>> ExtentStore::ReadPiece(LedgerId ledger, int64_t first) {
  if (!Contains(ledger)) co_return NoSuchLedger(ledger);
  LocationPiece piece{.lost_some = lost_.contains(ledger)};
  Locations all;
  int64_t end = INT64_MAX;  // what all runs have told to here
  const std::shared_ptr<const Runs> runs = runs_;
  for (const Run& run : *runs) {
    const std::optional<uint8_t> flags = run->FlagsOf(ledger);
    if (!flags.has_value()) continue;
    Locations older;
    STELE_CO_TRY(const bool is_whole,
                 co_await Gather(run.get(), ledger, first, kPieceEntries, &older));
    piece.lost_some = piece.lost_some || !is_whole;
    if (older.size() == kPieceEntries) end = std::min(end, older.back().first + 1);
    // Where both have an entry, that of the newer run.
    Locations both;
    both.reserve(all.size() + older.size());
    std::set_union(all.begin(), all.end(), older.begin(), older.end(), std::back_inserter(both),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
    all = std::move(both);
    if ((*flags & kRowIsFresh) != 0) break;
  }
  for (const auto& [entry, location] : all) {
    if (entry >= end) break;
    piece.entries.push_back(entry);
    piece.locations.push_back(location.packed());
  }
  if (end != INT64_MAX) piece.next = end;
  co_return piece;
}

Task<absl::StatusOr<std::vector<EntryId>>> ExtentStore::List(LedgerId ledger) {
  std::vector<EntryId> entries;
  for (std::optional<int64_t> next = 0; next.has_value();) {
    STELE_CO_TRY(const LocationPiece piece, co_await ReadPiece(ledger, *next));
    if (piece.lost_some) co_return LocationsDamaged(ledger);
    for (const int64_t entry : piece.entries) entries.emplace_back(entry);
    if (entries.size() > kListedEntriesMax) {
      co_return MakeError(ErrorCode::kOverloaded,
                          StrCat("ledger ", ledger.value(), " has too many entries to list"));
    }
    next = piece.next;
  }
  if (!Contains(ledger)) co_return NoSuchLedger(ledger);
  co_return entries;
}

// Past the cache: it is the disk that is looked at.
Task<absl::Status> ExtentStore::LookForLosses(LedgerId ledger, BackgroundPace* pace) {
  if (!Contains(ledger)) co_return NoSuchLedger(ledger);
  const std::vector<std::pair<RunNumbers, uint32_t>> known =
      looked_at_ < ledger ? looked_through_ : std::vector<std::pair<RunNumbers, uint32_t>>();
  std::vector<std::pair<RunNumbers, uint32_t>> looked_through;
  const std::shared_ptr<const Runs> runs = runs_;
  for (const Run& run : *runs) {
    const std::optional<uint8_t> flags = run->FlagsOf(ledger);
    if (!flags.has_value()) continue;
    const auto [first, end] = run->BlocksOf(ledger);
    for (uint32_t number = first; number < end; ++number) {
      const std::pair here(run->numbers(), number);
      const bool is_known = std::find(known.begin(), known.end(), here) != known.end();
      if (!is_known) {
        STELE_CO_TRY_OK(co_await pace->Spend(kExtentBlockBytes));
        const absl::Status read = (co_await ReadBlock(ledger, run.get(), number)).status();
        // It is told, and it is no block that the next ledger needs not read.
        if (CodeOf(read) == ErrorCode::kCorruptData) continue;
        STELE_CO_TRY_OK(read);
      }
      looked_through.push_back(here);
    }
    if ((*flags & kRowIsFresh) != 0) break;
  }
  looked_at_ = ledger;
  looked_through_ = std::move(looked_through);
  co_return absl::OkStatus();
}

}  // namespace stele::bookie
