// What a bookie's status looks like to Prometheus. The other measurements export themselves:
// RequestMetrics, BadInput, Server, Checkpointer, Journal. docs/METRICS.md lists them all.
#pragma once

#include "bookie/bookie.h"
#include "common/observe/metrics_text.h"

namespace stele::bookie {

void ExportStatus(const BookieStatus& status, observe::MetricsText& into);

}  // namespace stele::bookie
