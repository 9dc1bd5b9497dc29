// What an auditor's audits and checks took and what they found, under BookKeeper's names
// (docs/METRICS.md). Counts that others read too are in AuditorStatus.
#pragma once

#include "autorecovery/autorecovery_status.h"
#include "common/base/time.h"
#include "common/observe/metrics_text.h"
#include "common/observe/summary.h"
#include "metadata/ledger_metadata.h"

namespace stele::autorecovery {

struct AuditorMeters {
  observe::Latency audits;
  observe::Latency markings;
  observe::Latency ledger_checks;
  observe::Latency placement_checks;
  observe::Summary ledgers_found;  // by an audit that found any
  observe::Summary bytes_found;    // of these
  observe::Summary fragments;      // of each ledger that was checked
  observe::Summary bookies;        // the same: different ones

  // A ledger is checked.
  void OnChecked(const metadata::LedgerMetadata& metadata, MonotonicTime now);

  void Export(const AuditorStatus& status, observe::MetricsText& into) const;
};

}  // namespace stele::autorecovery
