#include "bookie/journal/journal_files.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "common/base/buffer.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

constexpr std::string_view kPreparedSuffix = ".txn.pre";

// Large enough for the device's full rate, small enough to let batches through in between.
constexpr uint64_t kZeroStepBytes = 512 << 10;

Buffer Zeros(size_t size) {
  MutableBuffer zeros(size, kDirectAlignmentBytes);
  std::memset(zeros.data(), 0, size);
  return std::move(zeros).Freeze();
}

Task<absl::Status> RemoveIfThere(FileSystem* files, std::string path) {
  absl::Status removed = co_await files->Remove(std::move(path));
  if (CodeOf(removed) == ErrorCode::kNoSuchFile) co_return absl::OkStatus();
  co_return removed;
}

std::string PreparedPath(std::string_view directory, int64_t id) {
  return StrCat(directory, "/", absl::Hex(id), kPreparedSuffix);
}

// Gives the capacity that was reached.
Task<absl::StatusOr<uint64_t>> Fill(File* file, PrepareOptions options,
                                    const PrepareControl* control) {
  MutableBuffer block(kJournalBlockSizeBytes, kDirectAlignmentBytes);
  WriteHeaderBlock(options.header, block.data());
  STELE_CO_TRY_OK(co_await file->WriteAt(0, std::move(block).Freeze()));
  if (options.spare.has_value()) co_return options.spare->capacity_bytes;
  const Buffer zeros = Zeros(std::min(kZeroStepBytes, options.capacity_bytes));
  uint64_t filled = kJournalBlockSizeBytes;
  while (filled < options.capacity_bytes) {
    if (control->stop) co_return MakeError(ErrorCode::kStopped, "the journal is closed");
    if (control->take_early && filled >= options.capacity_min_bytes) break;
    const uint64_t step = std::min<uint64_t>(zeros.size(), options.capacity_bytes - filled);
    STELE_CO_TRY_OK(co_await file->WriteAt(filled, zeros.Slice(0, step)));
    filled += step;
  }
  STELE_CO_TRY_OK(co_await file->Sync());
  co_return filled;
}

}  // namespace

Task<absl::StatusOr<std::vector<int64_t>>> ListJournalFiles(FileSystem* files,
                                                            std::string directory) {
  STELE_CO_TRY(const std::vector<std::string> names, co_await files->List(directory));
  std::vector<int64_t> ids;
  for (const std::string& name : names) {
    const absl::StatusOr<std::optional<int64_t>> id = ParseJournalFileName(name);
    if (!id.ok()) co_return WithContext(id.status(), directory);
    if (id->has_value()) ids.push_back(**id);
  }
  std::sort(ids.begin(), ids.end());
  co_return ids;
}

Task<absl::Status> RemovePreparedJournalFiles(FileSystem* files, std::string directory) {
  STELE_CO_TRY(const std::vector<std::string> names, co_await files->List(directory));
  for (const std::string& name : names) {
    if (!std::string_view(name).ends_with(kPreparedSuffix)) continue;
    STELE_CO_TRY_OK(co_await RemoveIfThere(files, StrCat(directory, "/", name)));
  }
  co_return absl::OkStatus();
}

Task<absl::StatusOr<std::vector<int64_t>>> ListJournalFilesBefore(FileSystem* files,
                                                                  std::string directory,
                                                                  int64_t first_needed_id,
                                                                  int backups) {
  STELE_CO_TRY(std::vector<int64_t> ids, co_await ListJournalFiles(files, directory));
  ids.erase(std::lower_bound(ids.begin(), ids.end(), first_needed_id), ids.end());
  const size_t kept = std::min(ids.size(), static_cast<size_t>(backups));
  ids.resize(ids.size() - kept);
  co_return ids;
}

Task<absl::Status> RemoveJournalFile(FileSystem* files, std::string directory, int64_t id) {
  STELE_CO_TRY_OK(co_await RemoveIfThere(files, StrCat(directory, "/", JournalFileName(id))));
  co_return co_await files->SyncDirectory(directory);
}

Task<absl::StatusOr<SpareFile>> SetAsideJournalFile(FileSystem* files, std::string directory,
                                                    int64_t id, uint64_t capacity_bytes) {
  SpareFile spare{PreparedPath(directory, id), capacity_bytes};
  STELE_CO_TRY_OK(co_await files->Rename(StrCat(directory, "/", JournalFileName(id)), spare.path));
  if (const absl::Status synced = co_await files->SyncDirectory(directory); !synced.ok()) {
    // If this fails too, the next start does it.
    (co_await RemoveIfThere(files, spare.path)).IgnoreError();
    co_return synced;
  }
  co_return spare;
}

Task<absl::StatusOr<std::unique_ptr<JournalFile>>> PrepareJournalFile(
    FileSystem* files, PrepareOptions options, const PrepareControl* control) {
  const std::string name = JournalFileName(options.header.file_id);
  const bool is_reused = options.spare.has_value();
  options.header.is_reused = is_reused;
  const std::string prepared =
      is_reused ? options.spare->path : PreparedPath(options.directory, options.header.file_id);
  auto result = std::make_unique<JournalFile>();
  result->id = options.header.file_id;
  result->header = options.header;
  result->path = StrCat(options.directory, "/", name);
  if (!is_reused) STELE_CO_TRY_OK(co_await RemoveIfThere(files, prepared));
  const auto create = is_reused ? OpenOptions::Create::kNever : OpenOptions::Create::kMustBeNew;
  STELE_CO_TRY(result->file,
               co_await files->Open(prepared, {.access = OpenOptions::Access::kReadWrite,
                                               .create = create,
                                               .sync = OpenOptions::Sync::kEachWrite}));
  const absl::StatusOr<uint64_t> filled = co_await Fill(result->file.get(), options, control);
  if (!filled.ok()) {
    // Gives the space back at once; if this fails too, the next start does it.
    (co_await RemoveIfThere(files, prepared)).IgnoreError();
    co_return WithContext(filled.status(), StrCat("preparing ", prepared));
  }
  result->capacity_bytes = *filled;
  const absl::Status renamed = co_await files->Rename(prepared, result->path);
  if (!renamed.ok()) {
    (co_await RemoveIfThere(files, prepared)).IgnoreError();
    co_return renamed;
  }
  STELE_CO_TRY_OK(co_await files->SyncDirectory(options.directory));
  co_return result;
}

}  // namespace stele::bookie
