#include "tools/shell/removal_command.h"

#include <optional>
#include <utility>
#include <vector>

#include "autorecovery/repair_backlog.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/cluster_removal.h"
#include "tools/shell/cluster_access.h"

namespace stele::shell {
namespace {

using metadata::Cluster;

// What would go, and who is in the way.
struct Contents {
  int64_t ledgers = 0;
  int64_t ledgers_marked = 0;
  int64_t bookies = 0;               // with a cookie
  std::vector<std::string> running;  // bookies, auditor, workers
  std::vector<std::string> others;   // names that belong to no cluster
};

absl::StatusOr<Contents> Look(Session& session, const Cluster& cluster) {
  Contents contents;
  STELE_TRY(contents.ledgers, CountLedgers(session, cluster));
  STELE_TRY(const autorecovery::RepairBacklog backlog,
            session.shard().RunUntil(
                autorecovery::ReadRepairBacklog(session.env(), session.store(), cluster)));
  contents.ledgers_marked = static_cast<int64_t>(backlog.tasks.size());
  contents.bookies = static_cast<int64_t>(backlog.joined.size());
  for (const auto* up : {&backlog.bookies.writable, &backlog.bookies.read_only}) {
    for (const BookieId& bookie : *up) contents.running.push_back(bookie.value());
  }
  if (backlog.auditor.has_value()) contents.running.push_back(StrCat("auditor ", *backlog.auditor));
  for (const std::string& worker : backlog.workers) {
    contents.running.push_back(StrCat("worker ", worker));
  }
  STELE_TRY(contents.others, session.shard().RunUntil(metadata::NamesOfNoCluster(
                                 session.store(), cluster.layout.root())));
  return contents;
}

absl::Status CheckIsMeant(const RemovalCommand& command, const Cluster& cluster,
                          const std::string& instance) {
  if (!command.root.empty() && command.root != cluster.layout.root()) {
    return MakeError(
        ErrorCode::kInvalidArgument,
        StrCat("--root is ", command.root, ", but the metadata URI names ", cluster.layout.root()));
  }
  if (command.instance == instance) return absl::OkStatus();
  if (command.instance.empty() && command.dry_run) return absl::OkStatus();
  return MakeError(
      ErrorCode::kInvalidArgument,
      command.instance.empty()
          ? StrCat("nothing was removed: --instance ", instance, " says that you mean it")
          : StrCat("--instance is ", command.instance, ", but this cluster's instance id is ",
                   instance));
}

absl::Status CheckIsIdle(const Contents& contents) {
  if (!contents.running.empty()) {
    return MakeError(ErrorCode::kMetadataConflict,
                     StrCat(contents.running.front(), " runs, one of ", contents.running.size(),
                            ": stop all bookies and all autorecovery first"));
  }
  if (contents.others.empty()) return absl::OkStatus();
  return MakeError(ErrorCode::kMetadataConflict,
                   StrCat("\"", contents.others.front(),
                          "\" belongs to no cluster: look what it is, and remove it yourself"));
}

// Also one whose removal was begun and not completed.
absl::StatusOr<Cluster> FindClusterToRemove(Session& session) {
  STELE_TRY(std::optional<Cluster> begun,
            session.shard().RunUntil(metadata::FindRemoval(session.store(), session.uri().root)));
  if (begun.has_value()) return *std::move(begun);
  return session.FindCluster();
}

absl::Status Remove(Session& session, const RemovalCommand& command) {
  STELE_TRY(const Cluster cluster, FindClusterToRemove(session));
  // Clusters of old have none: their root is their name.
  const std::string instance = cluster.instance_id.value_or(cluster.layout.root());
  STELE_TRY(const Contents contents, Look(session, cluster));
  const absl::Status meant = CheckIsMeant(command, cluster, instance);
  const absl::Status idle = CheckIsIdle(contents);
  const bool does_it = meant.ok() && idle.ok() && !command.dry_run;
  std::string instance_now = instance;
  if (does_it) {
    Progress progress(session.env().clock, "removing", contents.ledgers, "ledgers");
    const absl::Status removed = session.shard().RunUntil(metadata::RemoveCluster(
        session.env(), session.store(), cluster,
        command.begins_anew ? metadata::Afterwards::kEmptyCluster : metadata::Afterwards::kNothing,
        [&progress](int64_t ledgers) { progress.Update(ledgers); }));
    if (!removed.ok()) {
      return WithContext(
          removed, StrCat("not complete (stele cluster ", command.begins_anew ? "format" : "nuke",
                          " --instance ", instance, " goes on)"));
    }
    if (command.begins_anew) {
      STELE_TRY(const Cluster anew, session.FindCluster());
      instance_now = anew.instance_id.value_or("");
    } else {
      instance_now.clear();
    }
  }
  PrintRecord(Record()
                  .Set("metadata", session.options().metadata_uri)
                  .Set("root", cluster.layout.root())
                  .Set("instance", instance)
                  .Set("ledgers", contents.ledgers)
                  .Set("ledgers_marked", contents.ledgers_marked)
                  .Set("bookies", contents.bookies)
                  .Set("running", contents.running)
                  .Set("others", contents.others)
                  .Set("removed", does_it)
                  .Set("instance_now", instance_now),
              session.options().format);
  return meant.ok() ? idle : meant;
}

}  // namespace

ExitCode RunClusterRemoval(const RemovalCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Remove(session, command); });
}

}  // namespace stele::shell
