// ExportStatus, ExportBacklog. docs/METRICS.md lists the names.
#include "autorecovery/admin/autorecovery_routes.h"

namespace stele::autorecovery {

using observe::MetricsText;

void ExportStatus(const AuditorStatus& auditor, const WorkerStatus& worker, MetricsText& into) {
  into.Gauge("stele_auditor_leader", {}, auditor.is_leader ? 1 : 0);
  into.Gauge("stele_auditor_storm", {}, auditor.is_storm ? 1 : 0);
  into.Counter("stele_auditor_audits_total", {}, auditor.audits);
  into.Counter("stele_auditor_ledgers_marked_total", {}, auditor.ledgers_marked);
  into.Gauge("stele_auditor_ledgers_unreadable", {}, auditor.ledgers_unreadable);
  into.Counter("stele_auditor_placement_checks_total", {}, auditor.placement_checks);
  into.Gauge("auditor_NUM_LEDGERS_NOT_ADHERING_TO_PLACEMENT_POLICY", {}, auditor.ledgers_off_racks);
  into.Counter("auditor_NUM_BOOKIE_AUDITS_DELAYED", {}, auditor.audits_delayed);
  into.Counter("auditor_NUM_DELAYED_BOOKIE_AUDITS_CANCELLED", {}, auditor.delayed_audits_cancelled);
  into.Counter("replication_worker_NUM_FULL_OR_PARTIAL_LEDGERS_REPLICATED", {},
               worker.ledgers_repaired);
  into.Counter("stele_repair_failed_total", {}, worker.ledgers_failed);
  into.Counter("stele_repair_fenced_total", {}, worker.ledgers_fenced);
  into.Counter("stele_repair_quarantined_total", {}, worker.ledgers_quarantined);
  into.Counter("stele_repair_moved_total", {}, worker.ledgers_moved);
  into.Gauge("stele_repairs_running", {}, worker.repairs_running);
}

void ExportBacklog(const RepairBacklog& backlog, absl::Time now, MetricsText& into) {
  const auto size = [](const auto& container) { return static_cast<int64_t>(container.size()); };
  into.Gauge("stele_autorecovery_enabled", {}, backlog.enabled ? 1 : 0);
  into.Gauge("stele_autorecovery_workers", {}, size(backlog.workers));
  into.Gauge("stele_bookies", {{"state", "writable"}}, size(backlog.bookies.writable));
  into.Gauge("stele_bookies", {{"state", "read_only"}}, size(backlog.bookies.read_only));
  into.Gauge("stele_bookies", {{"state", "lost"}}, size(backlog.lost));
  into.Gauge("stele_bookies", {{"state", "draining"}}, size(backlog.draining));
  into.Gauge("stele_ur_ledgers", {{"state", "marked"}}, size(backlog.tasks));
  into.Gauge("stele_ur_ledgers", {{"state", "locked"}}, size(backlog.locked));
  into.Gauge("stele_ur_ledgers", {{"state", "quarantined"}}, size(backlog.quarantined));
  into.Gauge("stele_ur_replicas_missing_max", {}, backlog.ReplicasMissingMax());
  into.Gauge("stele_ur_oldest_seconds", {}, absl::ToInt64Seconds(backlog.OldestAge(now)));
  for (const auto& [bookie, since] : backlog.lost) {
    into.Gauge("stele_bookie_lost_seconds", {{"bookie", bookie.value()}},
               absl::ToInt64Seconds(now - since));
  }
  if (!backlog.checked_at.has_value()) return;
  into.Gauge("stele_auditor_last_complete_seconds", {{"check", "ledgers"}},
             absl::ToInt64Seconds(now - *backlog.checked_at));
}

}  // namespace stele::autorecovery
