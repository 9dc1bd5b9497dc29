#include "bookie/storage/extent_run.h"

#include <algorithm>
#include <array>

#include "bookie/storage/extent_salvage.h"
#include "bookie/storage/patient_read.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr size_t kWriteBytes = 1 << 20;
// For less than that a disk may be out of reach, or an array without a path to it.
constexpr absl::Duration kUnreadableMin = absl::Minutes(5);

// What the disk does not give is damaged.
absl::StatusOr<Buffer> UnreadableIsDamaged(absl::StatusOr<Buffer> bytes) {
  if (CodeOf(bytes.status()) != ErrorCode::kIoError) return bytes;
  return MakeError(ErrorCode::kCorruptData,
                   StrCat("cannot be read: ", ToStd(bytes.status().message())));
}

Task<absl::StatusOr<Buffer>> ReadBytes(Env env, File* file, uint64_t offset, size_t size) {
  co_return UnreadableIsDamaged(
      co_await ReadPatiently(env, [=] { return file->ReadAt(offset, size); }));
}

struct OpenRun {
  std::unique_ptr<File> file;
  uint64_t size_bytes = 0;
  std::optional<ExtentRunFooter> footer;  // nullopt: both are damaged
};

Task<absl::StatusOr<ExtentRunFooter>> ReadFooter(Env env, File* file, uint64_t offset,
                                                 RunNumbers numbers) {
  STELE_CO_TRY(const Buffer bytes, co_await ReadBytes(env, file, offset, kExtentFooterBytes));
  STELE_CO_TRY(const ExtentRunFooter footer, ParseExtentFooter(bytes.view()));
  if (footer.numbers == numbers) co_return footer;
  co_return MakeError(ErrorCode::kCorruptData, "its footer is another's");
}

Task<absl::StatusOr<OpenRun>> OpenRunFile(Env env, std::string path, RunNumbers numbers) {
  OpenRun run;
  STELE_CO_TRY(run.file, co_await env.files->Open(path, {}));
  STELE_CO_TRY(run.size_bytes, co_await run.file->Size());
  const uint64_t second_at = run.size_bytes - std::min(run.size_bytes, kExtentFooterBytes);
  const std::array<uint64_t, 2> offsets = {0, second_at};
  for (const uint64_t offset : offsets) {
    const auto footer = co_await ReadFooter(env, run.file.get(), offset, numbers);
    if (footer.ok()) {
      run.footer = *footer;
      break;
    }
    if (CodeOf(footer.status()) != ErrorCode::kCorruptData) co_return footer.status();
  }
  co_return run;
}

// kIoError: it cannot be read, which is no damage here: what is made of a hole stays.
Task<absl::StatusOr<ExtentBlock>> ReadBlockOf(Env env, File* file, RunNumbers numbers,
                                              uint32_t number) {
  const uint64_t offset = ExtentBlockOffset(number);
  STELE_CO_TRY(Buffer bytes, co_await ReadPatiently(
                                 env, [=] { return file->ReadAt(offset, kExtentBlockBytes); }));
  co_return ExtentBlock::Parse(std::move(bytes), numbers, number);
}

// kCorruptData: it is damaged.
Task<absl::StatusOr<ExtentRunTail>> ReadTail(Env env, const OpenRun* run) {
  if (ExtentRunBytes(*run->footer) > run->size_bytes) {
    co_return MakeError(ErrorCode::kCorruptData, "the file ends before its tail does");
  }
  STELE_CO_TRY(const Buffer bytes,
               co_await ReadBytes(env, run->file.get(), ExtentBlockOffset(run->footer->blocks),
                                  run->footer->tail_bytes));
  co_return ParseExtentTail(bytes.view(), *run->footer);
}

// The blocks that the file has room for, the last one perhaps in part.
uint32_t BlocksAtMost(uint64_t size_bytes) {
  if (size_bytes <= kExtentBlockBytes) return 0;
  return static_cast<uint32_t>((size_bytes - 1) / kExtentBlockBytes);
}

// All that the blocks tell.
Task<absl::StatusOr<TailFromBlocks>> ReadBlocks(Env env, const OpenRun* run, RunNumbers numbers,
                                                OtherRuns others) {
  TailFromBlocks tail(std::move(others));
  // For want of a footer tail and footer are taken for blocks, which are damaged.
  const uint32_t blocks_max = BlocksAtMost(run->size_bytes);
  const uint32_t blocks =
      run->footer.has_value() ? std::min(run->footer->blocks, blocks_max) : blocks_max;
  bool has_some = run->footer.has_value();
  for (uint32_t number = 0; number < blocks; ++number) {
    const auto block = co_await ReadBlockOf(env, run->file.get(), numbers, number);
    if (block.ok()) {
      tail.Add(*block);
      has_some = true;
    } else if (CodeOf(block.status()) == ErrorCode::kCorruptData) {
      tail.AddDamaged();
    } else {
      co_return block.status();
    }
  }
  if (!has_some) co_return MakeError(ErrorCode::kCorruptData, "it has no footer and no block");
  // The file may have been cut, also between two blocks.
  if (!run->footer.has_value() || blocks < run->footer->blocks) tail.AddDamaged();
  co_return std::move(tail);
}

