// BadInput: how often peers broke the rules, by reason. The log hears of it at a rate that
// strangers cannot raise: each reason at once the first time, then at most once in kLogInterval.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "common/observe/log.h"
#include "common/observe/metrics_text.h"
#include "common/seams/clock.h"

namespace stele::bookie {

class BadInput {
 public:
  static constexpr absl::Duration kLogInterval = absl::Minutes(1);

  // Both outlive it.
  BadInput(Clock* clock, observe::Log* log) : clock_(clock), log_(log) {}

  //   reason   a constant in snake_case, the label of a counter: so there are few
  //   peer     for the log
  void Count(std::string_view reason, std::string_view peer);

  // All counts as lines of the log: what a stopping node leaves behind.
  void LogTotals() const;
  void Export(observe::MetricsText& into) const;

 private:
  struct Reason {
    int64_t count = 0;
    MonotonicTime logged_at;
  };

  Clock* const clock_;
  observe::Log* const log_;
  absl::btree_map<std::string, Reason> reasons_;
};

}  // namespace stele::bookie
