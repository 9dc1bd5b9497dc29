// ListFiles: the names of a bookie's files, for people.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

// More are not listed.
inline constexpr size_t kFilesListedMax = 100'000;

// The names that end so in these directories and below them, sorted. What is removed meanwhile is
// not missed.
//   errors   kOverloaded: there are more than kFilesListedMax; of the file system
Task<absl::StatusOr<std::vector<std::string>>> ListFiles(FileSystem* files,
                                                         std::vector<std::string> directories,
                                                         std::string ending);

}  // namespace stele::bookie
