#include "bookie/storage/extent_merge.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <utility>

#include "common/async/yield.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

// Ledgers and entries that are merged before others may run: some hundred microseconds.
constexpr int kStepsInARow = 4096;

// Goes through a run once: ledger by ledger, and the entries of each.
class RunReader {
 public:
  explicit RunReader(std::shared_ptr<const ExtentRun> run) : run_(std::move(run)) {}

  // The next ledger that the run has; nullopt: there is none.
  std::optional<LedgerId> ledger() const {
    if (next_ledger_ == run_->ledgers().size()) return std::nullopt;
    return run_->ledgers()[next_ledger_];
  }
  uint8_t flags() const { return run_->flags(next_ledger_); }

  // Goes to the first entry of ledger(). Then: has_entry(), and so on with NextEntry.
  Task<absl::Status> EnterLedger();
  bool has_entry() const { return cursor_.has_value(); }
  int64_t entry() const { return cursor_->entry(); }
  EntryLocation location() const { return cursor_->location(); }
  Task<absl::Status> NextEntry();
  // Behind the last entry. The state of the ledger, if it was found.
  const std::optional<LedgerRow>& state() const { return state_; }
  // A block that may have had rows of the ledger is damaged.
  bool lost_some() const { return lost_some_; }
  void LeaveLedger() { ++next_ledger_; }

 private:
  Task<absl::Status> NextRow();
  Task<absl::Status> NextBlock();

  std::shared_ptr<const ExtentRun> run_;
  size_t next_ledger_ = 0;
  uint32_t next_block_ = 0;
  std::shared_ptr<const ExtentBlock> block_;
  size_t next_row_ = 0;
  std::optional<ExtentCursor> cursor_;
  std::optional<LedgerRow> state_;
  bool lost_some_ = false;
  // A damaged block may have rows of the ledgers from its first one to that of the next block.
  std::optional<std::pair<LedgerId, LedgerId>> hole_;
};

Task<absl::Status> RunReader::EnterLedger() {
  cursor_.reset();
  state_.reset();
  lost_some_ = hole_.has_value() && hole_->first <= *ledger() && *ledger() <= hole_->second;
  co_return co_await NextRow();
}

Task<absl::Status> RunReader::NextEntry() {
  if (cursor_->Next()) co_return absl::OkStatus();
  co_return co_await NextRow();
}

Task<absl::Status> RunReader::NextBlock() {
  const uint32_t number = next_block_++;
  next_row_ = 0;
  absl::StatusOr<std::shared_ptr<const ExtentBlock>> block =
      co_await run_->ReadBlock(number, /*patiently=*/true);
  if (CodeOf(block.status()) == ErrorCode::kCorruptData) {
    if (run_->MayComeBack(number)) {
      co_return MakeError(ErrorCode::kIoError, ToStd(block.status().message()));
    }
    block_ = nullptr;
    const LedgerId last =
        next_block_ < run_->block_count() ? run_->first_ledger(next_block_) : LedgerId(INT64_MAX);
    hole_ = {run_->first_ledger(number), last};
    lost_some_ = lost_some_ || (hole_->first <= *ledger() && *ledger() <= last);
    co_return absl::OkStatus();
  }
  STELE_CO_TRY(block_, std::move(block));
  co_return absl::OkStatus();
}

// To the next row of the ledger that has entries; rows of ledgers that were left are passed over.
Task<absl::Status> RunReader::NextRow() {
  const LedgerId wanted = *ledger();
  cursor_.reset();
  for (;;) {
    if (block_ == nullptr || next_row_ == block_->row_count()) {
      if (next_block_ == run_->block_count() || run_->first_ledger(next_block_) > wanted) break;
      STELE_CO_TRY_OK(co_await NextBlock());
      continue;
    }
    const ExtentKey& key = block_->key(next_row_);
    if (key.ledger > wanted) break;
    const size_t row = next_row_++;
    if (key.ledger < wanted) continue;
    if (block_->IsState(row)) {
      state_ = block_->state(row);
      continue;
    }
    cursor_ = block_->extent(row);
    break;
  }
  co_return absl::OkStatus();
}

class Merge {
 public:
  Merge(Executor* executor, ExtentRunWriter* writer,
        std::vector<std::shared_ptr<const ExtentRun>> inputs, bool is_oldest)
      : executor_(executor), writer_(writer), is_oldest_(is_oldest) {
    for (auto& input : inputs) readers_.emplace_back(std::move(input));
  }

  Task<absl::StatusOr<MergedRun>> Run();

 private:
  std::optional<LedgerId> NextLedger() const;
  Task<absl::Status> LetOthersRun();
  Task<absl::Status> MergeLedger(LedgerId ledger);
  Task<absl::StatusOr<bool>> MergeEntries(LedgerId ledger, const std::vector<RunReader*>* parts);

