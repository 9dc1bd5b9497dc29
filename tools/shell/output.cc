#include "tools/shell/output.h"

#include <algorithm>
#include <cstdio>

#include <unistd.h>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/errors.h"
#include "common/base/strings.h"

namespace stele::shell {
namespace {

std::string PlainValue(const Value& value) {
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  if (const auto* number = std::get_if<int64_t>(&value)) return StrCat(*number);
  if (const auto* number = std::get_if<double>(&value)) return absl::StrFormat("%.2f", *number);
  if (const auto* yes = std::get_if<bool>(&value)) return *yes ? "yes" : "no";
  if (const auto* records = std::get_if<std::vector<Record>>(&value)) {
    std::vector<std::string> lines;
    for (const Record& record : *records) lines.push_back(ToLine(record));
    return absl::StrJoin(lines, "; ");
  }
  return absl::StrJoin(std::get<std::vector<std::string>>(value), ", ");
}

}  // namespace

std::string ToLine(const Record& record) {
  std::string result;
  for (const auto& [name, value] : record.fields()) {
    result += StrCat(result.empty() ? "" : " ", name, "=", PlainValue(value));
  }
  return result;
}

void PrintRecord(const Record& record, Format format) {
  if (format == Format::kJson) {
    std::printf("%s\n", ToJson(record).c_str());
    return;
  }
  size_t width = 0;
  for (const auto& [name, value] : record.fields()) width = std::max(width, name.size());
  for (const auto& [name, value] : record.fields()) {
    std::printf("%-*s  %s\n", static_cast<int>(width), name.c_str(), PlainValue(value).c_str());
  }
}

void PrintRecords(const std::vector<Record>& records, Format format, std::string_view nothing) {
  if (format == Format::kJson) {
    std::printf("[");
    for (size_t i = 0; i < records.size(); ++i) {
      std::printf("%s%s", i == 0 ? "" : ",\n ", ToJson(records[i]).c_str());
    }
    std::printf("]\n");
    return;
  }
  if (records.empty()) {
    std::printf("%s\n", std::string(nothing).c_str());
    return;
  }
  std::vector<std::vector<std::string>> rows(1);
  for (const auto& [name, value] : records[0].fields()) rows[0].push_back(name);
  for (const Record& record : records) {
    rows.emplace_back();
    for (const auto& [name, value] : record.fields()) rows.back().push_back(PlainValue(value));
  }
  std::vector<size_t> widths(rows[0].size());
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  for (const auto& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line += std::string(widths[i] - row[i].size() + 2, ' ');
    }
    std::printf("%s\n", line.c_str());
  }
}

void PrintError(const absl::Status& status, Format format) {
  const std::string message(status.message());
  if (format == Format::kTable) {
    std::fprintf(stderr, "error: %s\n", message.c_str());
    return;
  }
  Record error;
  error.Set("error", std::string(NameOf(CodeOf(status))))
      .Set("message", message)
      .Set("effect", std::string(EffectOf(status) == Effect::kUnknown ? "unknown" : "none"));
  std::fprintf(stderr, "%s\n", ToJson(error).c_str());
}

std::string HumanBytes(int64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? StrCat(bytes, " B") : absl::StrFormat("%.1f %s", value, kUnits[unit]);
}

std::string HumanDuration(absl::Duration time) {
  if (time < absl::Milliseconds(1)) {
    return absl::StrFormat("%.0f us", absl::ToDoubleMicroseconds(time));
  }
  if (time < absl::Seconds(1)) return absl::StrFormat("%.1f ms", absl::ToDoubleMilliseconds(time));
  if (time < absl::Seconds(60)) return absl::StrFormat("%.1f s", absl::ToDoubleSeconds(time));
  const int64_t seconds = absl::ToInt64Seconds(time);
  return StrCat(seconds / 60, " min ", seconds % 60, " s");
}

Progress::Progress(const Clock* clock, std::string what, int64_t total, std::string unit)
    : clock_(clock),
      what_(std::move(what)),
      total_(total),
      unit_(std::move(unit)),
      is_terminal_(isatty(STDERR_FILENO) == 1),
      started_(clock->Now()),
      printed_(started_) {}

Progress::~Progress() {
  if (has_printed_ && is_terminal_) std::fprintf(stderr, "\n");
}

void Progress::Update(int64_t done, std::optional<absl::Duration> left) {
  const MonotonicTime now = clock_->Now();
  const absl::Duration since = now - printed_;
  const bool due = has_printed_
                       ? since >= (is_terminal_ ? absl::Milliseconds(500) : absl::Seconds(10))
                       : since >= absl::Seconds(2);
  if (due) Print(done, now, left);
}

void Progress::Print(int64_t done, MonotonicTime now, std::optional<absl::Duration> left) {
  const double seconds = std::max(0.001, absl::ToDoubleSeconds(now - started_));
  const bool bytes = unit_ == "bytes";
  const auto amount = [&](int64_t value) {
    return bytes ? HumanBytes(value) : StrCat(value, " ", unit_);
  };
  std::string line = StrCat(what_, ": ");
  if (total_ > 0) {
    line += absl::StrFormat("%s of %s (%.0f %%)", bytes ? HumanBytes(done) : StrCat(done),
                            amount(total_), 100.0 * done / total_);
  } else {
    line += amount(done);
  }
  line += StrCat(", ", amount(static_cast<int64_t>(done / seconds)), "/s");
  if (!left.has_value() && done > 0) left = absl::Seconds(seconds * (total_ - done) / done);
  if (total_ > done && left.has_value()) line += StrCat(", ", HumanDuration(*left), " left");
  std::fprintf(stderr, is_terminal_ ? "\r\x1b[K%s" : "%s\n", line.c_str());
  has_printed_ = true;
  printed_ = now;
}

}  // namespace stele::shell
