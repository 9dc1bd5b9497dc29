#include "bookie/storage/entry_log_writer.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "bookie/storage/directory_choice.h"
#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

MutableBuffer MakeBlocks(size_t size) {
  const size_t blocks = (size + kEntryLogBlockBytes - 1) / kEntryLogBlockBytes;
  return MutableBuffer(blocks * kEntryLogBlockBytes, kDirectAlignmentBytes);
}

// `bytes` as a direct write takes them, zeroes behind.
Buffer ToBlocks(std::string_view bytes) {
  MutableBuffer blocks = MakeBlocks(bytes.size());
  std::memcpy(blocks.data(), bytes.data(), bytes.size());
  std::memset(blocks.data() + bytes.size(), 0, blocks.size() - bytes.size());
  return std::move(blocks).Freeze();
}

}  // namespace

void EntryLogWriter::Begin(uint64_t bytes) {
  if (flushing_) {
    // The last flush was dropped in the middle, perhaps of a write that still happens. The log
    // stays as it is; a scan will sort it out.
    if (log_ != nullptr) logs_->MarkClosed(log_->id);
    log_ = nullptr;
    buffered_ = 0;
    buffer_ = MutableBuffer();
    spare_ = MutableBuffer();
  }
  flushing_ = true;
  last_ledger_bytes_ = nullptr;
  free_min_bytes_ = bytes;
  failed_directories_.assign(logs_->options().directories.size(), false);
}

bool EntryLogWriter::HasDirectoryLeft() const {
  return std::find(failed_directories_.begin(), failed_directories_.end(), false) !=
         failed_directories_.end();
}

Task<absl::Status> EntryLogWriter::MakeRoom(size_t body_size) {
  const size_t record = kRecordSizeFieldBytes + body_size;
  if (log_ != nullptr && !FitsLog(record)) STELE_CO_TRY_OK(co_await Seal());
  if (log_ == nullptr) STELE_CO_TRY_OK(co_await CreateLog());
  if (!FitsBuffer(record)) STELE_CO_TRY_OK(co_await WriteBlocks(record));
  co_return absl::OkStatus();
}

EntryLocation EntryLogWriter::Add(LedgerId ledger, std::string_view body) {
  STELE_CHECK(flushing_ && HasRoom(body.size()));
  const EntryLocation location(log_->id, log_->written_end + buffered_);
  char* to = buffer_.data() + buffered_;
  StoreBigEndian(to, static_cast<int32_t>(body.size()));
  std::memcpy(to + kRecordSizeFieldBytes, body.data(), body.size());
  const size_t record = kRecordSizeFieldBytes + body.size();
  buffered_ += record;
  if (last_ledger_bytes_ == nullptr || last_ledger_ != ledger) {
    last_ledger_ = ledger;
    last_ledger_bytes_ = &log_->unsynced[ledger];
  }
  *last_ledger_bytes_ += static_cast<int64_t>(record);
  return location;
}

Task<absl::Status> EntryLogWriter::CreateLog() {
  for (;;) {
    STELE_CO_TRY(const size_t directory,
                 co_await ChooseDirectory(logs_->env().files,
                                          {.directories = logs_->options().directories,
                                           .usage_max_ppm = logs_->options().disk_usage_max_ppm,
                                           .free_min_bytes = free_min_bytes_,
                                           .first = next_directory_,
                                           .excluded = failed_directories_}));
    const absl::Status created = co_await CreateLogIn(directory);
    if (created.ok()) {
      next_directory_ = (directory + 1) % logs_->options().directories.size();
      co_return created;
    }
    failed_directories_[directory] = true;
    if (!HasDirectoryLeft()) co_return created;
  }
}

// The log exists durably before anything refers to it.
Task<absl::Status> EntryLogWriter::CreateLogIn(size_t directory) {
  FileSystem* files = logs_->env().files;
  auto log = std::make_unique<WrittenLog>();
  log->id = logs_->NextId();
  log->directory = directory;
  const std::string path = logs_->PathOf(log->id, directory);
  STELE_CO_TRY(log->file, co_await files->Open(path, {.access = OpenOptions::Access::kReadWrite,
                                                      .create = OpenOptions::Create::kMustBeNew,
                                                      .sync = OpenOptions::Sync::kEachWrite}));
  absl::Status status =
      co_await log->file->WriteAt(0, ToBlocks(MakeEntryLogStart(EntryLogHeader{})));
  if (status.ok()) status = co_await files->SyncDirectory(logs_->options().directories[directory]);
  if (!status.ok()) {
    // Ignored: an empty log does no harm, and the error that matters is the first.
    (co_await files->Remove(path)).IgnoreError();
    co_return status;
  }
  log->written_end = kEntryLogDataOffset;
  co_await logs_->StoreLastId(log->id);
  logs_->Add(log->id, directory);
  log_ = std::move(log);
  last_ledger_bytes_ = nullptr;
  co_return absl::OkStatus();
}

// Everything that is gathered, filled up to whole blocks.
Task<absl::Status> EntryLogWriter::WriteOut() {
  const size_t padding = EntryLogPaddingSize(buffered_);
  if (padding > 0) std::memset(buffer_.data() + buffered_, kEntryLogPaddingByte, padding);
  const size_t size = std::exchange(buffered_, 0) + padding;
  if (size == 0) co_return absl::OkStatus();
  STELE_CO_TRY_OK(co_await log_->file->WriteAt(log_->written_end, buffer_.Share(0, size)));
  log_->written_end += size;
  co_return absl::OkStatus();
}

