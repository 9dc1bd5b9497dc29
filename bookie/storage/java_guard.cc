#include "bookie/storage/java_guard.h"

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

std::string DirectoryOfGuard(const std::string& directory) {
  return StrCat(directory, "/", kJavaGuardDirectory);
}

std::string PathOfGuard(const std::string& directory) {
  return StrCat(DirectoryOfGuard(directory), "/", kJavaGuardName);
}

}  // namespace

Task<absl::Status> KeepJavaAway(FileSystem* files, std::string directory) {
  STELE_CO_TRY_OK(co_await files->MakeDirectories(DirectoryOfGuard(directory)));
  STELE_CO_TRY_OK(
      (co_await files->Open(PathOfGuard(directory), {.access = OpenOptions::Access::kReadWrite,
                                                     .create = OpenOptions::Create::kIfMissing}))
          .status());
  STELE_CO_TRY_OK(co_await files->SyncDirectory(DirectoryOfGuard(directory)));
  co_return co_await files->SyncDirectory(directory);
}

Task<absl::Status> LetJavaIn(FileSystem* files, std::string directory) {
  absl::Status removed = co_await files->Remove(PathOfGuard(directory));
  if (removed.ok() || CodeOf(removed) == ErrorCode::kNoSuchFile) {
    removed = co_await files->Remove(DirectoryOfGuard(directory));
  }
  co_return CodeOf(removed) == ErrorCode::kNoSuchFile ? absl::OkStatus() : removed;
}

}  // namespace stele::bookie
