#include "bookie/server/request_metrics.h"

#include <string_view>

#include "common/base/strings.h"

namespace stele::bookie {

using wire::Operation;

void RequestMetrics::OnReply(const wire::RequestHeader& header, wire::ReplyCode code,
                             size_t payload_bytes) {
  const MonotonicTime now = clock_->Now();
  const bool success = code == wire::ReplyCode::kOk;
  Kind& kind = KindOf(header);
  --kind.in_progress;
  kind.latency.Record(success, header.arrived, now);
  if (code == wire::ReplyCode::kTooManyRequests) ++kind.rejected;
  if (!success || payload_bytes == 0) return;
  const auto bytes = static_cast<int64_t>(payload_bytes);
  (header.operation == Operation::kAdd ? added_bytes_ : read_bytes_).Record(now, bytes);
}

void RequestMetrics::Export(observe::MetricsText& into) const {
  constexpr std::string_view kPrefix = "bookkeeper_server_";
  const auto latency = [&](std::string_view name, const Kind& kind) {
    into.OfLatency(StrCat(kPrefix, name), {}, kind.latency);
  };
  const Kind& adds = KindOf(Operation::kAdd);
  const Kind& reads = KindOf(Operation::kRead);
  const Kind& polls = kinds_[kLongPoll];
  const Kind& fences = kinds_[kFence];
  latency("ADD_ENTRY_REQUEST", adds);
  latency("READ_ENTRY_REQUEST", reads);
  latency("READ_ENTRY_FENCE_REQUEST", fences);
  latency("BATCH_READ_ENTRY_REQUEST", KindOf(Operation::kBatchRead));
  latency("READ_ENTRY_LONG_POLL_REQUEST", polls);
  latency("READ_LAC_REQUEST", KindOf(Operation::kReadLac));
  latency("WRITE_LAC_REQUEST", KindOf(Operation::kWriteLac));
  latency("FORCE_LEDGER_REQUEST", KindOf(Operation::kForceLedger));
  latency("GET_BOOKIE_INFO_REQUEST", KindOf(Operation::kGetBookieInfo));
  latency("GET_LIST_OF_ENTRIES_OF_LEDGER_REQUEST", KindOf(Operation::kListEntries));
  into.Gauge(StrCat(kPrefix, "ADD_ENTRY_IN_PROGRESS"), {}, adds.in_progress);
  into.Gauge(StrCat(kPrefix, "READ_ENTRY_IN_PROGRESS"), {}, reads.in_progress + fences.in_progress);
  into.Gauge("stele_long_polls", {}, polls.in_progress);
  into.Counter(StrCat(kPrefix, "ADD_ENTRY_REJECTED"), {}, adds.rejected);
  into.Counter(StrCat(kPrefix, "READ_ENTRY_REJECTED"), {},
               reads.rejected + fences.rejected + polls.rejected);
  into.Counter("bookie_WRITE_BYTES", {}, added_bytes_.sum());
  into.Counter("bookie_READ_BYTES", {}, read_bytes_.sum());
  into.OfSizes("bookie_BOOKIE_ADD_ENTRY_BYTES", {}, added_bytes_);
  into.OfSizes("bookie_BOOKIE_READ_ENTRY_BYTES", {}, read_bytes_);
}

}  // namespace stele::bookie
