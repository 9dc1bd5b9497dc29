// Small text files that other processes wait for: they appear whole or not at all.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "common/async/task.h"
#include "common/seams/file_system.h"

namespace stele::shell {

Task<absl::Status> ReplaceTextFile(FileSystem* files, std::string path, std::string text);

}  // namespace stele::shell
