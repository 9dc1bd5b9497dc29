#include "metadata/cluster_init.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/cluster_paths.h"

namespace stele::metadata {
namespace {

constexpr size_t kInstanceIdSizeMaxBytes = 256;
constexpr std::string_view kRemoval = "removal\n";

// A random (version 4) UUID as 36 characters.
std::string NewInstanceId(Random* random) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text = "xxxxxxxx-xxxx-4xxx-yxxx-xxxxxxxxxxxx";
  for (char& c : text) {
    if (c == 'x') c = kHex[random->Below(16)];
    if (c == 'y') c = kHex[8 + random->Below(4)];
  }
  return text;
}

// The node's value, or nothing when it does not exist.
Task<absl::StatusOr<std::optional<std::string>>> Find(MetadataStore* store, std::string path) {
  absl::StatusOr<Node> node = co_await store->Get(std::move(path));
  if (node.ok()) co_return std::optional<std::string>(std::move(node->value));
  if (CodeOf(node.status()) == ErrorCode::kNoSuchKey) co_return std::optional<std::string>();
  co_return node.status();
}

// Creates the node unless it exists. Looks first: a refused write costs the store as much as one
// that is done.
Task<absl::Status> Ensure(MetadataStore* store, std::string path, std::string value) {
  STELE_CO_TRY(const std::optional<std::string> existing, co_await Find(store, path));
  if (existing.has_value()) co_return absl::OkStatus();
  const absl::Status created =
      co_await store->Create(std::move(path), std::move(value), NodeKind::kPersistent);
  co_return CodeOf(created) == ErrorCode::kKeyExists ? absl::OkStatus() : created;
}

bool IsOneOf(const std::string& name, std::initializer_list<const char*> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Names of the children; none when the node does not exist.
Task<absl::StatusOr<std::vector<std::string>>> ChildrenOrNone(MetadataStore* store,
                                                              std::string path) {
  absl::StatusOr<std::vector<std::string>> children = co_await store->Children(std::move(path));
  if (CodeOf(children.status()) == ErrorCode::kNoSuchKey) co_return std::vector<std::string>();
  co_return children;
}

absl::Status AlreadyThere(std::string_view root, std::string_view what) {
  return MakeError(ErrorCode::kKeyExists, StrCat(root, " ", what));
}

// Only what an interrupted InitializeCluster() leaves may be completed by another one.
Task<absl::Status> CheckNothingElse(MetadataStore* store, ClusterPaths paths) {
  STELE_CO_TRY(const std::vector<std::string> names, co_await ChildrenOrNone(store, paths.root()));
  for (const std::string& name : names) {
    if (!IsOneOf(name, {"available", "cookies", "INSTANCEID"})) {
      co_return AlreadyThere(paths.root(),
                             StrCat("has no LAYOUT but has \"", name, "\": it is no new cluster"));
    }
  }
  STELE_CO_TRY(const std::vector<std::string> bookies,
               co_await ChildrenOrNone(store, paths.available()));
  STELE_CO_TRY(const std::vector<std::string> read_only,
               co_await ChildrenOrNone(store, paths.read_only()));
  STELE_CO_TRY(const std::vector<std::string> cookies,
               co_await ChildrenOrNone(store, paths.cookies()));
  const bool only_read_only =
      bookies.empty() || bookies == std::vector<std::string>{kReadOnlyChild};
  if (!only_read_only || !read_only.empty() || !cookies.empty()) {
    co_return AlreadyThere(paths.root(), "has no LAYOUT but has bookies: it is no new cluster");
  }
  co_return absl::OkStatus();
}

absl::Status NotInitialised(std::string_view root) {
  return MakeError(ErrorCode::kConfig,
                   StrCat("the cluster at ", root, " is not initialised; run stele cluster init"));
}

absl::StatusOr<std::optional<Cluster>> ParseRemoval(std::string root, std::string_view layout) {
  if (!layout.starts_with(kRemoval)) return std::optional<Cluster>();
  layout.remove_prefix(kRemoval.size());
  STELE_TRY(const LayoutType type, ParseLayout(layout));
  Cluster cluster{LedgerLayout(std::move(root), type), std::nullopt};
  const size_t end = layout.find('\n', layout.find('\n') + 1);
  if (end != std::string_view::npos) cluster.instance_id = layout.substr(end + 1);
  return std::optional<Cluster>(std::move(cluster));
}

absl::Status CheckIsNotBeingRemoved(const std::string& root, std::string_view layout) {
  STELE_TRY(const std::optional<Cluster> removed, ParseRemoval(root, layout));
  if (!removed.has_value()) return absl::OkStatus();
  const std::string& instance = removed->instance_id.value_or(root);
  return MakeError(
      ErrorCode::kConfig,
      StrCat("the cluster at ", root, " is being removed: stele cluster nuke --instance ", instance,
             " goes on with it, stele cluster format --instance ", instance,
             " leaves an empty one"));
}

// All that a cluster has but its LAYOUT.
Task<absl::Status> MakeNodes(MetadataStore* store, Random* random, ClusterPaths paths) {
  STELE_CO_TRY_OK(co_await Ensure(store, paths.read_only(), ""));
  // Apache's auditor gives up when nobody has made this one.
  STELE_CO_TRY_OK(co_await Ensure(store, paths.cookies(), ""));
  co_return co_await Ensure(store, paths.instance_id(), NewInstanceId(random));
}

}  // namespace

Task<absl::Status> InitializeCluster(MetadataStore* store, Random* random, std::string root,
                                     LayoutType layout) {
  const ClusterPaths paths(root);
  STELE_CO_TRY(const std::optional<std::string> existing, co_await Find(store, paths.layout()));
  if (existing.has_value()) {
    STELE_CO_TRY_OK(CheckIsNotBeingRemoved(root, *existing));
    co_return AlreadyThere(root, "is initialised already");
  }
  STELE_CO_TRY_OK(co_await CheckNothingElse(store, paths));
  STELE_CO_TRY_OK(co_await MakeNodes(store, random, paths));
  const absl::Status created =
      co_await store->Create(paths.layout(), SerializeLayout(layout), NodeKind::kPersistent);
  if (CodeOf(created) == ErrorCode::kKeyExists) {
    co_return AlreadyThere(root, "is being initialised by somebody else");
  }
  co_return created;
}

Task<absl::StatusOr<Cluster>> OpenCluster(MetadataStore* store, std::string root,
                                          std::optional<LayoutType> wanted) {
  const ClusterPaths paths(root);
  STELE_CO_TRY(std::optional<std::string> instance_id, co_await Find(store, paths.instance_id()));
  if (instance_id.has_value() && instance_id->size() > kInstanceIdSizeMaxBytes) {
    co_return MakeError(ErrorCode::kCorruptData, "INSTANCEID is too long");
  }
  STELE_CO_TRY(std::optional<std::string> stored, co_await Find(store, paths.layout()));
  if (!stored.has_value()) {
    if (!instance_id.has_value()) co_return NotInitialised(root);
    // Apache's tools write LAYOUT in a second step that may have been lost, or leave it to the
    // first client. Whoever writes it first decides.
    STELE_CO_TRY_OK(co_await Ensure(store, paths.layout(),
                                    SerializeLayout(wanted.value_or(LayoutType::kHierarchical))));
    STELE_CO_TRY(stored, co_await Find(store, paths.layout()));
    if (!stored.has_value()) co_return NotInitialised(root);
  }
  STELE_CO_TRY_OK(CheckIsNotBeingRemoved(root, *stored));
  STELE_CO_TRY(const LayoutType type, ParseLayout(*stored));
  if (wanted.has_value() && *wanted != type) {
    co_return MakeError(
        ErrorCode::kConfig,
        StrCat("the ledgers of the cluster at ", root, " are laid out as ", NameOf(type),
               ", not as ", NameOf(*wanted), "; change the metadataServiceUri"));
  }
  STELE_CO_TRY_OK(co_await Ensure(store, paths.read_only(), ""));
  STELE_CO_TRY_OK(co_await Ensure(store, paths.cookies(), ""));
  co_return Cluster{LedgerLayout(std::move(root), type), std::move(instance_id)};
}

std::string SerializeRemoval(const Cluster& cluster) {
  std::string text = StrCat(kRemoval, SerializeLayout(cluster.layout.type()));
  if (cluster.instance_id.has_value()) text += StrCat("\n", *cluster.instance_id);
  return text;
}

Task<absl::StatusOr<std::optional<Cluster>>> FindRemoval(MetadataStore* store, std::string root) {
  const ClusterPaths paths(root);
  STELE_CO_TRY(const std::optional<std::string> stored, co_await Find(store, paths.layout()));
  STELE_CO_TRY(std::optional<Cluster> removed, ParseRemoval(std::move(root), stored.value_or("")));
  if (removed.has_value()) STELE_CO_TRY_OK(co_await Ensure(store, paths.read_only(), ""));
  co_return removed;
}

Task<absl::Status> InitializeInPlaceOf(MetadataStore* store, Random* random, Cluster removed) {
  const ClusterPaths paths(removed.layout.root());
  STELE_CO_TRY_OK(co_await MakeNodes(store, random, paths));
  co_return (
      co_await store->Put(paths.layout(), SerializeLayout(removed.layout.type()), kAnyVersion))
      .status();
}

}  // namespace stele::metadata
