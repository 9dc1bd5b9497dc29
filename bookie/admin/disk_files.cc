#include "bookie/admin/disk_files.h"

#include <algorithm>
#include <utility>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {

Task<absl::StatusOr<std::vector<std::string>>> ListFiles(FileSystem* files,
                                                         std::vector<std::string> directories,
                                                         std::string ending) {
  std::vector<std::string> found;
  while (!directories.empty()) {
    const std::string directory = std::move(directories.back());
    directories.pop_back();
    const absl::StatusOr<std::vector<std::string>> names = co_await files->List(directory);
    if (CodeOf(names.status()) == ErrorCode::kNoSuchFile) continue;
    STELE_CO_TRY_OK(names.status());
    for (const std::string& name : *names) {
      if (name.ends_with(ending)) {
        found.push_back(name);
        if (found.size() > kFilesListedMax) {
          co_return MakeError(ErrorCode::kOverloaded,
                              StrCat("more than ", kFilesListedMax, " files ", ending));
        }
        continue;
      }
      // Index files lie two levels down; nothing else has names without a dot that is not small.
      if (name.find('.') != std::string::npos) continue;
      const std::string path = StrCat(directory, "/", name);
      const absl::StatusOr<FileInfo> info = co_await files->Stat(path);
      if (CodeOf(info.status()) == ErrorCode::kNoSuchFile) continue;
      STELE_CO_TRY_OK(info.status());
      if (info->is_directory) directories.push_back(path);
    }
  }
  std::sort(found.begin(), found.end());
  co_return found;
}

}  // namespace stele::bookie
