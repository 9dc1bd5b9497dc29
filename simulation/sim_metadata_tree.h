// SimMetadataTree: the nodes of a simulated metadata server, with ZooKeeper's rules. No time, no
// sessions: an owner is a number.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "metadata/metadata_store.h"

namespace stele::simulation {

enum class MetadataOperation : uint8_t {
  kGet,
  kCreate,
  kCreateSequential,
  kPut,
  kDelete,
  kChildren,
  kDeleteTogether
};

constexpr bool IsWrite(MetadataOperation operation) {
  return operation != MetadataOperation::kGet && operation != MetadataOperation::kChildren;
}

struct MetadataRequest {
  MetadataOperation operation;
  std::string path;
  std::string value = "";
  metadata::NodeKind kind = metadata::NodeKind::kPersistent;
  metadata::Version expected = metadata::kAnyVersion;
  std::vector<metadata::Deletion> deletions = {};  // kDeleteTogether; `path` is that of the first
};

struct MetadataReply {
  absl::Status status;
  metadata::Node node;             // kGet
  std::string path;                // kCreateSequential
  metadata::Version version = 0;   // kPut
  std::vector<std::string> names;  // kChildren
};

class SimMetadataTree {
 public:
  SimMetadataTree();

  // What changed: a node, or the set of names below it.
  enum class Changed { kNode, kChildren };
  using Listener = absl::FunctionRef<void(Changed changed, const std::string& path)>;

  // The request has been checked. `session` owns what it creates; it is above 0.
  MetadataReply Apply(uint64_t session, const MetadataRequest& request, Listener changed);

  // Removes all ephemeral nodes: their sessions are not known here.
  void RemoveAllOwned();

  // Removes the ephemeral nodes of a session.
  void RemoveOwned(uint64_t session, Listener changed);

 private:
  struct Record {
    std::string value;
    metadata::Version version = 0;
    uint64_t owner = 0;  // 0: persistent
    int64_t next_sequence = 0;
    std::set<std::string> children;
  };

  absl::Status Create(const std::string& path, const std::string& value, uint64_t owner,
                      Listener changed);
  // Makes the missing parents of `path`.
  absl::Status EnsureParents(const std::string& path, Listener changed);
  absl::Status CheckVersion(const std::string& path, metadata::Version expected) const;
  // All or none, in this order.
  absl::Status Delete(const std::vector<metadata::Deletion>& deletions, Listener changed);
  void Remove(const std::string& path, Listener changed);

  std::map<std::string, Record> nodes_;
  std::map<uint64_t, std::set<std::string>> owned_;
};

}  // namespace stele::simulation
