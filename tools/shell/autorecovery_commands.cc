#include "tools/shell/autorecovery_commands.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "autorecovery/repair_backlog.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/autorecovery_records.h"
#include "metadata/autorecovery_settings.h"
#include "metadata/cluster_paths.h"
#include "metadata/underreplicated_queue.h"

namespace stele::shell {
namespace {

using metadata::AutorecoveryRecords;
using metadata::AutorecoverySettings;
using metadata::ClusterPaths;

// Tasks that a listing reads.
constexpr size_t kTasksMax = 1'000'000;

absl::StatusOr<AutorecoveryRecords> RecordsOf(Session& session) {
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  return AutorecoveryRecords(session.store(), cluster);
}

AutorecoverySettings SettingsOf(Session& session) {
  return AutorecoverySettings(session.store(), ClusterPaths(session.uri().root));
}

metadata::UnderreplicatedQueue QueueOf(Session& session) {
  return metadata::UnderreplicatedQueue(
      session.env(), session.store(), ClusterPaths(session.uri().root), "stele",
      {.give_up_at = session.env().clock->Now() + absl::Seconds(10)});
}

std::vector<std::string> Names(const std::map<BookieId, absl::Time>& bookies) {
  std::vector<std::string> names;
  for (const auto& [bookie, since] : bookies) names.push_back(bookie.value());
  return names;
}

absl::Status Status(Session& session) {
  STELE_TRY(metadata::Cluster cluster, session.FindCluster());
  STELE_TRY(const autorecovery::RepairBacklog backlog,
            session.shard().RunUntil(autorecovery::ReadRepairBacklog(session.env(), session.store(),
                                                                     std::move(cluster))));
  const absl::Duration age = backlog.OldestAge(session.env().clock->WallNow());
  const metadata::RepairLimits& limits = backlog.limits;
  Record record;
  record.Set("enabled", backlog.enabled)
      .Set("auditor", backlog.auditor.value_or(""))
      .Set("workers", static_cast<int64_t>(backlog.workers.size()))
      .Set("recovery_delay_seconds", backlog.recovery_delay.has_value()
                                         ? absl::ToInt64Seconds(*backlog.recovery_delay)
                                         : int64_t{-1})
      .Set("lost_bookies", Names(backlog.lost))
      .Set("draining_bookies", Names(backlog.draining))
      .Set("ledgers_marked", static_cast<int64_t>(backlog.tasks.size()))
      .Set("ledgers_locked", static_cast<int64_t>(backlog.locked.size()))
      .Set("ledgers_quarantined", static_cast<int64_t>(backlog.quarantined.size()))
      .Set("replicas_missing_at_most", backlog.ReplicasMissingMax())
      .Set("oldest_mark_seconds", absl::ToInt64Seconds(age))
      .Set("limit_cluster", limits.cluster)
      .Set("limit_source", limits.source)
      .Set("limit_target", limits.target)
      .Set("limit_check", limits.check);
  PrintRecord(record, session.options().format);
  if (backlog.enabled && !backlog.auditor.has_value()) {
    return MakeError(ErrorCode::kNotEnoughBookies,
                     "nobody is auditor: start one with stele autorecovery");
  }
  return absl::OkStatus();
}

bool IsWanted(const AutorecoveryListCommand& command, const std::set<BookieId>& missing,
              bool is_locked) {
  if (command.locked && !is_locked) return false;
  if (!command.missing.empty() && !missing.contains(BookieId(command.missing))) return false;
  return command.not_missing.empty() || !missing.contains(BookieId(command.not_missing));
}

absl::Status List(Session& session, const AutorecoveryListCommand& command) {
  STELE_TRY(AutorecoveryRecords records, RecordsOf(session));
  auto& shard = session.shard();
  metadata::UnderreplicatedQueue queue = QueueOf(session);
  STELE_TRY(auto tasks, shard.RunUntil(queue.List(kTasksMax)));
  STELE_TRY(const auto locks, shard.RunUntil(queue.Locks()));
  STELE_TRY(const auto quarantined, shard.RunUntil(records.Quarantined()));
  std::sort(tasks.begin(), tasks.end(),
            [](const auto& a, const auto& b) { return a.ledger < b.ledger; });
  std::vector<Record> printed;
  for (const metadata::RepairTask& task : tasks) {
    std::vector<std::string> replicas;
    for (const BookieId& bookie : task.mark.replicas) replicas.push_back(bookie.value());
    const auto lock = std::find_if(locks.begin(), locks.end(),
                                   [&](const auto& held) { return held.ledger == task.ledger; });
    const std::set<BookieId> missing(task.mark.replicas.begin(), task.mark.replicas.end());
    if (!IsWanted(command, missing, lock != locks.end())) continue;
    std::string reason;
    if (std::binary_search(quarantined.begin(), quarantined.end(), task.ledger)) {
      STELE_TRY(const auto record, shard.RunUntil(records.Quarantine(task.ledger)));
      if (record.has_value()) reason = record->reason;
    }
    printed.emplace_back();
    printed.back()
        .Set("ledger", task.ledger.value())
        .Set("missing", std::move(replicas))
        .Set("marked",
             task.mark.marked_at.has_value()
                 ? absl::FormatTime(absl::RFC3339_sec, *task.mark.marked_at, absl::UTCTimeZone())
                 : std::string())
        .Set("worker", lock == locks.end() ? std::string() : lock->owner)
        .Set("quarantined", std::move(reason));
  }
  PrintRecords(printed, session.options().format,
               tasks.empty() ? "no ledger is marked for repair" : "no such ledger is marked");
  if (quarantined.empty()) return absl::OkStatus();
  return MakeError(ErrorCode::kCorruptData,
                   StrCat(quarantined.size(),
                          " ledgers have entries that no bookie gives; stele "
                          "ledger explain shows where they were"));
}

absl::Status Switch(Session& session, bool enabled) {
  AutorecoverySettings settings = SettingsOf(session);
  STELE_TRY(const bool changed, session.shard().RunUntil(settings.SetEnabled(enabled)));
  PrintRecord(Record().Set("enabled", enabled).Set("changed", changed), session.options().format);
  if (changed) return absl::OkStatus();
  return MakeError(ErrorCode::kKeyExists, enabled ? "autorecovery is enabled already"
                                                  : "autorecovery is disabled already");
}

absl::Status Limit(Session& session, const LimitCommand& command) {
  STELE_TRY(AutorecoveryRecords records, RecordsOf(session));
  STELE_TRY(metadata::RepairLimits limits, session.shard().RunUntil(records.Limits()));
  const metadata::RepairLimits before = limits;
  limits.cluster = command.cluster.value_or(limits.cluster);
  limits.source = command.source.value_or(limits.source);
  limits.target = command.target.value_or(limits.target);
  limits.check = command.check.value_or(limits.check);
  if (limits != before) STELE_TRY_OK(session.shard().RunUntil(records.SetLimits(limits)));
  PrintRecord(Record()
                  .Set("cluster", limits.cluster)
                  .Set("source", limits.source)
                  .Set("target", limits.target)
                  .Set("check", limits.check),
              session.options().format);
  return absl::OkStatus();
}

absl::Status Delay(Session& session, std::optional<int64_t> seconds) {
  AutorecoverySettings settings = SettingsOf(session);
  if (seconds.has_value()) {
    STELE_TRY_OK(session.shard().RunUntil(settings.SetRecoveryDelay(absl::Seconds(*seconds))));
  }
  STELE_TRY(const auto delay, session.shard().RunUntil(settings.RecoveryDelay()));
  if (!delay.has_value()) {
    return MakeError(ErrorCode::kNoSuchKey, "no delay is set: the first auditor sets it");
  }
  PrintRecord(Record().Set("recovery_delay_seconds", absl::ToInt64Seconds(*delay)),
              session.options().format);
  return absl::OkStatus();
}

absl::Status Audit(Session& session) {
  AutorecoverySettings settings = SettingsOf(session);
  STELE_TRY(const auto delay, session.shard().RunUntil(settings.RecoveryDelay()));
  if (!delay.has_value()) {
    return MakeError(ErrorCode::kNoSuchKey, "no auditor has run in this cluster yet");
  }
  // The same value again is the order.
  STELE_TRY_OK(session.shard().RunUntil(settings.SetRecoveryDelay(*delay)));
  PrintRecord(Record().Set("audit", "ordered"), session.options().format);
  return absl::OkStatus();
}

// Older than any interval that is in use: BookKeeper's own tool takes dates back as far.
constexpr absl::Duration kLongAgo = absl::Hours(24 * 21);

std::string WhenRechecked(const RecheckCommand& command, bool is_enabled) {
  if (!is_enabled) return "once repair is switched on: stele autorecovery enable";
  const std::string_view apache = "with Apache's auditor at its next election";
  if (command.ledgers) return StrCat("now; ", apache);
  return StrCat(command.placement ? "now, if the auditor has a --placement-check; " : "", apache);
}

absl::Status Recheck(Session& session, const RecheckCommand& command) {
  if (!command.ledgers && !command.placement && !command.replicas) {
    return MakeError(ErrorCode::kInvalidArgument, "name a check: --ledgers, --placement, ...");
  }
  AutorecoverySettings settings = SettingsOf(session);
  const absl::Time date = session.env().clock->WallNow() - kLongAgo;
  const auto take_back = [&](bool wanted, metadata::CheckKind kind) -> absl::Status {
    if (!wanted) return absl::OkStatus();
    return session.shard().RunUntil(settings.SetCheckTime(kind, date));
  };
  STELE_TRY_OK(take_back(command.ledgers, metadata::CheckKind::kAllLedgers));
  STELE_TRY_OK(take_back(command.placement, metadata::CheckKind::kPlacement));
  STELE_TRY_OK(take_back(command.replicas, metadata::CheckKind::kReplicas));
  STELE_TRY(const bool is_enabled, session.shard().RunUntil(settings.IsEnabled()));
  PrintRecord(Record()
                  .Set("last_check", absl::FormatTime(absl::RFC3339_sec, date, absl::UTCTimeZone()))
                  .Set("begins", WhenRechecked(command, is_enabled)),
              session.options().format);
  return absl::OkStatus();
}

absl::Status Forget(Session& session, LedgerId ledger) {
  STELE_TRY(AutorecoveryRecords records, RecordsOf(session));
  STELE_TRY(const auto record, session.shard().RunUntil(records.Quarantine(ledger)));
  if (!record.has_value()) {
    return MakeError(ErrorCode::kNoSuchKey,
                     StrCat("ledger ", ledger.value(), " is not in quarantine"));
  }
  STELE_TRY_OK(session.shard().RunUntil(records.ClearQuarantine(ledger)));
  PrintRecord(Record().Set("ledger", ledger.value()).Set("forgotten", record->reason),
              session.options().format);
  return absl::OkStatus();
}

}  // namespace

ExitCode RunAutorecoveryStatus(const CommonOptions& common) { return RunInSession(common, Status); }
ExitCode RunAutorecoveryList(const AutorecoveryListCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return List(session, command); });
}
ExitCode RunAutorecoveryRecheck(const RecheckCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Recheck(session, command); });
}
ExitCode RunAutorecoverySwitch(const CommonOptions& common, bool enabled) {
  return RunInSession(common, [&](Session& session) { return Switch(session, enabled); });
}
ExitCode RunAutorecoveryLimit(const LimitCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Limit(session, command); });
}
ExitCode RunAutorecoveryDelay(const CommonOptions& common, std::optional<int64_t> seconds) {
  return RunInSession(common, [&](Session& session) { return Delay(session, seconds); });
}
ExitCode RunAutorecoveryAudit(const CommonOptions& common) { return RunInSession(common, Audit); }
ExitCode RunAutorecoveryForget(const CommonOptions& common, int64_t ledger) {
  return RunInSession(common, [&](Session& session) { return Forget(session, LedgerId(ledger)); });
}

}  // namespace stele::shell