// Not from damaged blocks.
Task<absl::StatusOr<ExtentRunTail>> ReadWholeTail(Env env, const OpenRun* run, RunNumbers numbers) {
  if (!run->footer.has_value()) {
    co_return MakeError(ErrorCode::kCorruptData, "both its footers are damaged");
  }
  absl::StatusOr<ExtentRunTail> tail = co_await ReadTail(env, run);
  if (CodeOf(tail.status()) != ErrorCode::kCorruptData) co_return tail;
  STELE_CO_TRY(TailFromBlocks blocks, co_await ReadBlocks(env, run, numbers, {}));
  if (blocks.damaged().empty()) co_return blocks.Finish();
  co_return MakeError(ErrorCode::kCorruptData, "its tail is damaged, and so is a block");
}

}  // namespace

Task<absl::StatusOr<std::shared_ptr<const ExtentRun>>> ExtentRun::Open(Env env, std::string path,
                                                                       RunNumbers numbers) {
  absl::StatusOr<OpenRun> run = co_await OpenRunFile(env, path, numbers);
  if (!run.ok()) co_return WithContext(run.status(), path);
  absl::StatusOr<ExtentRunTail> tail = co_await ReadWholeTail(env, &*run, numbers);
  if (!tail.ok()) co_return WithContext(tail.status(), path);
  co_return std::make_shared<const ExtentRun>(env, std::move(path), std::move(run->file),
                                              run->size_bytes, numbers, *std::move(tail));
}

Task<absl::StatusOr<std::shared_ptr<const ExtentRun>>> ExtentRun::OpenDamaged(Env env,
                                                                              std::string path,
                                                                              RunNumbers numbers,
                                                                              OtherRuns others) {
  absl::StatusOr<OpenRun> run = co_await OpenRunFile(env, path, numbers);
  if (!run.ok()) co_return WithContext(run.status(), path);
  absl::StatusOr<TailFromBlocks> blocks =
      co_await ReadBlocks(env, &*run, numbers, std::move(others));
  if (!blocks.ok()) co_return WithContext(blocks.status(), path);
  ExtentRunTail tail = blocks->Finish();
  ExtentRunLosses lost{.blocks = blocks->damaged(), .may_hide_ledgers = blocks->may_hide_ledgers()};
  co_return std::make_shared<const ExtentRun>(env, std::move(path), std::move(run->file),
                                              run->size_bytes, numbers, std::move(tail),
                                              std::move(lost));
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
    uint32_t block, bool patiently) const {
  if (lost_.blocks.contains(block)) {
    co_return MakeError(ErrorCode::kCorruptData, StrCat(path_, ": block ", block, " was lost"));
  }
  absl::StatusOr<Buffer> bytes;
  if (!patiently && unreadable_since_.contains(block)) {
    bytes =
        UnreadableIsDamaged(co_await file_->ReadAt(ExtentBlockOffset(block), kExtentBlockBytes));
  } else {
    bytes = co_await ReadBytes(env_, file_.get(), ExtentBlockOffset(block), kExtentBlockBytes);
  }
  if (bytes.ok()) unreadable_since_.erase(block);
  if (CodeOf(bytes.status()) == ErrorCode::kCorruptData) {
    unreadable_since_.try_emplace(block, env_.clock->Now());
  }
  if (!bytes.ok()) co_return WithContext(bytes.status(), path_);
  absl::StatusOr<ExtentBlock> parsed = ExtentBlock::Parse(*std::move(bytes), numbers_, block);
  if (!parsed.ok()) co_return WithContext(parsed.status(), path_);
  if (!IsInOrder(*parsed, block)) {
    co_return MakeError(ErrorCode::kCorruptData,
                        StrCat(path_, ": block ", block, " has rows of ", "another"));
  }
  co_return std::make_shared<const ExtentBlock>(*std::move(parsed));
}

// Where a block was lost, the next one is only known to begin there or behind.
bool ExtentRun::IsInOrder(const ExtentBlock& block, uint32_t number) const {
  if (block.key(0) != tail_.blocks[number]) return false;
  const uint32_t next = number + 1;
  return next == block_count() || lost_.blocks.contains(next) ||
         block.last_key() < tail_.blocks[next];
}

bool ExtentRun::MayComeBack(uint32_t block) const {
  const auto found = unreadable_since_.find(block);
  return found != unreadable_since_.end() && env_.clock->Now() - found->second < kUnreadableMin;
}

// ---- Writing

std::string ExtentRunWriter::NewPath() const {
  return StrCat(directory_, "/", ExtentRunName(numbers_), kExtentNewSuffix);
}

Task<absl::Status> ExtentRunWriter::Begin() {
  STELE_CO_TRY(file_,
               co_await env_.files->Open(NewPath(), {.access = OpenOptions::Access::kReadWrite,
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
  STELE_CO_TRY_OK(co_await file_->WriteAt(0, Buffer::FromString(builder_.FirstPage())));
  STELE_CO_TRY_OK(co_await file_->Sync());
  const std::string path = StrCat(directory_, "/", ExtentRunName(numbers_));
  STELE_CO_TRY_OK(co_await env_.files->Rename(NewPath(), path));
  STELE_CO_TRY_OK(co_await env_.files->SyncDirectory(directory_));
  co_return std::make_shared<const ExtentRun>(env_, path, std::move(file_), written_bytes_,
                                              numbers_, builder_.TakeTail());
}

Task<void> ExtentRunWriter::Abandon() { static_cast<void>(co_await env_.files->Remove(NewPath())); }

}  // namespace stele::bookie
