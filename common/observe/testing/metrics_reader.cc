#include "common/observe/testing/metrics_reader.h"

#include <cstdlib>

#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::observe {
namespace {

absl::Status Bad(std::string_view what, std::string_view line) {
  return absl::InvalidArgumentError(StrCat(what, ": ", line));
}

bool IsNameChar(char c, bool first, bool colons) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colons && c == ':') ||
         (!first && c >= '0' && c <= '9');
}

std::string TakeName(std::string_view& from, bool colons) {
  size_t size = 0;
  while (size < from.size() && IsNameChar(from[size], size == 0, colons)) ++size;
  std::string name(from.substr(0, size));
  from.remove_prefix(size);
  return name;
}

bool Take(std::string_view& from, std::string_view expected) {
  if (!from.starts_with(expected)) return false;
  from.remove_prefix(expected.size());
  return true;
}

bool IsNumber(const std::string& text) {
  if (text == "NaN" || text == "+Inf" || text == "-Inf") return true;
  char* end = nullptr;
  std::strtod(text.c_str(), &end);
  return !text.empty() && *end == '\0' && text.find_first_not_of("0123456789+-.eE") == text.npos;
}

// The inside of {...}.
absl::StatusOr<std::map<std::string, std::string>> TakeLabels(std::string_view& from) {
  std::map<std::string, std::string> labels;
  while (!Take(from, "}")) {
    if (!labels.empty() && !Take(from, ",")) return absl::InvalidArgumentError("no comma");
    const std::string name = TakeName(from, false);
    if (name.empty() || !Take(from, "=\"")) return absl::InvalidArgumentError("no label");
    std::string value;  // kept escaped
    while (!from.empty() && from[0] != '"') {
      const size_t size = from[0] == '\\' ? 2 : 1;
      if (size == 2 && (from.size() < 2 || std::string_view("\\\"n").find(from[1]) == from.npos)) {
        return absl::InvalidArgumentError("an unknown escape");
      }
      value += from.substr(0, size);
      from.remove_prefix(size);
    }
    if (!Take(from, "\"")) return absl::InvalidArgumentError("no end of a label");
    if (!labels.emplace(name, value).second) return absl::InvalidArgumentError("a label twice");
  }
  return labels;
}

}  // namespace

absl::StatusOr<MetricsReader> MetricsReader::Parse(std::string_view text) {
  MetricsReader reader;
  if (!text.ends_with('\n')) return Bad("no end of the last line", text.substr(0, 80));
  while (!text.empty()) {
    const size_t end = text.find('\n');
    STELE_TRY_OK(reader.ParseLine(text.substr(0, end)));
    text.remove_prefix(end + 1);
  }
  return reader;
}

absl::Status MetricsReader::ParseLine(std::string_view line) {
  if (!line.starts_with('#')) return ParseSample(line);
  std::string_view rest = line;
  if (!Take(rest, "# TYPE ")) return Bad("neither a type nor a sample", line);
  family_ = TakeName(rest, true);
  if (family_.empty() || !Take(rest, " ")) return Bad("no name", line);
  if (rest != "counter" && rest != "gauge" && rest != "summary") return Bad("no type", line);
  if (!types_.emplace(family_, rest).second) return Bad("the samples do not stand together", line);
  return absl::OkStatus();
}

absl::Status MetricsReader::ParseSample(std::string_view line) {
  std::string_view rest = line;
  const std::string name = TakeName(rest, true);
  if (name.empty()) return Bad("no name", line);
  std::map<std::string, std::string> labels;
  if (Take(rest, "{")) {
    auto parsed = TakeLabels(rest);
    if (!parsed.ok()) return Bad(ToStd(parsed.status().message()), line);
    labels = *std::move(parsed);
  }
  if (!Take(rest, " ") || !IsNumber(std::string(rest))) return Bad("no value", line);
  const bool is_summary = types_[family_] == "summary";
  const bool is_part = is_summary && (name == family_ + "_count" || name == family_ + "_sum");
  if (name != family_ && !is_part) return Bad("not of the family above", line);
  if (is_summary && !is_part && !labels.contains("quantile")) return Bad("no quantile", line);
  std::string sample;
  for (const auto& [label, value] : labels) {
    sample += StrCat(sample.empty() ? "{" : ",", label, "=\"", value, "\"");
  }
  if (!sample.empty()) sample += "}";
  if (!samples_.emplace(name + sample, rest).second) return Bad("a sample twice", line);
  names_.insert(name);
  return absl::OkStatus();
}

std::string MetricsReader::Value(const std::string& sample) const {
  const auto found = samples_.find(sample);
  return found == samples_.end() ? "absent" : found->second;
}

}  // namespace stele::observe
