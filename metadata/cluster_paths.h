// The nodes of a cluster under its ledgers root, named exactly as Apache BookKeeper names them.
// The ledgers' own nodes: ledger_layout.h. The whole tree: docs/METADATA.md.
#pragma once

#include <string>
#include <utility>

#include "common/base/ids.h"

namespace stele::metadata {

class ClusterPaths {
 public:
  // An absolute path without '/' at its end: "/ledgers".
  explicit ClusterPaths(std::string root) : root_(std::move(root)) {}

  const std::string& root() const { return root_; }
  std::string layout() const { return root_ + "/LAYOUT"; }
  std::string instance_id() const { return root_ + "/INSTANCEID"; }
  // Children: the writable bookies, and `readonly`.
  std::string available() const { return root_ + "/available"; }
  std::string read_only() const { return available() + "/readonly"; }
  std::string cookies() const { return root_ + "/cookies"; }
  std::string id_generator() const { return root_ + "/idgen"; }
  // Its existence switches the whole cluster to 63-bit ids, for ever.
  std::string long_id_generator() const { return root_ + "/idgen-long"; }

  // Of a valid id (bookie_id.h).
  std::string Writable(const BookieId& bookie) const { return available() + "/" + bookie.value(); }
  std::string ReadOnly(const BookieId& bookie) const { return read_only() + "/" + bookie.value(); }
  std::string Cookie(const BookieId& bookie) const { return cookies() + "/" + bookie.value(); }

 private:
  std::string root_;
};

// The one child of available() that is not a bookie.
inline constexpr char kReadOnlyChild[] = "readonly";

}  // namespace stele::metadata
