// OpenFiles: files that stay open for reading, the least recently used closed when there are too
// many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

class OpenFiles {
 public:
  // At most `files_max` are kept; those in use by a caller are open besides.
  // kEachWrite, although nobody writes: direct reads, past the system's page cache.
  OpenFiles(FileSystem* files, size_t files_max,
            OpenOptions::Sync sync = OpenOptions::Sync::kExplicit)
      : files_(files), files_max_(files_max), options_{.sync = sync} {}

  // The file of `key`, opened at `path` unless it is open.
  Task<absl::StatusOr<std::shared_ptr<File>>> Get(int64_t key, std::string path);

  // Forgets the file of `key`: it was removed, or another will take its name.
  void Drop(int64_t key);

  size_t size() const { return by_use_.size(); }

 private:
  using ByUse = std::list<std::pair<int64_t, std::shared_ptr<File>>>;

  FileSystem* files_;
  size_t files_max_;
  const OpenOptions options_;
  ByUse by_use_;  // the last used first
  absl::flat_hash_map<int64_t, ByUse::iterator> by_key_;
  uint64_t drops_ = 0;  // an open that saw a Drop go by may have opened what was dropped
};

}  // namespace stele::bookie
