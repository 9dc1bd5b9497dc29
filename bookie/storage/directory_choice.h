// Which directory a new file goes to: one with space, asked at the time of use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

struct DirectoryChoice {
  std::vector<std::string> directories;
  uint32_t usage_max_ppm = 950'000;  // used space, in millionths, from which a disk counts as full
  uint64_t free_min_bytes = 0;       // what the file needs at once
  size_t first = 0;                  // where to begin: spreads the files
  std::vector<bool> excluded;        // empty: none
};

// The first directory, from `first` on, whose disk is not full and has free_min_bytes; when all are
// full, the one with the most free space, so that a flush can end. kDiskFull: none has
// free_min_bytes. A directory that cannot be asked is passed over.
Task<absl::StatusOr<size_t>> ChooseDirectory(FileSystem* files, DirectoryChoice choice);

}  // namespace stele::bookie
