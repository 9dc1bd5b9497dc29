// The check of a bookie's cookies at its start: reads them, asks cookie.h what to do, and does it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "common/seams/file_system.h"
#include "metadata/cluster_paths.h"
#include "metadata/cookie.h"
#include "metadata/metadata_store.h"

namespace stele::metadata {

// The file in `current` of each directory.
inline constexpr char kCookieFileName[] = "VERSION";
inline constexpr char kCurrentDirectoryName[] = "current";
// Beside it, where there is one: a decimal number.
inline constexpr char kAgeFileName[] = "age";

// As configured, in this order. A directory may be in several lists.
struct BookieDirectories {
  std::vector<std::string> journal;
  std::vector<std::string> ledger;
  std::vector<std::string> index;  // empty: in the ledger directories
};

struct BookieIdentity {
  BookieId bookie;
  // Names that this bookie would have under another configuration (its address, its host name): a
  // cookie under one of them must be ours too.
  std::vector<BookieId> other_ids;
  BookieDirectories directories;
  std::optional<std::string> instance_id;  // of the cluster
  StorageExpansion expansion = StorageExpansion::kRefused;
  // How old its data are (bookie_age.h), for directories that it is given later; 0: not known. One
  // that has a cookie and no age would have lost its data.
  int64_t data_age = 0;
};

// The cookie that this configuration makes in the cluster with this instance id.
Cookie MakeCookie(const BookieId& bookie, const BookieDirectories& directories,
                  std::optional<std::string> instance_id);

// Ok: these directories belong to this bookie of this cluster, and say so; so does the store. Call
// it while holding the locks of the directories, before anything else is written to them. After an
// error it can be called again.
//   files, store  must outlive the task
//   kCookieMismatch       the bookie must not start; the text says why. Nothing was written
//   kCorruptData          a cookie cannot be read; nothing was written
//   kMetadataUnavailable, kIoError, kDiskFull  try again
Task<absl::Status> CheckCookies(FileSystem* files, MetadataStore* store, ClusterPaths paths,
                                BookieIdentity identity);

}  // namespace stele::metadata
