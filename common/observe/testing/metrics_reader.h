// MetricsReader: reads Prometheus' text format, version 0.0.4, and accepts nothing that Prometheus
// would not: a second reader of what MetricsText writes, written after the format's description.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace stele::observe {

class MetricsReader {
 public:
  // An error names the line. Beyond the format: each sample has a TYPE before it.
  static absl::StatusOr<MetricsReader> Parse(std::string_view text);

  // The value as it is written; "absent". `sample` is the name with its labels sorted by name:
  // `a_total{b="c",d="e"}`.
  std::string Value(const std::string& sample) const;
  // Names of samples, those with _count and _sum too.
  const std::set<std::string>& names() const { return names_; }
  const std::map<std::string, std::string>& types() const { return types_; }

 private:
  absl::Status ParseLine(std::string_view line);
  absl::Status ParseSample(std::string_view line);

  std::map<std::string, std::string> samples_;
  std::map<std::string, std::string> types_;
  std::set<std::string> names_;
  std::string family_;  // whose samples come now
};

}  // namespace stele::observe
