#include "tools/shell/operations_commands.h"

#include <algorithm>
#include <cstdio>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "autorecovery/drain.h"
#include "autorecovery/recover.h"
#include "autorecovery/references.h"
#include "autorecovery/repair_backlog.h"
#include "autorecovery/restart_check.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/autorecovery_records.h"
#include "metadata/cluster_paths.h"
#include "metadata/ledger_manager.h"
#include "tools/shell/bookie_admin.h"
#include "tools/shell/cluster_access.h"
#include "tools/shell/cookie_commands.h"

namespace stele::shell {
namespace {

using autorecovery::CheckFinding;
using autorecovery::CheckReport;
using autorecovery::DrainPace;
using autorecovery::DrainView;

Record ToRecord(const CheckFinding& finding) {
  Record record;
  record.Set("finding", std::string(NameOf(finding.kind)))
      .Set("ledger", finding.ledger.value())
      .Set("bookie", finding.bookie.value())
      .Set("first_entry", finding.first_entry.value())
      .Set("entries", finding.entries)
      .Set("detail", finding.detail);
  return record;
}

absl::Status Fsck(Session& session, const FsckCommand& command) {
  STELE_TRY(const std::unique_ptr<Checker> checker, Checker::Open(session));
  Progress progress(session.env().clock, "checking ledgers", 0, "ledgers");
  STELE_TRY(
      const CheckReport report,
      session.shard().RunUntil(
          command.ledger >= 0
              ? (*checker)->CheckOne(command.depth, LedgerId(command.ledger))
              : (*checker)->CheckAll(command.depth, static_cast<size_t>(command.ledgers_in_flight),
                                     [&](int64_t done) { progress.Update(done); })));
  std::vector<Record> findings;
  for (const CheckFinding& finding : report.findings) findings.push_back(ToRecord(finding));
  const bool is_table = session.options().format == Format::kTable;
  if (is_table && !findings.empty()) PrintRecords(findings, Format::kTable, "");
  Record record;
  record.Set("ledgers", report.ledgers)
      .Set("open_ledgers", report.open_ledgers)
      .Set("copies", report.copies)
      .Set("copies_proven", report.copies_proven)
      .Set("bytes_read", report.bytes_read)
      .Set("findings", report.finding_count);
  if (!is_table) record.Set("list", std::move(findings));
  PrintRecord(record, session.options().format);
  if (report.IsClean()) return absl::OkStatus();
  return MakeError(ErrorCode::kCorruptData, StrCat(report.copies - report.copies_proven, " of ",
                                                   report.copies, " copies are not proven"));
}

absl::Status Explain(Session& session, LedgerId ledger) {
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  STELE_TRY(const std::unique_ptr<Checker> checker, Checker::Open(session));
  STELE_TRY(const auto fragments, session.shard().RunUntil((*checker)->Explain(ledger)));
  metadata::AutorecoveryRecords records(session.store(), cluster);
  STELE_TRY(const auto quarantine, session.shard().RunUntil(records.Quarantine(ledger)));
  std::vector<Record> members;
  int64_t missing = 0;
  for (const auto& fragment : fragments) {
    for (const auto& member : fragment.members) {
      const int64_t lost = member.is_up ? member.entries_missing : member.entries_expected;
      if (!fragment.is_open) missing += lost;
      std::string state = "complete";
      if (!member.is_up) {
        state = "down";
      } else if (fragment.is_open) {
        state = "open: not asked";
      } else if (!member.has_answered) {
        state = "silent";
      } else if (member.entries_missing > 0) {
        state = "incomplete";
      }
      members.emplace_back();
      members.back()
          .Set("first", fragment.first.value())
          .Set("last", fragment.is_open ? std::string("open") : StrCat(fragment.last.value()))
          .Set("bookie", member.bookie.value())
          .Set("state", state)
          .Set("entries", member.entries_expected)
          .Set("missing", lost);
    }
  }
  const std::string reason = quarantine.has_value() ? quarantine->reason : "";
  if (session.options().format == Format::kJson) {
    PrintRecord(Record()
                    .Set("ledger", ledger.value())
                    .Set("copies_missing", missing)
                    .Set("quarantined", reason)
                    .Set("copies", std::move(members)),
                Format::kJson);
  } else {
    PrintRecords(members, Format::kTable, "no fragments");
    PrintRecord(Record()
                    .Set("ledger", ledger.value())
                    .Set("copies_missing", missing)
                    .Set("quarantined", reason),
                Format::kTable);
  }
  if (missing == 0 && !quarantine.has_value()) return absl::OkStatus();
  return MakeError(ErrorCode::kCorruptData,
                   StrCat("ledger ", ledger.value(), ": ", missing, " copies are missing"));
}

absl::StatusOr<DrainView> LookAt(Session& session, const metadata::Cluster& cluster,
                                 const BookieId& bookie) {
  metadata::LedgerManager ledgers(session.env(), session.store(), cluster.layout);
  metadata::AutorecoveryRecords records(session.store(), cluster);
  return session.shard().RunUntil(autorecovery::LookAtDrain(&ledgers, &records, bookie));
}

std::vector<Record> ToRecords(const std::vector<DrainView::Blocked>& blocked) {
  std::vector<Record> records;
  for (const DrainView::Blocked& ledger : blocked) {
    records.emplace_back();
    records.back().Set("ledger", ledger.ledger.value()).Set("reason", ledger.reason);
  }
  return records;
}

absl::Status CheckExists(Session& session, const BookieId& bookie) {
  return session.shard().RunUntil(autorecovery::CheckBookieExists(
      session.env(), session.store(), metadata::ClusterPaths(session.uri().root), bookie));
}

// What is left to be moved.
struct Left {
  int64_t ledgers = 0;
  int64_t bytes = 0;
  int64_t quarantined = 0;  // of these ledgers: nothing moves them now
};

// Looks again and again, until no ledgers are left, it makes no progress any more, or the limits
// end it.
absl::Status AwaitNone(Session& session, const WaitLimits& limits, std::string what, Left left,
                       absl::FunctionRef<absl::StatusOr<Left>()> look) {
  const int64_t total = left.ledgers;
  Progress progress(session.env().clock, std::move(what), total, "ledgers");
  const MonotonicTime begin = session.env().clock->Now();
  const absl::Duration time_max = limits.timeout_seconds == 0
                                      ? absl::InfiniteDuration()
                                      : absl::Seconds(limits.timeout_seconds);
  DrainPace pace(begin, left.ledgers, left.bytes);
  while (left.ledgers > (limits.skip_quarantined ? left.quarantined : 0)) {
    const absl::Duration time_left = time_max - (session.env().clock->Now() - begin);
    if (time_left <= absl::ZeroDuration()) break;
    session.shard().RunUntil(SleepFor(session.env().executor, session.env().clock,
                                      std::min(autorecovery::kDrainLookInterval, time_left)));
    STELE_TRY(left, look());
    const MonotonicTime now = session.env().clock->Now();
    pace.OnLook(now, left.ledgers, left.bytes);
    progress.Update(std::max<int64_t>(total - left.ledgers, 0), pace.Remaining(now));
    if (pace.IsStuck(now)) break;
  }
  return absl::OkStatus();
}

// The ledgers that name a bookie, and those among them that are in quarantine.
struct Named {
  int64_t ledgers = 0;
  std::vector<std::string> quarantined;
};

absl::StatusOr<Named> LedgersThatName(Session& session, const metadata::Cluster& cluster,
                                      const BookieId& bookie) {
  STELE_TRY(const auto references, ReferencesTo(session, bookie));
  metadata::AutorecoveryRecords records(session.store(), cluster);
  STELE_TRY(const auto quarantined, session.shard().RunUntil(records.Quarantined()));
  Named named{.ledgers = static_cast<int64_t>(references.size())};
  for (const autorecovery::Reference& reference : references) {
    if (!std::binary_search(quarantined.begin(), quarantined.end(), reference.ledger)) continue;
    named.quarantined.push_back(StrCat(reference.ledger.value()));
  }
  return named;
}

absl::Status OrderDrain(Session& session, const metadata::Cluster& cluster,
                        const DrainCommand& command) {
  const BookieId bookie(command.bookie);
  if (command.token_path.empty()) {
    std::fprintf(stderr,
                 "new ledgers may still choose it: --token-file makes it read-only first\n");
  } else {
    STELE_TRY(BookieAdmin admin, BookieAdmin::Open(session, bookie, command.token_path));
    STELE_TRY_OK(admin.SetReadOnly(true));
  }
  metadata::AutorecoveryRecords records(session.store(), cluster);
  STELE_TRY(const bool is_new,
            session.shard().RunUntil(records.SetDraining(bookie, session.env().clock->WallNow())));
  (void)is_new;  // a drain that goes on is watched like a new one
  return absl::OkStatus();
}

absl::Status Drain(Session& session, const DrainCommand& command) {
  const BookieId bookie(command.bookie);
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  STELE_TRY_OK(CheckExists(session, bookie));
  STELE_TRY(DrainView view, LookAt(session, cluster, bookie));
  const int64_t total = view.ledgers_left;
  if (command.dry_run) {
    PrintRecord(Record()
                    .Set("bookie", bookie.value())
                    .Set("ledgers_to_move", total)
                    .Set("bytes_to_move", view.bytes_left)
                    .Set("ledgers_open", view.ledgers_open),
                session.options().format);
    return absl::OkStatus();
  }
  STELE_TRY_OK(OrderDrain(session, cluster, command));
  Named named;
  const auto look = [&]() -> absl::StatusOr<Left> {
    STELE_TRY(view, LookAt(session, cluster, bookie));
    // One more pass over the metadata of all ledgers.
    if (command.limits.skip_quarantined) {
      STELE_TRY(named, LedgersThatName(session, cluster, bookie));
    }
    return Left{view.ledgers_left, view.bytes_left, static_cast<int64_t>(named.quarantined.size())};
  };
  if (command.wait) {
    STELE_TRY(const Left left, look());
    STELE_TRY_OK(
        AwaitNone(session, command.limits, StrCat("draining ", bookie.value()), left, look));
  }
  PrintRecord(Record()
                  .Set("bookie", bookie.value())
                  .Set("drained", view.IsDrained())
                  .Set("ledgers_moved", std::max<int64_t>(total - view.ledgers_left, 0))
                  .Set("ledgers_left", view.ledgers_left)
                  .Set("quarantined", named.quarantined)
                  .Set("ledgers_open", view.ledgers_open)
                  .Set("blocked", ToRecords(view.blocked)),
              session.options().format);
  if (view.IsDrained() || !command.wait) return absl::OkStatus();
  return MakeError(
      ErrorCode::kNotEnoughBookies,
      StrCat("metadata still names ", bookie.value(), " in ", view.ledgers_left + view.ledgers_open,
             " ledgers", view.ledgers_unreadable > 0 ? ", some cannot be read" : "",
             "; the drain goes on until stele node undrain"));
}

absl::Status Undrain(Session& session, const BookieId& bookie) {
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  metadata::AutorecoveryRecords records(session.store(), cluster);
  STELE_TRY(const bool was, session.shard().RunUntil(records.ClearDraining(bookie)));
  if (!was) {
    return MakeError(ErrorCode::kNoSuchKey, StrCat("bookie ", bookie.value(), " is not draining"));
  }
  PrintRecord(Record().Set("bookie", bookie.value()).Set("draining", false),
              session.options().format);
  return absl::OkStatus();
}

absl::Status NodeStatus(Session& session, const BookieId& bookie) {
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  STELE_TRY_OK(CheckExists(session, bookie));
  STELE_TRY(const std::unique_ptr<Checker> checker, Checker::Open(session));
  metadata::AutorecoveryRecords records(session.store(), cluster);
  STELE_TRY(const auto draining, session.shard().RunUntil(records.Draining()));
  STELE_TRY(const auto in_limbo, session.shard().RunUntil(records.InLimbo()));
  STELE_TRY(const DrainView view, LookAt(session, cluster, bookie));
  const bool is_draining = draining.contains(bookie);
  // Only one that answers can tell.
  const auto space = session.shard().RunUntil((*checker)->SpaceOf(bookie));
  PrintRecord(Record()
                  .Set("bookie", bookie.value())
                  .Set("disk_bytes", space.ok() ? space->total_bytes : 0)
                  .Set("disk_bytes_free", space.ok() ? space->free_bytes : 0)
                  .Set("state", std::string(!is_draining       ? "active"
                                            : view.IsDrained() ? "drained"
                                                               : "draining"))
                  .Set("in_limbo", in_limbo.contains(bookie))
                  .Set("ledgers", view.ledgers_left)
                  .Set("bytes", view.bytes_left)
                  .Set("ledgers_open", view.ledgers_open)
                  .Set("blocked", is_draining ? ToRecords(view.blocked) : std::vector<Record>()),
              session.options().format);
  return absl::OkStatus();
}

absl::Status Recover(Session& session, const RecoverCommand& command) {
  const BookieId bookie(command.bookie);
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  STELE_TRY_OK(session.shard().RunUntil(
      autorecovery::CheckBookiesAreDown(session.env(), session.store(), cluster, {bookie})));
  autorecovery::MarkedLedgers marked;
  if (!command.dry_run) {
    STELE_TRY(const auto all, session.shard().RunUntil(autorecovery::MarkLedgersOf(
                                  session.env(), session.store(), cluster, {bookie})));
    marked = all.at(bookie);
  }
  STELE_TRY(Named named, LedgersThatName(session, cluster, bookie));
  const int64_t total = std::max(marked.ledgers, named.ledgers);
  const auto left = [&] {
    return Left{.ledgers = named.ledgers,
                .quarantined = static_cast<int64_t>(named.quarantined.size())};
  };
  const auto look = [&]() -> absl::StatusOr<Left> {
    STELE_TRY(named, LedgersThatName(session, cluster, bookie));
    return left();
  };
  if (command.wait && !command.dry_run) {
    STELE_TRY_OK(
        AwaitNone(session, command.limits, StrCat("recovering ", bookie.value()), left(), look));
  }
  const bool is_out = named.ledgers == 0 && command.delete_cookie && !command.dry_run;
  if (is_out) STELE_TRY_OK(DeleteCookieOfADownBookie(session, bookie));
  PrintRecord(Record()
                  .Set("bookie", bookie.value())
                  .Set("ledgers", total)
                  .Set("newly_marked", marked.marked)
                  .Set("ledgers_left", named.ledgers)
                  .Set("quarantined", named.quarantined)
                  .Set("cookie_deleted", is_out),
              session.options().format);
  if (named.ledgers == 0 || command.dry_run || !command.wait) return absl::OkStatus();
  return MakeError(ErrorCode::kNotEnoughBookies,
                   StrCat(named.ledgers, " ledgers still name ", bookie.value(),
                          "; stele autorecovery list shows them"));
}

absl::Status Gate(Session& session, const GateCommand& command) {
  STELE_TRY(const metadata::Cluster cluster, session.FindCluster());
  STELE_TRY(const autorecovery::RepairBacklog backlog,
            session.shard().RunUntil(
                autorecovery::ReadRepairBacklog(session.env(), session.store(), cluster)));
  autorecovery::RestartQuestion question{.bookies = backlog.bookies,
                                         .under_repair = backlog.UnderRepair(),
                                         .in_limbo = backlog.in_limbo};
  for (const std::string& bookie : command.bookies) question.stopping.insert(BookieId(bookie));
  question.rules.copies_min = static_cast<int>(command.copies_min);
  metadata::LedgerManager ledgers(session.env(), session.store(), cluster.layout);
  STELE_TRY(const autorecovery::RestartVerdict verdict,
            session.shard().RunUntil(autorecovery::CheckRestart(&ledgers, std::move(question))));
  std::vector<Record> refusals;
  for (const auto& [kind, count] : verdict.counts) {
    std::vector<std::string> examples;
    const auto named = verdict.examples.find(kind);
    if (named != verdict.examples.end()) {
      for (LedgerId ledger : named->second) examples.push_back(StrCat(ledger.value()));
    }
    refusals.emplace_back();
    refusals.back()
        .Set("code", std::string(LabelOf(kind)))
        .Set("because", std::string(ReasonOf(kind)))
        .Set("ledgers", count)
        .Set("first", std::move(examples));
  }
  const bool is_table = session.options().format == Format::kTable;
  if (is_table && !refusals.empty()) PrintRecords(refusals, Format::kTable, "");
  Record record;
  record.Set("granted", verdict.IsGranted())
      .Set("ledgers", verdict.ledgers)
      .Set("ledgers_touched", verdict.ledgers_touched)
      .Set("ensemble_size_max", int64_t{verdict.ensemble_size_max})
      .Set("writable_left", verdict.writable_left);
  if (!is_table) record.Set("refusals", std::move(refusals));
  PrintRecord(record, session.options().format);
  if (verdict.IsGranted()) return absl::OkStatus();
  return MakeError(ErrorCode::kNotEnoughBookies, "do not stop them now");
}

}  // namespace

ExitCode RunRecover(const RecoverCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Recover(session, command); });
}
ExitCode RunGateRestart(const GateCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Gate(session, command); });
}
ExitCode RunClusterFsck(const FsckCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Fsck(session, command); });
}
ExitCode RunLedgerExplain(const CommonOptions& common, int64_t ledger) {
  return RunInSession(common, [&](Session& session) { return Explain(session, LedgerId(ledger)); });
}
ExitCode RunNodeDrain(const DrainCommand& command) {
  return RunInSession(command.common, [&](Session& session) { return Drain(session, command); });
}
ExitCode RunNodeUndrain(const CommonOptions& common, const std::string& bookie) {
  return RunInSession(common, [&](Session& session) { return Undrain(session, BookieId(bookie)); });
}
ExitCode RunNodeStatus(const CommonOptions& common, const std::string& bookie) {
  return RunInSession(common,
                      [&](Session& session) { return NodeStatus(session, BookieId(bookie)); });
}

}  // namespace stele::shell
