#include "simulation/sim_metadata_tree.h"

#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/drivers/node_path.h"

namespace stele::simulation {

using metadata::Deletion;
using metadata::EphemeralOwner;
using metadata::NodeKind;
using metadata::Version;

SimMetadataTree::SimMetadataTree() { nodes_["/"]; }

MetadataReply SimMetadataTree::Apply(uint64_t session, const MetadataRequest& request,
                                     Listener changed) {
  MetadataReply reply;
  const uint64_t owner = request.kind == NodeKind::kEphemeral ? session : 0;
  switch (request.operation) {
    case MetadataOperation::kGet: {
      reply.status = CheckVersion(request.path, metadata::kAnyVersion);
      if (!reply.status.ok()) break;
      const Record& record = nodes_.at(request.path);
      reply.node = {record.value, record.version,
                    record.owner == 0         ? EphemeralOwner::kNone
                    : record.owner == session ? EphemeralOwner::kThisSession
                                              : EphemeralOwner::kOther};
      break;
    }
    case MetadataOperation::kCreate:
      reply.status = Create(request.path, request.value, owner, changed);
      break;
    case MetadataOperation::kCreateSequential: {
      reply.status = EnsureParents(request.path, changed);
      if (!reply.status.ok()) break;
      const std::string parent(metadata::ParentPath(request.path));
      reply.path = StrCat(request.path, absl::StrFormat("%010d", nodes_.at(parent).next_sequence));
      reply.status = Create(reply.path, request.value, owner, changed);
      break;
    }
    case MetadataOperation::kPut: {
      reply.status = CheckVersion(request.path, request.expected);
      if (!reply.status.ok()) break;
      Record& record = nodes_.at(request.path);
      record.value = request.value;
      reply.version = ++record.version;
      changed(Changed::kNode, request.path);
      break;
    }
    case MetadataOperation::kDelete:
      reply.status = Delete({{request.path, request.expected}}, changed);
      break;
    case MetadataOperation::kDeleteTogether:
      reply.status = Delete(request.deletions, changed);
      break;
    case MetadataOperation::kChildren: {
      reply.status = CheckVersion(request.path, metadata::kAnyVersion);
      if (!reply.status.ok()) break;
      const Record& record = nodes_.at(request.path);
      reply.names.assign(record.children.begin(), record.children.end());
      break;
    }
  }
  return reply;
}

void SimMetadataTree::RemoveOwned(uint64_t session, Listener changed) {
  const auto found = owned_.find(session);
  if (found == owned_.end()) return;
  const std::set<std::string> paths = found->second;
  for (const std::string& path : paths) Remove(path, changed);
}

void SimMetadataTree::RemoveAllOwned() {
  while (!owned_.empty()) {
    RemoveOwned(owned_.begin()->first, [](Changed, const std::string&) {});
  }
}

absl::Status SimMetadataTree::CheckVersion(const std::string& path, Version expected) const {
  const auto found = nodes_.find(path);
  if (found == nodes_.end()) {
    return MakeError(ErrorCode::kNoSuchKey, StrCat(path, ": no such node"));
  }
  if (expected != metadata::kAnyVersion && expected != found->second.version) {
    return MakeError(ErrorCode::kMetadataConflict,
                     StrCat(path, ": has version ", found->second.version, ", not ", expected));
  }
  return absl::OkStatus();
}

absl::Status SimMetadataTree::Delete(const std::vector<Deletion>& deletions, Listener changed) {
  std::set<std::string> gone;
  for (const Deletion& deletion : deletions) {
    const std::string& path = deletion.path;
    if (gone.contains(path)) {
      return MakeError(ErrorCode::kNoSuchKey, StrCat(path, ": no such node"));
    }
    STELE_TRY_OK(CheckVersion(path, deletion.expected));
    for (const std::string& child : nodes_.at(path).children) {
      if (gone.contains(StrCat(path == "/" ? "" : path, "/", child))) continue;
      return MakeError(ErrorCode::kKeyNotEmpty, StrCat(path, ": the node has children"));
    }
    gone.insert(path);
  }
  for (const Deletion& deletion : deletions) Remove(deletion.path, changed);
  return absl::OkStatus();
}

absl::Status SimMetadataTree::EnsureParents(const std::string& path, Listener changed) {
  const std::string parent(metadata::ParentPath(path));
  const auto found = nodes_.find(parent);
  if (found == nodes_.end()) return Create(parent, "", 0, changed);
  if (found->second.owner == 0) return absl::OkStatus();
  return MakeError(ErrorCode::kInvalidArgument,
                   StrCat(parent, " is ephemeral and cannot have children"));
}

absl::Status SimMetadataTree::Create(const std::string& path, const std::string& value,
                                     uint64_t owner, Listener changed) {
  if (nodes_.contains(path)) {
    return MakeError(ErrorCode::kKeyExists, StrCat(path, ": the node exists"));
  }
  STELE_TRY_OK(EnsureParents(path, changed));
  nodes_[path] = {.value = value, .owner = owner};
  if (owner != 0) owned_[owner].insert(path);
  const std::string parent(metadata::ParentPath(path));
  Record& above = nodes_.at(parent);
  above.children.emplace(metadata::NodeName(path));
  // Every child that is made counts, as in ZooKeeper, whatever its name.
  ++above.next_sequence;
  changed(Changed::kNode, path);
  changed(Changed::kChildren, parent);
  return absl::OkStatus();
}

void SimMetadataTree::Remove(const std::string& path, Listener changed) {
  const auto found = nodes_.find(path);
  STELE_CHECK(found != nodes_.end() && found->second.children.empty());
  if (const uint64_t owner = found->second.owner; owner != 0) {
    std::set<std::string>& owned = owned_.at(owner);
    owned.erase(path);
    if (owned.empty()) owned_.erase(owner);
  }
  nodes_.erase(found);
  const std::string parent(metadata::ParentPath(path));
  nodes_.at(parent).children.erase(std::string(metadata::NodeName(path)));
  changed(Changed::kNode, path);
  changed(Changed::kChildren, parent);
  // A watch of its children sees the node go, too.
  changed(Changed::kChildren, path);
}

}  // namespace stele::simulation
