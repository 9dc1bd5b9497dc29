#include "bookie/compaction_plan.h"

#include <gtest/gtest.h>

namespace stele::bookie {
namespace {

constexpr absl::Duration kHour = absl::Hours(1);

EntryLogUsage Usage(int32_t log, uint64_t total, uint64_t live) {
  return {.log = EntryLogId(log), .total_bytes = total, .live_bytes = live};
}

std::vector<int32_t> Ids(const std::vector<EntryLogUsage>& usages) {
  std::vector<int32_t> ids;
  for (const EntryLogUsage& usage : usages) ids.push_back(usage.log.value());
  return ids;
}

TEST(CompactionPlanTest, MajorIsDueFirstAndCountsAsMinor) {
  const MonotonicTime start;
  CompactionPlan plan({}, start);
  EXPECT_EQ(plan.Due(start), std::nullopt);
  EXPECT_EQ(plan.Due(start + kHour), CompactionKind::kMinor);
  plan.OnDone(CompactionKind::kMinor, start + kHour);
  EXPECT_EQ(plan.Due(start + kHour), std::nullopt);
  EXPECT_EQ(plan.Due(start + 24 * kHour), CompactionKind::kMajor);
  plan.OnDone(CompactionKind::kMajor, start + 24 * kHour);
  EXPECT_EQ(plan.Due(start + 24 * kHour), std::nullopt);
  EXPECT_EQ(plan.Due(start + 25 * kHour), CompactionKind::kMinor);
}

TEST(CompactionPlanTest, AnIntervalOrAThresholdOfZeroSwitchesItOff) {
  const MonotonicTime start;
  const CompactionPlan no_minor({.minor_interval = absl::ZeroDuration()}, start);
  EXPECT_EQ(no_minor.Due(start + 23 * kHour), std::nullopt);
  const CompactionPlan no_major({.major_threshold_ppm = 0}, start);
  EXPECT_EQ(no_major.Due(start + 100 * kHour), CompactionKind::kMinor);
}

TEST(CompactionPlanTest, TheEmptiestLogsBelowTheThresholdInOrder) {
  const CompactionPlan plan({}, MonotonicTime());
  const std::vector<EntryLogUsage> usages = {Usage(1, 100, 50),  Usage(2, 100, 19),
                                             Usage(3, 1000, 10), Usage(4, 100, 49),
                                             Usage(5, 100, 20),  Usage(6, 0, 0)};
  EXPECT_EQ(Ids(plan.Choose(CompactionKind::kMinor, usages)), (std::vector<int32_t>{6, 3, 2}));
  EXPECT_EQ(Ids(plan.Choose(CompactionKind::kMajor, usages)),
            (std::vector<int32_t>{6, 3, 2, 5, 4}));
}

TEST(CompactionPlanTest, LogsOfTheLargestSizesDoNotOverflow) {
  const CompactionPlan plan({}, MonotonicTime());
  const uint64_t huge = uint64_t{1} << 60;
  EXPECT_EQ(
      Ids(plan.Choose(CompactionKind::kMajor, {Usage(1, huge, huge / 4), Usage(2, huge, huge)})),
      std::vector<int32_t>{1});
}

}  // namespace
}  // namespace stele::bookie
