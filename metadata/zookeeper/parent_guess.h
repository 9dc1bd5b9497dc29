// ParentGuess: is the parent of a node that is to be made missing? From what the last creates under
// the same grandparent found, so that a program that makes many nodes, each in a directory of its
// own, need not be told so each time. A wrong guess costs one request.
#pragma once

#include <cstddef>
#include <string>

#include "absl/container/btree_map.h"
#include "metadata/drivers/node_path.h"

namespace stele::metadata {

class ParentGuess {
 public:
  bool IsMissing(const std::string& path) const {
    const std::string parent(ParentPath(path));
    const auto known = last_made_.find(std::string(ParentPath(parent)));
    return known != last_made_.end() && known->second != parent;
  }

  // A node was made.
  //   with_parent   its parent had to be made, too
  void NoteMade(const std::string& path, bool with_parent) {
    std::string parent(ParentPath(path));
    const std::string grandparent(ParentPath(parent));
    if (!with_parent) {
      last_made_.erase(grandparent);
    } else {
      if (last_made_.size() >= kGrandparentsMax) last_made_.clear();
      last_made_.insert_or_assign(grandparent, std::move(parent));
    }
  }

 private:
  static constexpr size_t kGrandparentsMax = 256;

  absl::btree_map<std::string, std::string> last_made_;  // by grandparent: the parent
};

}  // namespace stele::metadata
