#include "common/http/console/node_health.h"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace stele::http {
namespace {

enum class Merge { kSum, kMax };  // of journals, directories, kinds of damage

struct Wanted {
  std::string_view name;
  std::string_view success;   // the value of that label; empty: whatever it is
  std::string_view quantile;  // the same
  double scale;
  Merge merge;
  std::string_view into;
};

constexpr double kMicrosecondsPerMillisecond = 1'000;
constexpr std::string_view kP99 = "0.99";

constexpr Wanted kWanted[] = {
    {"bookkeeper_server_ADD_ENTRY_REQUEST_count", "true", "", 1, Merge::kSum, "adds"},
    {"bookkeeper_server_ADD_ENTRY_REQUEST_count", "false", "", 1, Merge::kSum, "add_failures"},
    {"bookkeeper_server_ADD_ENTRY_IN_PROGRESS", "", "", 1, Merge::kSum, "adds_in_progress"},
    {"bookkeeper_server_ADD_ENTRY_REQUEST", "true", kP99, kMicrosecondsPerMillisecond, Merge::kMax,
     "add_p99_us"},
    {"bookkeeper_server_READ_ENTRY_REQUEST_count", "true", "", 1, Merge::kSum, "reads"},
    {"bookkeeper_server_READ_ENTRY_REQUEST_count", "false", "", 1, Merge::kSum, "read_failures"},
    {"bookkeeper_server_READ_ENTRY_REQUEST", "true", kP99, kMicrosecondsPerMillisecond, Merge::kMax,
     "read_p99_us"},
    {"bookkeeper_server_ADD_ENTRY_REJECTED", "", "", 1, Merge::kSum, "rejected"},
    {"bookkeeper_server_READ_ENTRY_REJECTED", "", "", 1, Merge::kSum, "rejected"},
    {"bookie_WRITE_BYTES", "", "", 1, Merge::kSum, "write_bytes"},
    {"bookie_READ_BYTES", "", "", 1, Merge::kSum, "read_bytes"},
    {"bookie_journal_JOURNAL_SYNC", "true", kP99, kMicrosecondsPerMillisecond, Merge::kMax,
     "journal_sync_p99_us"},
    {"bookie_journal_JOURNAL_QUEUE_SIZE", "", "", 1, Merge::kSum, "journal_queue"},
    {"stele_journal_disk_full", "", "", 1, Merge::kSum, "journal_disk_full"},
    {"bookie_ledger_num_dirs", "", "", 1, Merge::kSum, "directories_total"},
    {"bookie_ledger_writable_dirs", "", "", 1, Merge::kSum, "directories_writable"},
    {"bookie_ledgers_count", "", "", 1, Merge::kSum, "ledgers"},
    {"stele_failed_flushes_total", "", "", 1, Merge::kSum, "failed_flushes"},
    {"scrubber_detectedScrubErrors", "", "", 1, Merge::kSum, "damaged"},
    {"stele_lost_indexes_total", "", "", 1, Merge::kSum, "damaged"},
    {"stele_mem_used_bytes", "", "", 1, Merge::kSum, "memory_used_bytes"},
    {"stele_mem_budget_bytes", "", "", 1, Merge::kSum, "memory_max_bytes"},
};

// A line with a sample, in its parts.
struct Sample {
  std::string_view name;
  std::string_view success;
  std::string_view quantile;
  std::string_view dir;
  double value = 0;
};

// The value of a label up to its closing quote, still escaped; takes it from `from`.
std::optional<std::string_view> TakeQuoted(std::string_view& from) {
  for (size_t i = 0; i < from.size(); ++i) {
    if (from[i] == '\\') {
      ++i;
    } else if (from[i] == '"') {
      const std::string_view value = from.substr(0, i);
      from.remove_prefix(i + 1);
      return value;
    }
  }
  return std::nullopt;
}

bool TakeLabels(std::string_view& from, Sample& sample) {
  while (!from.starts_with('}')) {
    const size_t equals = from.find("=\"");
    if (equals == std::string_view::npos) return false;
    const std::string_view label = from.substr(0, equals);
    from.remove_prefix(equals + 2);
    const std::optional<std::string_view> value = TakeQuoted(from);
    if (!value.has_value()) return false;
    if (label == "success") sample.success = *value;
    if (label == "quantile") sample.quantile = *value;
    if (label == "dir") sample.dir = *value;
    while (from.starts_with(',') || from.starts_with(' ')) from.remove_prefix(1);
  }
  from.remove_prefix(1);
  return true;
}

std::optional<Sample> ParseSample(std::string_view line) {
  if (line.starts_with('#')) return std::nullopt;
  Sample sample;
  sample.name = line.substr(0, line.find_first_of("{ "));
  line.remove_prefix(sample.name.size());
  if (line.starts_with('{')) {
    line.remove_prefix(1);
    if (!TakeLabels(line, sample)) return std::nullopt;
  }
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), sample.value);
  if (error != std::errc() || !std::isfinite(sample.value)) return std::nullopt;
  return sample;
}

