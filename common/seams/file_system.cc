#include "common/seams/file_system.h"

#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele {

Task<absl::StatusOr<Buffer>> ReadFile(FileSystem* files, std::string path, size_t size_max_bytes) {
  STELE_CO_TRY(const std::unique_ptr<File> file, co_await files->Open(path, OpenOptions{}));
  STELE_CO_TRY(const uint64_t size, co_await file->Size());
  if (size > size_max_bytes) {
    co_return MakeError(ErrorCode::kCorruptData, StrCat(path, " has ", size, " bytes; at most ",
                                                        size_max_bytes, " are expected"));
  }
  co_return co_await file->ReadAt(0, size);
}

Task<absl::Status> ReplaceFile(FileSystem* files, std::string directory, std::string name,
                               Buffer content) {
  const std::string path = StrCat(directory, "/", name);
  const std::string temporary = path + ".tmp";
  absl::Status removed = co_await files->Remove(temporary);
  if (!removed.ok() && CodeOf(removed) != ErrorCode::kNoSuchFile) co_return removed;
  {
    STELE_CO_TRY(const std::unique_ptr<File> file,
                 co_await files->Open(temporary, {.access = OpenOptions::Access::kReadWrite,
                                                  .create = OpenOptions::Create::kMustBeNew}));
    STELE_CO_TRY_OK(co_await file->WriteAt(0, std::move(content)));
    STELE_CO_TRY_OK(co_await file->Sync());
  }
  STELE_CO_TRY_OK(co_await files->Rename(temporary, path));
  co_return co_await files->SyncDirectory(directory);
}

}  // namespace stele
