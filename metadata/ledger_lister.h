// LedgerLister: all ledgers of a cluster, in ascending order, one directory at a time.
//
// Bookies delete what is missing from this list. So an error is an error and never a shorter list,
// what cannot be told is an error, and a root without a cluster is no empty cluster.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/async/task.h"
#include "common/base/ids.h"
#include "metadata/ledger_layout.h"
#include "metadata/metadata_store.h"

namespace stele::metadata {

// The ledgers of one directory: at least one, ascending, at most 10,000 (flat layout: all).
using LedgerRange = std::vector<LedgerId>;

class LedgerLister {
 public:
  // `store` must outlive it.
  LedgerLister(MetadataStore* store, LedgerLayout layout);

  // The next range, all of whose ids are above those before; nothing at the end. Ledgers that exist
  // from the first call to the last are all listed; those made or deleted meanwhile may be. Await
  // one call before the next. After an error the listing is over, and each further call gives it
  // again.
  //   kConfig       there is no root: the cluster is not initialised, or the path is wrong
  //   kCorruptData  a ledger is stored at a path of another layout, where reads do not find it
  Task<absl::StatusOr<std::optional<LedgerRange>>> Next();

  // Names among the ledgers that are no ledgers and were passed over.
  int64_t ignored_names() const { return ignored_names_; }

 private:
  // A directory whose children remain to be visited, in ascending order.
  struct Directory {
    std::string path;
    std::string digits;  // that its path stands for
    std::deque<std::string> names;
  };

  Task<absl::StatusOr<std::optional<LedgerRange>>> Step();
  // Children of `path`; none when it has gone, which only an empty directory does.
  Task<absl::StatusOr<std::vector<std::string>>> ChildrenOf(std::string path);
  Task<absl::Status> BeginShape();
  Task<absl::StatusOr<LedgerRange>> ListLeaves(std::string path, std::string digits);
  std::deque<std::string> NamesOfWidth(const std::vector<std::string>& names, size_t width);
  const PathShape& shape() const { return layout_.shapes()[shape_index_]; }

  MetadataStore* store_;
  LedgerLayout layout_;
  std::optional<std::vector<std::string>> top_names_;
  size_t shape_index_ = 0;
  bool shape_begun_ = false;
  std::vector<Directory> open_;  // from the top down
  absl::Status error_;
  int64_t ignored_names_ = 0;
};

}  // namespace stele::metadata
