#include "bookie/compaction_plan.h"

#include <algorithm>

namespace stele::bookie {
namespace {

int64_t LiveShare(const EntryLogUsage& usage, int64_t of) {
  if (usage.total_bytes == 0) return 0;
  return static_cast<int64_t>(static_cast<unsigned __int128>(usage.live_bytes) *
                              static_cast<uint64_t>(of) / usage.total_bytes);
}

constexpr int64_t kMillion = 1'000'000;

}  // namespace

std::optional<CompactionKind> CompactionPlan::Due(MonotonicTime now) const {
  const auto is_due = [now](absl::Duration interval, MonotonicTime last) {
    return interval > absl::ZeroDuration() && now - last >= interval;
  };
  if (options_.major_threshold_ppm > 0 && is_due(options_.major_interval, last_major_)) {
    return CompactionKind::kMajor;
  }
  if (options_.minor_threshold_ppm > 0 && is_due(options_.minor_interval, last_minor_)) {
    return CompactionKind::kMinor;
  }
  return std::nullopt;
}

void CompactionPlan::OnDone(CompactionKind kind, MonotonicTime now) {
  last_minor_ = now;
  if (kind == CompactionKind::kMajor) last_major_ = now;
}

std::vector<EntryLogUsage> CompactionPlan::Choose(CompactionKind kind,
                                                  std::vector<EntryLogUsage> usages) const {
  std::erase_if(usages, [&](const EntryLogUsage& usage) {
    return LiveShare(usage, kMillion) >= ThresholdPpm(kind);
  });
  std::stable_sort(usages.begin(), usages.end(),
                   [](const EntryLogUsage& a, const EntryLogUsage& b) {
                     return LiveShare(a, kMillion) < LiveShare(b, kMillion);
                   });
  return usages;
}

}  // namespace stele::bookie
