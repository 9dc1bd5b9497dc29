#include "bookie/storage/entry_log_writer.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "bookie/storage/directory_choice.h"
#include "common/base/check.h"
#include "common/base/endian.h"
#include "common/base/errors.h"
#include "common/base/try.h"

namespace stele::bookie {

void EntryLogWriter::Begin(uint64_t bytes) {
  if (flushing_) {
    // The last flush was dropped in the middle, perhaps of a write that still happens. The log
    // stays as it is; a scan will sort it out.
    if (log_ != nullptr) logs_->MarkClosed(log_->id);
    log_ = nullptr;
    buffered_ = 0;
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
  if (record > buffer_.size() - buffered_) {
    STELE_CO_TRY_OK(co_await WriteOut());
    buffer_ = MutableBuffer(std::max(record, kEntryLogWriteBytes));
  }
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
                                                      .create = OpenOptions::Create::kMustBeNew}));
  absl::Status status =
      co_await log->file->WriteAt(0, Buffer::FromString(MakeEntryLogStart(EntryLogHeader{})));
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

Task<absl::Status> EntryLogWriter::WriteOut() {
  if (buffered_ == 0) co_return absl::OkStatus();
  const size_t size = std::exchange(buffered_, 0);
  Buffer bytes = std::move(buffer_).Freeze(size);
  const uint64_t offset = log_->written_end;
  STELE_CO_TRY_OK(co_await log_->file->WriteAt(offset, std::move(bytes)));
  log_->written_end = offset + size;
  co_return absl::OkStatus();
}

Task<absl::Status> EntryLogWriter::Sync() {
  if (log_ != nullptr) {
    STELE_CO_TRY_OK(co_await WriteOut());
    if (log_->written_end != log_->synced_end) STELE_CO_TRY_OK(co_await log_->file->Sync());
    log_->synced_end = log_->written_end;
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

// One sync for records, map and header: a header that is durable without its map is not believed.
Task<absl::Status> EntryLogWriter::WriteMap(File* file, uint64_t offset, LedgerSizes sizes) {
  std::vector<LedgerBytes> ledgers;
  ledgers.reserve(sizes.size());
  for (const auto& [ledger, bytes] : sizes) ledgers.push_back({ledger, bytes});
  STELE_CO_TRY_OK(co_await file->WriteAt(offset, Buffer::FromString(MakeLedgersMap(ledgers))));
  STELE_CO_TRY_OK(co_await file->WriteAt(
      kEntryLogMapFieldsOffset, Buffer::FromString(MakeEntryLogMapFields(
                                    {.ledgers_map_offset = static_cast<int64_t>(offset),
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
               co_await files->Open(path, {.access = OpenOptions::Access::kReadWrite}));
  STELE_CO_TRY_OK(co_await file->Truncate(log.synced_end));
  co_return co_await WriteMap(file.get(), log.synced_end, log.synced);
}

Task<absl::Status> EntryLogWriter::Close() {
  if (log_ == nullptr) co_return absl::OkStatus();
  STELE_CHECK(!flushing_ && buffered_ == 0);
  co_return co_await Seal();
}

}  // namespace stele::bookie
