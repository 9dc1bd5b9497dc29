#include "bookie/storage/extent_run.h"

#include <algorithm>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr size_t kWriteBytes = 1 << 20;

struct OpenRun {
  std::unique_ptr<File> file;
  uint64_t size_bytes = 0;
  ExtentRunFooter footer;
};

Task<absl::StatusOr<OpenRun>> OpenRunFile(FileSystem* files, std::string path, RunNumbers numbers) {
  OpenRun run;
  STELE_CO_TRY(run.file, co_await files->Open(path, {}));
  STELE_CO_TRY(run.size_bytes, co_await run.file->Size());
  const uint64_t end_at = run.size_bytes < kExtentEndBytes ? 0 : run.size_bytes - kExtentEndBytes;
  STELE_CO_TRY(const Buffer end, co_await run.file->ReadAt(end_at, kExtentEndBytes));
  STELE_CO_TRY(run.footer, ParseExtentEnd(end.view()));
  const uint64_t content = uint64_t{run.footer.blocks} * kExtentBlockBytes + run.footer.tail_bytes;
  if (run.footer.numbers != numbers || content != end_at) {
    co_return MakeError(ErrorCode::kCorruptData, "its footer is another's");
  }
  co_return run;
}

// From the blocks themselves, for want of a tail.
Task<absl::StatusOr<ExtentRunTail>> ReadTailFromBlocks(const OpenRun* run) {
  ExtentRunTail tail;
  for (uint32_t i = 0; i < run->footer.blocks; ++i) {
    STELE_CO_TRY(Buffer bytes,
                 co_await run->file->ReadAt(uint64_t{i} * kExtentBlockBytes, kExtentBlockBytes));
    STELE_CO_TRY(const ExtentBlock block,
                 ExtentBlock::Parse(std::move(bytes), run->footer.numbers, i));
    tail.blocks.push_back(block.key(0));
    for (size_t row = 0; row < block.row_count(); ++row) {
      const LedgerId ledger = block.key(row).ledger;
      if (tail.ledgers.empty() || tail.ledgers.back() != ledger) {
        tail.ledgers.push_back(ledger);
        tail.flags.push_back(0);
      }
      if (block.IsState(row)) tail.flags.back() = block.state(row).flags;
    }
  }
  co_return tail;
}

Task<absl::StatusOr<ExtentRunTail>> ReadTail(const OpenRun* run) {
  const uint64_t tail_at = uint64_t{run->footer.blocks} * kExtentBlockBytes;
  STELE_CO_TRY(const Buffer bytes, co_await run->file->ReadAt(tail_at, run->footer.tail_bytes));
  absl::StatusOr<ExtentRunTail> tail = ParseExtentTail(bytes.view(), run->footer);
  if (CodeOf(tail.status()) != ErrorCode::kCorruptData) co_return tail;
  co_return co_await ReadTailFromBlocks(run);
}

}  // namespace

Task<absl::StatusOr<std::shared_ptr<const ExtentRun>>> ExtentRun::Open(FileSystem* files,
                                                                       std::string path,
                                                                       RunNumbers numbers) {
  absl::StatusOr<OpenRun> run = co_await OpenRunFile(files, path, numbers);
  if (!run.ok()) co_return WithContext(run.status(), path);
  absl::StatusOr<ExtentRunTail> tail = co_await ReadTail(&*run);
  if (!tail.ok()) co_return WithContext(tail.status(), path);
  co_return std::make_shared<const ExtentRun>(std::move(path), std::move(run->file),
                                              run->size_bytes, numbers, *std::move(tail));
}

std::optional<uint8_t> ExtentRun::FlagsOf(LedgerId ledger) const {
  const auto found = std::lower_bound(tail_.ledgers.begin(), tail_.ledgers.end(), ledger);
  if (found == tail_.ledgers.end() || *found != ledger) return std::nullopt;
  return tail_.flags[static_cast<size_t>(found - tail_.ledgers.begin())];
}

std::optional<uint32_t> ExtentRun::FloorBlock(const ExtentKey& key) const {
  const auto behind = std::upper_bound(tail_.blocks.begin(), tail_.blocks.end(), key);
  if (behind == tail_.blocks.begin()) return std::nullopt;
  return static_cast<uint32_t>(behind - tail_.blocks.begin()) - 1;
}

std::pair<uint32_t, uint32_t> ExtentRun::BlocksOf(LedgerId ledger) const {
  const uint32_t first = FloorBlock({.ledger = ledger, .entry = 0}).value_or(0);
  const std::optional<uint32_t> last = FloorBlock({.ledger = ledger, .entry = kStateEntry});
  return {first, last.has_value() ? *last + 1 : first};
}

Task<absl::StatusOr<std::shared_ptr<const ExtentBlock>>> ExtentRun::ReadBlock(
    uint32_t block) const {
  STELE_CO_TRY(Buffer bytes,
               co_await file_->ReadAt(uint64_t{block} * kExtentBlockBytes, kExtentBlockBytes));
  absl::StatusOr<ExtentBlock> parsed = ExtentBlock::Parse(std::move(bytes), numbers_, block);
  if (!parsed.ok()) co_return WithContext(parsed.status(), path_);
  co_return std::make_shared<const ExtentBlock>(*std::move(parsed));
}

// ---- Writing

std::string ExtentRunWriter::NewPath() const {
  return StrCat(directory_, "/", ExtentRunName(numbers_), kExtentNewSuffix);
}

Task<absl::Status> ExtentRunWriter::Begin() {
  STELE_CO_TRY(file_,
               co_await files_->Open(NewPath(), {.access = OpenOptions::Access::kReadWrite,
                                                 .create = OpenOptions::Create::kIfMissing}));
  co_return co_await file_->Truncate(0);
}

Task<absl::Status> ExtentRunWriter::Append(std::string bytes) {
  const uint64_t at = std::exchange(written_bytes_, written_bytes_ + bytes.size());
  co_return co_await file_->WriteAt(at, Buffer::FromString(std::move(bytes)));
}

Task<absl::Status> ExtentRunWriter::Drain() {
  if (builder_.ready_bytes() < kWriteBytes) co_return absl::OkStatus();
  co_return co_await Append(builder_.TakeReady());
}

Task<absl::StatusOr<std::shared_ptr<const ExtentRun>>> ExtentRunWriter::Finish() {
  STELE_CO_TRY_OK(co_await Append(builder_.Finish()));
  STELE_CO_TRY_OK(co_await file_->Sync());
  const std::string path = StrCat(directory_, "/", ExtentRunName(numbers_));
  STELE_CO_TRY_OK(co_await files_->Rename(NewPath(), path));
  STELE_CO_TRY_OK(co_await files_->SyncDirectory(directory_));
  co_return std::make_shared<const ExtentRun>(path, std::move(file_), written_bytes_, numbers_,
                                              builder_.TakeTail());
}

Task<void> ExtentRunWriter::Abandon() { static_cast<void>(co_await files_->Remove(NewPath())); }

}  // namespace stele::bookie
