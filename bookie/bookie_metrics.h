// What a bookie's status looks like to Prometheus. The other measurements export themselves:
// RequestMetrics, BadInput, Server, Checkpointer, Journal. docs/METRICS.md lists them all.
#pragma once

#include <vector>

#include "bookie/bookie.h"
#include "bookie/storage/ledger_storage.h"
#include "common/observe/metrics_text.h"

namespace stele::bookie {

void ExportStatus(const BookieStatus& status, observe::MetricsText& into);
// Of the entry logs that are sealed, as the last garbage collection saw them.
void ExportEntryLogs(const std::vector<EntryLogUsage>& logs, observe::MetricsText& into);

}  // namespace stele::bookie