  Executor* executor_;
  ExtentRunWriter* writer_;
  const bool is_oldest_;
  int steps_ = 0;                   // since others could run
  std::vector<RunReader> readers_;  // the newest first
  std::vector<LedgerId> lost_some_;
};

Task<absl::StatusOr<MergedRun>> Merge::Run() {
  STELE_CO_TRY_OK(co_await writer_->Begin());
  for (;;) {
    const std::optional<LedgerId> ledger = NextLedger();
    if (!ledger.has_value()) break;
    STELE_CO_TRY_OK(co_await MergeLedger(*ledger));
    if (++steps_ >= kStepsInARow) STELE_CO_TRY_OK(co_await LetOthersRun());
  }
  STELE_CO_TRY(auto run, co_await writer_->Finish());
  co_return MergedRun{.run = std::move(run), .lost_some = std::move(lost_some_)};
}

std::optional<LedgerId> Merge::NextLedger() const {
  std::optional<LedgerId> next;
  for (const RunReader& reader : readers_) {
    const std::optional<LedgerId> ledger = reader.ledger();
    if (ledger.has_value() && (!next.has_value() || *ledger < *next)) next = ledger;
  }
  return next;
}

// True: there were some.
Task<absl::StatusOr<bool>> Merge::MergeEntries(LedgerId ledger,
                                               const std::vector<RunReader*>* parts) {
  for (bool has_some = false;; has_some = true) {
    const RunReader* newest = nullptr;
    for (const RunReader* part : *parts) {
      if (!part->has_entry()) continue;
      if (newest == nullptr || part->entry() < newest->entry()) newest = part;
    }
    if (newest == nullptr) co_return has_some;
    const int64_t entry = newest->entry();
    writer_->builder()->AddEntry(ledger, entry, newest->location());
    for (RunReader* part : *parts) {
      if (part->has_entry() && part->entry() == entry) STELE_CO_TRY_OK(co_await part->NextEntry());
    }
    if (++steps_ >= kStepsInARow) STELE_CO_TRY_OK(co_await LetOthersRun());
  }
}

// Some kilobytes may be millions of entries, and memory holds no more than a little of a run.
Task<absl::Status> Merge::LetOthersRun() {
  steps_ = 0;
  co_await Yield(executor_);
  co_return co_await writer_->Drain();
}

// What the ledger's parts say of it; the newest first, and none that is void.
LedgerRow MergeStates(const std::vector<RunReader*>& parts) {
  LedgerRow row;
  for (const RunReader* part : parts) {
    const uint8_t flags = part->flags();
    row.flags |= flags & (kRowIsFresh | kRowLostSome);
    if (part->lost_some()) row.flags |= kRowLostSome;
    if ((flags & kRowHasHeader) == 0 || row.header.has_value()) continue;
    row.flags |= kRowHasHeader;
    if (part->state().has_value() && part->state()->header.has_value()) {
      row.header = part->state()->header;
    } else {
      // It may have been fenced, and an older one does not know.
      row.header = IndexHeader{.state_bits = kIndexStateFenced | kIndexStateUncertain};
    }
  }
  // Of one that was removed there is nothing that could be lost.
  if (IsRemoval(row.flags)) row.flags = kRowIsFresh;
  return row;
}

Task<absl::Status> Merge::MergeLedger(LedgerId ledger) {
  std::vector<RunReader*> parts;
  bool is_fresh = false;
  for (RunReader& reader : readers_) {
    if (is_fresh || reader.ledger() != ledger) continue;
    parts.push_back(&reader);
    is_fresh = (reader.flags() & kRowIsFresh) != 0;
  }
  for (RunReader* part : parts) STELE_CO_TRY_OK(co_await part->EnterLedger());
  STELE_CO_TRY(const bool has_entries, co_await MergeEntries(ledger, &parts));
  LedgerRow row = MergeStates(parts);
  const bool has_lost_some = std::any_of(parts.begin(), parts.end(),
                                         [](const RunReader* part) { return part->lost_some(); });
  if (has_lost_some && !IsRemoval(row.flags)) lost_some_.push_back(ledger);
  if (is_oldest_) row.flags &= static_cast<uint8_t>(~kRowIsFresh);
  if (has_entries || row.flags != 0) writer_->builder()->EndLedger(ledger, row);
  for (RunReader& reader : readers_) {
    if (reader.ledger() == ledger) reader.LeaveLedger();
  }
  co_return absl::OkStatus();
}

}  // namespace

Task<absl::StatusOr<MergedRun>> MergeRuns(Executor* executor, ExtentRunWriter* writer,
                                          std::vector<std::shared_ptr<const ExtentRun>> inputs,
                                          bool is_oldest) {
  Merge merge(executor, writer, std::move(inputs), is_oldest);
  co_return co_await merge.Run();
}

}  // namespace stele::bookie