Task<absl::Status> EntryLogWriter::WriteBlocks(size_t record) {
  const size_t rest = buffered_ % kEntryLogBlockBytes;
  const size_t size = buffered_ - rest;
  const size_t size_needed = std::max(rest + record, kEntryLogWriteBytes) + kPaddingMaxBytes;
  const bool can_reuse = spare_.size() >= size_needed && spare_.IsUnshared();
  MutableBuffer next = can_reuse ? std::move(spare_) : MakeBlocks(size_needed);
  if (rest > 0) std::memcpy(next.data(), buffer_.data() + size, rest);
  spare_ = std::exchange(buffer_, std::move(next));
  buffered_ = rest;
  if (size == 0) co_return absl::OkStatus();
  STELE_CO_TRY_OK(co_await log_->file->WriteAt(log_->written_end, spare_.Share(0, size)));
  log_->written_end += size;
  co_return absl::OkStatus();
}

Task<absl::Status> EntryLogWriter::Sync() {
  if (log_ != nullptr) {
    STELE_CO_TRY_OK(co_await WriteOut());
    if (log_->written_end != log_->synced_end) STELE_CO_TRY_OK(co_await log_->file->Sync());
    log_->synced_end = log_->written_end;
    logs_->SetReadableEnd(log_->id, log_->synced_end);
    log_->synced = AllLedgers(*log_);
    log_->unsynced.clear();
    last_ledger_bytes_ = nullptr;
  }
  flushing_ = false;
  co_return absl::OkStatus();
}

EntryLogWriter::LedgerSizes EntryLogWriter::AllLedgers(const WrittenLog& log) {
  LedgerSizes all = log.synced;
  for (const auto& [ledger, bytes] : log.unsynced) all[ledger] += bytes;
  return all;
}

// One sync for records, map and header: a header that is durable without its map is not believed,
// and neither is one with something behind its map.
Task<absl::Status> EntryLogWriter::WriteMap(File* file, uint64_t offset, LedgerSizes sizes) {
  std::vector<LedgerBytes> ledgers;
  ledgers.reserve(sizes.size());
  for (const auto& [ledger, bytes] : sizes) ledgers.push_back({ledger, bytes});
  const std::string map = MakeLedgersMap(ledgers);
  STELE_CO_TRY_OK(co_await file->WriteAt(offset, ToBlocks(map)));
  STELE_CO_TRY_OK(co_await file->Truncate(offset + map.size()));
  STELE_CO_TRY_OK(co_await file->WriteAt(
      0, ToBlocks(MakeEntryLogStart({.ledgers_map_offset = static_cast<int64_t>(offset),
                                     .ledgers_count = static_cast<int32_t>(ledgers.size())}))));
  co_return co_await file->Sync();
}

// After an error the log is as before, for Abandon.
Task<absl::Status> EntryLogWriter::Seal() {
  STELE_CO_TRY_OK(co_await WriteOut());
  STELE_CO_TRY_OK(co_await WriteMap(log_->file.get(), log_->written_end, AllLedgers(*log_)));
  logs_->MarkClosed(log_->id);
  log_ = nullptr;
  last_ledger_bytes_ = nullptr;
  co_return absl::OkStatus();
}

Task<bool> EntryLogWriter::Abandon() {
  buffered_ = 0;
  last_ledger_bytes_ = nullptr;
  STELE_SOMETIMES(kEntryLogAbandoned, log_ != nullptr);
  if (log_ == nullptr) co_return false;  // no log could be made at all
  const std::unique_ptr<WrittenLog> log = std::move(log_);
  log->file = nullptr;
  failed_directories_[log->directory] = true;
  // What fails in there is ignored: the log then stays without a map and will be scanned.
  (co_await CutBack(*log)).IgnoreError();
  co_return HasDirectoryLeft();
}

// Leaves of the log what was synced, through a new file: the old one cannot be trusted any more.
Task<absl::Status> EntryLogWriter::CutBack(const WrittenLog& log) {
  FileSystem* files = logs_->env().files;
  const std::string path = logs_->PathOf(log.id, log.directory);
  logs_->MarkClosed(log.id);
  if (log.synced_end == 0) {
    STELE_CO_TRY_OK(co_await files->Remove(path));
    logs_->Forget(log.id);
    co_return absl::OkStatus();
  }
  STELE_CO_TRY(const std::unique_ptr<File> file,
               co_await files->Open(path, {.access = OpenOptions::Access::kReadWrite,
                                           .sync = OpenOptions::Sync::kEachWrite}));
  STELE_CO_TRY_OK(co_await file->Truncate(log.synced_end));
  co_return co_await WriteMap(file.get(), log.synced_end, log.synced);
}

Task<absl::Status> EntryLogWriter::Close() {
  if (log_ == nullptr) co_return absl::OkStatus();
  STELE_CHECK(!flushing_ && buffered_ == 0);
  co_return co_await Seal();
}

}  // namespace stele::bookie
