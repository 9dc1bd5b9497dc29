// Finds the index files of all index directories at start, and ends what was left half done.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/file_system.h"

namespace stele::bookie {

inline constexpr size_t kIndexDirectoriesMax = 256;

struct EnumeratedIndexes {
  absl::btree_map<LedgerId, uint8_t> directory_of;
  bool has_extents = false;  // there is an extents directory (extent_store.h), which is left alone
};

// Ledger -> the first directory (its place in `directories`) that has an index file of it. Removes
// files that Stele had not finished; ends the moves of a Java bookie. Files that are nobody's stay.
//   errors   kUnsupported   directories of Java's DbLedgerStorage
Task<absl::StatusOr<EnumeratedIndexes>> EnumerateIndexes(FileSystem* files,
                                                         std::vector<std::string> directories);

}  // namespace stele::bookie
