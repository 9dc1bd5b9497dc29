// MetricsText: measurements in Prometheus' text format, version 0.0.4, in the dialect of
// BookKeeper's exporter: latencies are summaries in milliseconds with the label `success`.
//
// A family's samples stand together under one TYPE line, in the order in which they came; families
// are sorted by name. Names may have any characters: what the format does not allow becomes '_'.
// Each name has one type, and each name with its labels comes once; else it is a bug of the caller.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "absl/container/btree_map.h"
#include "common/base/time.h"
#include "common/observe/summary.h"

namespace stele::observe {

inline constexpr std::string_view kMetricsContentType = "text/plain; version=0.0.4; charset=utf-8";

struct MetricLabel {
  std::string_view name;
  std::string_view value;
};

class MetricsText {
 public:
  using Labels = std::initializer_list<MetricLabel>;

  // `now`: when the quantiles are taken.
  explicit MetricsText(MonotonicTime now) : now_(now) {}

  void Counter(std::string_view name, Labels labels, int64_t value) {
    Sample(name, "counter", labels, std::to_string(value));
  }
  // The value is `value` / 10^`decimals`.
  void Gauge(std::string_view name, Labels labels, int64_t value, int decimals = 0);
  // In milliseconds, of nanoseconds.
  void OfLatency(std::string_view name, Labels labels, const Latency& latency);
  // In the unit of what was recorded. As in BookKeeper's, they have the label `success`, too; all
  // of them are successes.
  void OfSizes(std::string_view name, Labels labels, const Summary& sizes);

  std::string ToString() const;

 private:
  struct Family {
    std::string_view type;
    std::string samples;
  };

  Family& FamilyOf(std::string_view name, std::string_view type);
  void Sample(std::string_view name, std::string_view type, Labels labels, std::string_view value);
  //   decimals   the recorded values are divided by 10^decimals
  void OfSummary(std::string_view name, Labels labels, std::string_view success,
                 const Summary& summary, int decimals);

  const MonotonicTime now_;
  absl::btree_map<std::string, Family> families_;
};

}  // namespace stele::observe
