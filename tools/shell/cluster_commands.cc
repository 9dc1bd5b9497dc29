#include "tools/shell/cluster_commands.h"

#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "autorecovery/repair_backlog.h"
#include "autorecovery/restart_check.h"
#include "common/async/run_concurrently.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/bookie_registry.h"
#include "metadata/bookie_service_info.h"
#include "metadata/cluster_paths.h"
#include "metadata/ledger_manager.h"
#include "tools/shell/cluster_access.h"
#include "tools/shell/diagnosis.h"

namespace stele::shell {
namespace {

using metadata::BookieRegistry;
using metadata::BookieSet;
using metadata::Cluster;
using metadata::LayoutType;

// Bookies that are asked at the same time.
constexpr size_t kAskedMax = 32;

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

using Spaces = std::map<BookieId, absl::StatusOr<autorecovery::BookieSpace>>;

Task<absl::Status> AskOne(autorecovery::ClusterCheck* cluster, BookieId bookie, Spaces* into) {
  absl::StatusOr<autorecovery::BookieSpace> space = co_await cluster->SpaceOf(bookie);
  into->insert_or_assign(std::move(bookie), std::move(space));
  co_return absl::OkStatus();
}

// Of the bookies that are up.
std::vector<BookieId> All(const BookieSet& bookies) {
  std::vector<BookieId> all = bookies.writable;
  all.insert(all.end(), bookies.read_only.begin(), bookies.read_only.end());
  return all;
}

// Asks many at a time: one that hangs costs its timeout once.
Spaces SpacesOf(Session& session, const Checker& checker, const std::vector<BookieId>& bookies) {
  Spaces spaces;
  const auto ask = [&](size_t i) { return AskOne(checker.get(), bookies[i], &spaces); };
  session.shard()
      .RunUntil(RunConcurrently(session.env().executor, bookies.size(), kAskedMax, ask))
      .IgnoreError();
  return spaces;
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
  STELE_TRY(const int64_t ledgers, CountLedgers(session, cluster));
  STELE_TRY(const autorecovery::RepairBacklog backlog,
            session.shard().RunUntil(
                autorecovery::ReadRepairBacklog(session.env(), session.store(), cluster)));
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
      .Set("ledgers", ledgers)
      .Set("ledgers_marked", static_cast<int64_t>(backlog.tasks.size()))
      .Set("autorecovery_enabled", backlog.enabled)
      .Set("auditor", backlog.auditor.value_or(""));
  PrintRecord(record, session.options().format);
  if (bookies.up.writable.empty()) {
    return MakeError(ErrorCode::kNotEnoughBookies,
                     "no bookie is writable: start one with stele bookie");
  }
  return absl::OkStatus();
}

absl::Status BookiesList(Session& session, const std::string& wanted) {
  STELE_TRY(const Cluster cluster, session.FindCluster());
  BookieRegistry registry(session.env(), session.store(),
                          metadata::ClusterPaths(session.uri().root));
  STELE_TRY(const BookieOverview bookies, session.shard().RunUntil(LookAtBookies(&registry)));
  std::vector<Record> records;
  const auto add = [&](const BookieId& bookie, std::string state, bool is_up) {
    if (!wanted.empty() && wanted != state && (wanted != "up" || !is_up)) return;
    std::string address;
    if (is_up) {
      const absl::StatusOr<Endpoint> at = session.shard().RunUntil(registry.Resolve(bookie));
      if (at.ok()) address = StrCat(at->host, ":", at->port);
    }
    records.emplace_back();
    records.back()
        .Set("bookie", bookie.value())
        .Set("state", std::move(state))
        .Set("address", std::move(address));
  };
  for (const BookieId& bookie : bookies.up.writable) add(bookie, "writable", true);
  for (const BookieId& bookie : bookies.up.read_only) add(bookie, "read-only", true);
  for (const BookieId& bookie : bookies.down) add(bookie, "down", false);
  PrintRecords(records, session.options().format,
               wanted.empty() ? "no bookies: start one with stele bookie" : "no such bookies");
  return absl::OkStatus();
}

absl::Status BookiesShow(Session& session, const std::string& bookie) {
  STELE_TRY(const metadata::Node node, ReadRegistration(session, BookieId(bookie)));
  STELE_TRY(const metadata::BookieServiceInfo info,
            metadata::ParseBookieServiceInfo(BookieId(bookie), node.value));
  std::vector<Record> endpoints;
  for (const auto& endpoint : info.endpoints) {
    endpoints.emplace_back();
    endpoints.back()
        .Set("endpoint", endpoint.id)
        .Set("protocol", endpoint.protocol)
        .Set("address", StrCat(endpoint.host, ":", endpoint.port))
        .Set("auth", endpoint.auth)
        .Set("extensions", endpoint.extensions);
  }
  std::vector<std::string> properties;
  for (const auto& [key, value] : info.properties) properties.push_back(key + "=" + value);
  Record record;
  record.Set("bookie", bookie).Set("properties", std::move(properties));
  if (session.options().format == Format::kJson) {
    record.Set("endpoints", std::move(endpoints));
    PrintRecord(record, Format::kJson);
    return absl::OkStatus();
  }
  PrintRecord(record, Format::kTable);
  PrintRecords(endpoints, Format::kTable, "no endpoints");
  return absl::OkStatus();
}

absl::Status BookiesSpace(Session& session) {
  STELE_TRY(const auto registry, OpenRegistry(session));
  STELE_TRY(const auto checker, Checker::Open(session));
  const std::vector<BookieId> up = All(registry->bookies());
  std::vector<Record> records;
  int64_t total = 0;
  int64_t free = 0;
  int64_t silent = 0;
  for (const auto& [bookie, space] : SpacesOf(session, *checker, up)) {
    records.emplace_back();
    records.back()
        .Set("bookie", bookie.value())
        .Set("disk_bytes", space.ok() ? space->total_bytes : 0)
        .Set("disk_bytes_free", space.ok() ? space->free_bytes : 0)
        .Set("error", std::string(space.ok() ? "" : NameOf(CodeOf(space.status()))));
    if (!space.ok()) ++silent;
    total += space.ok() ? space->total_bytes : 0;
    free += space.ok() ? space->free_bytes : 0;
  }
  const bool is_table = session.options().format == Format::kTable;
  if (is_table) PrintRecords(records, Format::kTable, "no bookies are up");
  Record sum;
  sum.Set("bookies", static_cast<int64_t>(up.size()))
      .Set("silent", silent)
      .Set("disk_bytes", total)
      .Set("disk_bytes_free", free);
  if (!is_table) sum.Set("list", std::move(records));
  PrintRecord(sum, session.options().format);
  if (silent == 0) return absl::OkStatus();
  return MakeError(ErrorCode::kNotEnoughBookies, StrCat(silent, " bookies do not answer"));
}

absl::StatusOr<Examination> Examine(Session& session) {
  STELE_TRY(const Cluster cluster, session.FindCluster());
  Examination seen;
  STELE_TRY(seen.backlog, session.shard().RunUntil(autorecovery::ReadRepairBacklog(
                              session.env(), session.store(), cluster)));
  metadata::LedgerManager ledgers(session.env(), session.store(), cluster.layout);
  STELE_TRY(const autorecovery::RestartVerdict verdict,
            session.shard().RunUntil(
                autorecovery::CheckRestart(&ledgers, {.bookies = seen.backlog.bookies})));
  seen.ledgers = verdict.ledgers;
  seen.ledgers_unreadable = verdict.ledgers_unreadable;
  seen.ensemble_size_max = verdict.ensemble_size_max;
  STELE_TRY(const auto checker, Checker::Open(session));
  seen.spaces = SpacesOf(session, *checker, All(seen.backlog.bookies));
  seen.now = session.env().clock->WallNow();
  return seen;
}

absl::Status ClusterDoctor(Session& session) {
  STELE_TRY(const Examination seen, Examine(session));
  std::vector<Record> records;
  int64_t critical = 0;
  for (const Diagnosis& found : Diagnose(seen)) {
    critical += found.severity == Severity::kCritical ? 1 : 0;
    records.emplace_back();
    records.back()
        .Set("severity", std::string(NameOf(found.severity)))
        .Set("name", found.name)
        .Set("subject", found.subject)
        .Set("finding", found.finding)
        .Set("remedy", found.remedy);
  }
  PrintRecords(records, session.options().format, "nothing is wrong that can be seen from here");
  if (records.empty()) return absl::OkStatus();
  return MakeError(critical > 0 ? ErrorCode::kCorruptData : ErrorCode::kNotEnoughBookies,
                   StrCat(records.size(), " findings, ", critical, " critical"));
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

ExitCode RunClusterDoctor(const CommonOptions& common) {
  return RunInSession(common, ClusterDoctor);
}

ExitCode RunBookiesList(const BookiesListCommand& command) {
  return RunInSession(command.common,
                      [&](Session& session) { return BookiesList(session, command.state); });
}

ExitCode RunBookiesShow(const CommonOptions& common, const std::string& bookie) {
  return RunInSession(common, [&](Session& session) { return BookiesShow(session, bookie); });
}

ExitCode RunBookiesSpace(const CommonOptions& common) { return RunInSession(common, BookiesSpace); }

}  // namespace stele::shell
