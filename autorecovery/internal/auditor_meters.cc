#include "autorecovery/internal/auditor_meters.h"

#include <algorithm>
#include <set>

namespace stele::autorecovery {

void AuditorMeters::OnChecked(const metadata::LedgerMetadata& metadata, MonotonicTime now) {
  std::set<BookieId> members;
  for (const metadata::Fragment& fragment : metadata.fragments()) {
    members.insert(fragment.ensemble.begin(), fragment.ensemble.end());
  }
  fragments.Record(now, static_cast<int64_t>(metadata.fragments().size()));
  bookies.Record(now, static_cast<int64_t>(members.size()));
}

void AuditorMeters::Export(const AuditorStatus& status, observe::MetricsText& into) const {
  into.Counter("auditor_election_attempts", {}, status.votes);
  into.OfLatency("auditor_AUDIT_BOOKIES_TIME", {}, audits);
  into.OfLatency("auditor_URL_PUBLISH_TIME_FOR_LOST_BOOKIE", {}, markings);
  into.OfLatency("auditor_CHECK_ALL_LEDGERS_TIME", {}, ledger_checks);
  into.OfLatency("auditor_PLACEMENT_POLICY_CHECK_TIME", {}, placement_checks);
  into.OfSizes("auditor_NUM_UNDER_REPLICATED_LEDGERS", {}, ledgers_found);
  into.OfSizes("auditor_UNDER_REPLICATED_LEDGERS_TOTAL_SIZE", {}, bytes_found);
  into.Counter("auditor_NUM_LEDGERS_CHECKED", {}, status.ledgers_checked);
  into.OfSizes("auditor_NUM_FRAGMENTS_PER_LEDGER", {}, fragments);
  into.OfSizes("auditor_NUM_BOOKIES_PER_LEDGER", {}, bookies);
  if (!status.is_leader) return;  // how far it once was is no news
  // Against what the last audit saw, in ten-thousandths: ledgers come and go meanwhile.
  const int64_t ledgers = std::max<int64_t>(status.ledgers_read, 1);
  into.Gauge("stele_auditor_check_progress_ratio", {{"check", "ledgers"}},
             10'000 * std::min(status.ledgers_in_check, ledgers) / ledgers, 4);
}

}  // namespace stele::autorecovery
