#include "common/observe/metrics_text.h"

#include <algorithm>
#include <optional>

#include "common/base/check.h"
#include "common/base/strings.h"

namespace stele::observe {
namespace {

struct Quantile {
  int permyriad;
  std::string_view label;
};
constexpr Quantile kQuantiles[] = {{5'000, "0.5"},  {7'500, "0.75"},  {9'500, "0.95"},
                                   {9'900, "0.99"}, {9'990, "0.999"}, {9'999, "0.9999"},
                                   {10'000, "1.0"}};

std::string LegalName(std::string_view name) {
  std::string legal(name);
  for (char& c : legal) {
    const bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                         (c >= '0' && c <= '9') || c == '_' || c == ':';
    if (!allowed) c = '_';
  }
  if (legal.empty() || (legal[0] >= '0' && legal[0] <= '9')) legal.insert(0, "_");
  return legal;
}

void AppendLabel(std::string& to, std::string_view name, std::string_view value) {
  to += to.empty() ? "{" : ",";
  to += LegalName(name);
  to += "=\"";
  for (const char c : value) {
    switch (c) {
      case '\\': to += "\\\\"; break;
      case '"': to += "\\\""; break;
      case '\n': to += "\\n"; break;
      default: to.push_back(c);
    }
  }
  to += '"';
}

std::string Decimal(int64_t value, int decimals) {
  std::string digits = std::to_string(std::max<int64_t>(value, -value));
  if (decimals > 0) {
    const auto places = static_cast<size_t>(decimals);
    if (digits.size() <= places) digits.insert(0, places + 1 - digits.size(), '0');
    digits.insert(digits.size() - places, ".");
  }
  return value < 0 ? "-" + digits : digits;
}

int64_t TenToThe(int decimals) {
  int64_t power = 1;
  while (decimals-- > 0) power *= 10;
  return power;
}

}  // namespace

MetricsText::Family& MetricsText::FamilyOf(std::string_view name, std::string_view type) {
  Family& family = families_[std::string(name)];
  STELE_CHECK(family.type.empty() || family.type == type);
  family.type = type;
  return family;
}

void MetricsText::Sample(std::string_view name, std::string_view type, Labels labels,
                         std::string_view value) {
  const std::string legal = LegalName(name);
  std::string text;
  for (const MetricLabel& label : labels) AppendLabel(text, label.name, label.value);
  if (!text.empty()) text += '}';
  FamilyOf(legal, type).samples += StrCat(legal, text, " ", value, "\n");
}

void MetricsText::Gauge(std::string_view name, Labels labels, int64_t value, int decimals) {
  Sample(name, "gauge", labels, Decimal(value, decimals));
}

void MetricsText::OfSummary(std::string_view name, Labels labels, std::string_view success,
                            const Summary& summary, int decimals) {
  const std::string legal = LegalName(name);
  std::string common;
  AppendLabel(common, "success", success);
  for (const MetricLabel& label : labels) AppendLabel(common, label.name, label.value);
  std::string& samples = FamilyOf(legal, "summary").samples;
  // Most operations never fail: no histogram for those.
  std::optional<Histogram> recent;
  if (summary.count() > 0) recent = summary.Recent(now_);
  const bool is_quiet = !recent.has_value() || recent->count() == 0;
  for (const Quantile& quantile : kQuantiles) {
    std::string with = common;
    AppendLabel(with, "quantile", quantile.label);
    samples +=
        StrCat(legal, with, "} ",
               is_quiet ? "NaN" : Decimal(recent->Percentile(quantile.permyriad), decimals), "\n");
  }
  common += '}';
  samples += StrCat(legal, "_count", common, " ", summary.count(), "\n");
  samples += StrCat(legal, "_sum", common, " ", summary.sum() / TenToThe(decimals), "\n");
}

void MetricsText::OfLatency(std::string_view name, Labels labels, const Latency& latency) {
  constexpr int kNanosecondsInMilliseconds = 6;
  OfSummary(name, labels, "false", latency.failed, kNanosecondsInMilliseconds);
  OfSummary(name, labels, "true", latency.succeeded, kNanosecondsInMilliseconds);
}

void MetricsText::OfSizes(std::string_view name, Labels labels, const Summary& sizes) {
  OfSummary(name, labels, "false", Summary(), 0);
  OfSummary(name, labels, "true", sizes, 0);
}

std::string MetricsText::ToString() const {
  std::string text;
  for (const auto& [name, family] : families_) {
    text += StrCat("# TYPE ", name, " ", family.type, "\n", family.samples);
  }
  return text;
}

}  // namespace stele::observe
