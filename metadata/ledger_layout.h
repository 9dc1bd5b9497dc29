// LedgerLayout: where in the tree a ledger's metadata is. Pure arithmetic; the tree is listed by
// ledger_lister.h. Source: docs/METADATA.md "Ledgers".
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/ids.h"

namespace stele::metadata {

enum class LayoutType {
  kHierarchical,        // short paths for ids below 2^31 - 1, long paths above; the usual one
  kLongHierarchical,    // long paths
  kLegacyHierarchical,  // short paths
  kFlat,                // all ledgers under the root
};

// "hierarchical", "longhierarchical", "legacyhierarchical", "flat": as a metadata service URI and
// messages name it.
std::string_view NameOf(LayoutType type);

// The content of the LAYOUT node: "2\n<a class name of Apache BookKeeper>:1", no newline at its
// end.
std::string SerializeLayout(LayoutType type);
// Formats 1 and 2. kCorruptData.
absl::StatusOr<LayoutType> ParseLayout(std::string_view bytes);

// The digits of an id are cut into path components of these widths; the last one gets an 'L' in
// front.
using PathShape = std::vector<size_t>;

class LedgerLayout {
 public:
  //   root   the ledgers root path: "/ledgers"
  LedgerLayout(std::string root, LayoutType type);

  const std::string& root() const { return root_; }
  LayoutType type() const { return type_; }

  // The path of a ledger's metadata.
  //   kInvalidArgument  the id is negative
  //   kUnsupported      the layout has no path for so large an id
  absl::StatusOr<std::string> PathOf(LedgerId ledger) const;

  // The inverse: nothing for a path that PathOf() does not give.
  std::optional<LedgerId> LedgerOf(std::string_view path) const;

  // The shapes of the paths in this layout. All ids of an earlier shape are below those of a later
  // one.
  const std::vector<PathShape>& shapes() const { return shapes_; }

  // Whether the node above a ledger's, when it has become empty, is deleted too.
  bool RemovesEmptyParents() const;

  // The smallest id with a long path under kHierarchical; also the first that the 31-bit generator
  // does not give.
  static constexpr int64_t kFirstLongId = 2147483647;

 private:
  std::string root_;
  LayoutType type_;
  std::vector<PathShape> shapes_;
};

}  // namespace stele::metadata
