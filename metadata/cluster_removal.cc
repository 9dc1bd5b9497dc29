#include "metadata/cluster_removal.h"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string_view>
#include <utility>

#include "common/async/run_concurrently.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/autorecovery_records.h"
#include "metadata/cluster_paths.h"
#include "metadata/ledger_lister.h"
#include "metadata/ledger_manager.h"

namespace stele::metadata {
namespace {

// Ledgers that are removed at the same time.
constexpr size_t kRemovedAtATimeMax = 64;

bool IsOfACluster(std::string_view name) {
  for (const std::string_view known : {"LAYOUT", "INSTANCEID", "available", "cookies", "idgen",
                                       "idgen-long", "underreplication"}) {
    if (name == known) return true;
  }
  // Ledgers, and what is above them.
  if (name.starts_with('L')) name.remove_prefix(1);
  return !name.empty() &&
         std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; });
}

absl::Status OkIfGone(absl::Status status) {
  return CodeOf(status) == ErrorCode::kNoSuchKey ? absl::OkStatus() : status;
}

Task<absl::StatusOr<std::vector<std::string>>> ChildrenOrNone(MetadataStore* store,
                                                              std::string path) {
  absl::StatusOr<std::vector<std::string>> names = co_await store->Children(std::move(path));
  if (CodeOf(names.status()) == ErrorCode::kNoSuchKey) co_return std::vector<std::string>();
  co_return names;
}

Task<absl::Status> RemoveTree(MetadataStore* store, std::string path) {
  STELE_CO_TRY(const std::vector<std::string> names, co_await ChildrenOrNone(store, path));
  for (const std::string& name : names) {
    STELE_CO_TRY_OK(co_await RemoveTree(store, StrCat(path, "/", name)));
  }
  co_return OkIfGone(co_await store->Delete(std::move(path), kAnyVersion));
}

absl::Status Registered(std::string_view path) {
  return MakeError(ErrorCode::kMetadataConflict,
                   StrCat("a bookie is registered at ", path, ": stop it first"));
}

// Fails while a bookie is registered.
Task<absl::Status> RemoveRegistrations(MetadataStore* store, ClusterPaths paths) {
  // One that is up must find the place where it says that it is read-only.
  STELE_CO_TRY(const std::vector<std::string> up,
               co_await ChildrenOrNone(store, paths.available()));
  if (up.size() > 1) co_return Registered(paths.available());
  for (const std::string& path : {paths.read_only(), paths.available()}) {
    const absl::Status removed = OkIfGone(co_await store->Delete(path, kAnyVersion));
    if (CodeOf(removed) == ErrorCode::kKeyNotEmpty) co_return Registered(path);
    STELE_CO_TRY_OK(removed);
  }
  co_return absl::OkStatus();
}

Task<absl::Status> RemoveLedgers(Env env, MetadataStore* store, LedgerLayout layout,
                                 absl::AnyInvocable<void(int64_t)> on_ledgers) {
  LedgerManager ledgers(env, store, std::move(layout));
  LedgerLister lister = ledgers.List();
  int64_t removed = 0;
  for (;;) {
    STELE_CO_TRY(const std::optional<LedgerRange> range, co_await lister.Next());
    if (!range.has_value()) co_return absl::OkStatus();
    const auto remove = [&](size_t i) { return ledgers.Delete((*range)[i], kAnyVersion); };
    STELE_CO_TRY_OK(
        co_await RunConcurrently(env.executor, range->size(), kRemovedAtATimeMax, remove));
    removed += static_cast<int64_t>(range->size());
    on_ledgers(removed);
  }
}

// From here on nobody opens it but to go on with this.
Task<absl::Status> SayThatItGoes(MetadataStore* store, Cluster cluster) {
  const std::string path = ClusterPaths(cluster.layout.root()).layout();
  STELE_CO_TRY(const Node layout, co_await store->Get(path));
  const std::string removal = SerializeRemoval(cluster);
  if (layout.value == removal) co_return absl::OkStatus();
  co_return (co_await store->Put(path, removal, layout.version)).status();
}

Task<absl::Status> RemoveNode(MetadataStore* store, std::string path) {
  const absl::Status removed = OkIfGone(co_await store->Delete(path, kAnyVersion));
  if (CodeOf(removed) != ErrorCode::kKeyNotEmpty) co_return removed;
  co_return MakeError(ErrorCode::kMetadataConflict,
                      StrCat("somebody has written under ", path, " meanwhile"));
}

}  // namespace

Task<absl::StatusOr<std::vector<std::string>>> NamesOfNoCluster(MetadataStore* store,
                                                                std::string root) {
  STELE_CO_TRY(std::vector<std::string> names, co_await ChildrenOrNone(store, std::move(root)));
  std::erase_if(names, IsOfACluster);
  co_return names;
}

Task<absl::Status> RemoveCluster(Env env, MetadataStore* store, Cluster cluster,
                                 Afterwards afterwards,
                                 absl::AnyInvocable<void(int64_t)> on_ledgers) {
  const ClusterPaths paths(cluster.layout.root());
  STELE_CO_TRY(const std::vector<std::string> others,
               co_await NamesOfNoCluster(store, paths.root()));
  if (!others.empty()) {
    co_return MakeError(ErrorCode::kMetadataConflict,
                        StrCat(paths.root(), " has \"", others.front(),
                               "\", which belongs to no cluster: look what it is"));
  }
  STELE_CO_TRY_OK(co_await RemoveRegistrations(store, paths));
  STELE_CO_TRY_OK(co_await SayThatItGoes(store, cluster));
  STELE_CO_TRY_OK(co_await RemoveTree(store, paths.cookies()));
  STELE_CO_TRY_OK(co_await RemoveLedgers(env, store, cluster.layout, std::move(on_ledgers)));
  STELE_CO_TRY(const std::vector<std::string> names, co_await ChildrenOrNone(store, paths.root()));
  for (const std::string& name : names) {
    // Whoever has come meanwhile keeps what he has made.
    if (!IsOfACluster(name) || name == "LAYOUT" || name == "INSTANCEID" || name == "available") {
      continue;
    }
    STELE_CO_TRY_OK(co_await RemoveTree(store, StrCat(paths.root(), "/", name)));
  }
  STELE_CO_TRY_OK(co_await RemoveTree(store, AutorecoveryRecords(store, cluster).root()));
  STELE_CO_TRY_OK(co_await RemoveRegistrations(store, paths));
  STELE_CO_TRY_OK(co_await RemoveNode(store, paths.instance_id()));
  if (afterwards == Afterwards::kEmptyCluster) {
    co_return co_await InitializeInPlaceOf(store, env.random, std::move(cluster));
  }
  STELE_CO_TRY_OK(co_await RemoveNode(store, paths.layout()));
  co_return co_await RemoveNode(store, paths.root());
}

}  // namespace stele::metadata
