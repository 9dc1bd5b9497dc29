// RequestMetrics: how many requests of each kind a server has answered, and how long they took from
// their frame's decoding to their answer, waiting included. One shard's; costs a request two looks
// at the clock and a few additions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "common/base/time.h"
#include "common/observe/metrics_text.h"
#include "common/observe/summary.h"
#include "common/seams/clock.h"
#include "common/wire/bookie_messages.h"

namespace stele::bookie {

class RequestMetrics {
 public:
  // `clock` outlives it.
  explicit RequestMetrics(const Clock* clock) : clock_(clock) {}

  MonotonicTime Now() const { return clock_->Now(); }

  // What the header says that the server sets is set.
  void OnRequest(const wire::RequestHeader& header) { ++KindOf(header).in_progress; }
  // The one answer of that request.
  //   payload_bytes   of entry packets: stored, or sent
  void OnReply(const wire::RequestHeader& header, wire::ReplyCode code, size_t payload_bytes);

  // BookKeeper's names: bookkeeper_server_ADD_ENTRY_REQUEST and so on.
  void Export(observe::MetricsText& into) const;

 private:
  struct Kind {
    observe::Latency latency;
    int64_t in_progress = 0;
    int64_t rejected = 0;  // kTooManyRequests
  };

  // By the number of the operation; two kinds of reads are apart: long polls at 0, which is no
  // operation, and those that fence behind the last one.
  static constexpr size_t kLongPoll = 0;
  static constexpr size_t kFence = static_cast<size_t>(wire::Operation::kBatchRead) + 1;
  static constexpr size_t kKinds = kFence + 1;

  Kind& KindOf(const wire::RequestHeader& header) {
    if (header.is_long_poll) return kinds_[kLongPoll];
    return kinds_[header.is_fencing ? kFence : static_cast<size_t>(header.operation)];
  }
  const Kind& KindOf(wire::Operation operation) const {
    return kinds_[static_cast<size_t>(operation)];
  }

  const Clock* const clock_;
  std::array<Kind, kKinds> kinds_;
  observe::Summary added_bytes_;  // of each entry
  observe::Summary read_bytes_;
};

}  // namespace stele::bookie