// Numbers beyond what a browser can count are no measurements.
constexpr double kValueMax = 9'007'199'254'740'992.0;

int64_t Whole(double value) {
  return static_cast<int64_t>(std::llround(std::clamp(value, -kValueMax, kValueMax)));
}

void Merged(const Wanted& wanted, double value, NodeHealth& health) {
  const int64_t whole = Whole(value * wanted.scale);
  const auto [place, is_first] = health.values.emplace(wanted.into, whole);
  if (is_first) return;
  const double sum = static_cast<double>(place->second) + static_cast<double>(whole);
  place->second = wanted.merge == Merge::kSum ? Whole(sum) : std::max(place->second, whole);
}

// In percent: "bookie_ledger_dir_PATH_usage", which Stele gives a label too.
void TakeDirectory(const Sample& sample, NodeHealth& health) {
  constexpr std::string_view kPrefix = "bookie_ledger_dir_";
  constexpr std::string_view kSuffix = "_usage";
  constexpr size_t kPathSizeMax = 256;
  if (!sample.name.starts_with(kPrefix) || !sample.name.ends_with(kSuffix) ||
      sample.name.size() < kPrefix.size() + kSuffix.size() ||
      health.directories.size() >= kHealthDirectoriesMax) {
    return;
  }
  std::string_view path = sample.dir;
  if (path.empty()) {
    path = sample.name.substr(kPrefix.size(), sample.name.size() - kPrefix.size() - kSuffix.size());
  }
  health.directories.push_back({std::string(path.substr(0, kPathSizeMax)),
                                Whole(std::clamp(sample.value, 0.0, 100.0) * 100)});
}

}  // namespace

NodeHealth ReadNodeHealth(std::string_view metrics) {
  NodeHealth health;
  while (!metrics.empty()) {
    const size_t end = std::min(metrics.find('\n'), metrics.size());
    const std::optional<Sample> sample = ParseSample(metrics.substr(0, end));
    metrics.remove_prefix(std::min(end + 1, metrics.size()));
    if (!sample.has_value()) continue;
    TakeDirectory(*sample, health);
    for (const Wanted& wanted : kWanted) {
      if (wanted.name != sample->name) continue;
      if (!wanted.success.empty() && wanted.success != sample->success) continue;
      if (wanted.quantile != sample->quantile) continue;
      Merged(wanted, sample->value, health);
    }
  }
  return health;
}

void SetHealth(const NodeHealth& health, observe::Record& into) {
  for (const auto& [name, value] : health.values) into.Set(std::string(name), value);
  std::vector<observe::Record> directories;
  for (const NodeHealth::Directory& directory : health.directories) {
    directories.emplace_back();
    directories.back().Set("path", directory.path).Set("used_permyriad", directory.used_permyriad);
  }
  into.Set("directories", std::move(directories));
}

}  // namespace stele::http
