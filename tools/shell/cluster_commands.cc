#include "tools/shell/cluster_commands.h"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <vector>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/bookie_registry.h"
#include "metadata/cluster_paths.h"
#include "metadata/ledger_lister.h"

namespace stele::shell {
namespace {

using metadata::BookieRegistry;
using metadata::BookieSet;
using metadata::Cluster;
using metadata::LayoutType;

// All that is listed about the bookies.
struct BookieOverview {
  BookieSet up;
  std::vector<BookieId> down;  // known by their cookies, not registered
};

Task<absl::StatusOr<BookieOverview>> LookAtBookies(BookieRegistry* registry) {
  STELE_CO_TRY_OK(co_await registry->Start());
  BookieOverview overview;
  overview.up = registry->bookies();
  STELE_CO_TRY(const std::vector<BookieId> all, co_await registry->AllBookies());
  for (const BookieId& bookie : all) {
    if (!overview.up.IsUp(bookie)) overview.down.push_back(bookie);
  }
  co_return overview;
}

Task<absl::StatusOr<int64_t>> CountLedgers(metadata::LedgerLister lister, Progress* progress) {
  int64_t count = 0;
  for (;;) {
    STELE_CO_TRY(const std::optional<metadata::LedgerRange> range, co_await lister.Next());
    if (!range.has_value()) co_return count;
    count += static_cast<int64_t>(range->size());
    progress->Update(count);
  }
}

absl::Status ClusterInit(Session& session, bool ok_if_exists) {
  const absl::Status made = session.shard().RunUntil(
      metadata::InitializeCluster(session.store(), session.env().random, session.uri().root,
                                  session.uri().layout.value_or(LayoutType::kHierarchical)));
  const bool exists = CodeOf(made) == ErrorCode::kKeyExists;
  if (!made.ok() && !(exists && ok_if_exists)) return made;
  STELE_TRY(const Cluster cluster, session.FindCluster());
  Record record;
  record.Set("metadata", session.options().metadata_uri)
      .Set("created", !exists)
      .Set("layout", std::string(NameOf(cluster.layout.type())))
      .Set("instance", cluster.instance_id.value_or(""));
  PrintRecord(record, session.options().format);
  return absl::OkStatus();
}

absl::Status ClusterStatus(Session& session) {
  STELE_TRY(const Cluster cluster, session.FindCluster());
  BookieRegistry registry(session.env(), session.store(),
                          metadata::ClusterPaths(session.uri().root));
  STELE_TRY(const BookieOverview bookies, session.shard().RunUntil(LookAtBookies(&registry)));
  Progress progress(session.env().clock, "counting ledgers", 0, "ledgers");
  STELE_TRY(const int64_t ledgers,
            session.shard().RunUntil(
                CountLedgers(metadata::LedgerLister(session.store(), cluster.layout), &progress)));
  std::vector<std::string> down;
  for (const BookieId& bookie : bookies.down) down.push_back(bookie.value());
  Record record;
  record.Set("metadata", session.options().metadata_uri)
      .Set("layout", std::string(NameOf(cluster.layout.type())))
      .Set("instance", cluster.instance_id.value_or(""))
      .Set("bookies_writable", static_cast<int64_t>(bookies.up.writable.size()))
      .Set("bookies_read_only", static_cast<int64_t>(bookies.up.read_only.size()))
      .Set("bookies_down", std::move(down))
      .Set("invalid_registrations", bookies.up.invalid_names)
      .Set("ledgers", ledgers);
  PrintRecord(record, session.options().format);
  if (bookies.up.writable.empty()) {
    return MakeError(ErrorCode::kNotEnoughBookies,
                     "no bookie is writable: start one with stele bookie");
  }
  return absl::OkStatus();
}

absl::Status BookiesList(Session& session) {
  STELE_TRY(const Cluster cluster, session.FindCluster());
  BookieRegistry registry(session.env(), session.store(),
                          metadata::ClusterPaths(session.uri().root));
  STELE_TRY(const BookieOverview bookies, session.shard().RunUntil(LookAtBookies(&registry)));
  std::vector<Record> records;
  const auto add = [&](const BookieId& bookie, const char* state, std::string address) {
    records.emplace_back();
    records.back().Set("bookie", bookie.value()).Set("state", state).Set("address", address);
  };
  const auto add_up = [&](const BookieId& bookie, const char* state) {
    const absl::StatusOr<Endpoint> at = session.shard().RunUntil(registry.Resolve(bookie));
    add(bookie, state, at.ok() ? StrCat(at->host, ":", at->port) : "");
  };
  for (const BookieId& bookie : bookies.up.writable) add_up(bookie, "writable");
  for (const BookieId& bookie : bookies.up.read_only) add_up(bookie, "read-only");
  for (const BookieId& bookie : bookies.down) add(bookie, "down", "");
  PrintRecords(records, session.options().format, "no bookies: start one with stele bookie");
  return absl::OkStatus();
}

}  // namespace

ExitCode RunClusterInit(const ClusterInitCommand& command) {
  return RunInSession(
      command.common, [&](Session& session) { return ClusterInit(session, command.ok_if_exists); },
      /*create_if_missing=*/true);
}

ExitCode RunClusterStatus(const CommonOptions& common) {
  return RunInSession(common, ClusterStatus);
}

ExitCode RunBookiesList(const CommonOptions& common) { return RunInSession(common, BookiesList); }

}  // namespace stele::shell
