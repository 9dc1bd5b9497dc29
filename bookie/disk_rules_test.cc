#include "bookie/disk_rules.h"

#include <gtest/gtest.h>

namespace stele::bookie {
namespace {

constexpr uint64_t kGiB = 1ull << 30;

DirectorySpace Disk(std::string name, uint64_t free_percent) {
  return {std::move(name), {.total_bytes = 100 * kGiB, .free_bytes = free_percent * kGiB}};
}

TEST(DiskRulesTest, WritableWhileAllHaveSpace) {
  DiskRules rules({});
  const DiskDecision decision = rules.Decide({Disk("/a", 50), Disk("/b", 5)}, {Disk("/j", 6)});
  EXPECT_FALSE(decision.read_only);
  EXPECT_TRUE(decision.high_priority_allowed);
  EXPECT_TRUE(decision.full.empty());
}

TEST(DiskRulesTest, OneFullDirectoryCountsByOption) {
  DiskRules any({});
  EXPECT_TRUE(any.Decide({Disk("/a", 50), Disk("/b", 4)}, {}).read_only);
  DiskRules all({.read_only_on_any_full = false});
  EXPECT_FALSE(all.Decide({Disk("/a", 50), Disk("/b", 4)}, {}).read_only);
  EXPECT_TRUE(all.Decide({Disk("/a", 4), Disk("/b", 4)}, {}).read_only);
}

TEST(DiskRulesTest, ComesBackBelowTheLowWaterMarkOnly) {
  DiskRules rules({.full_above_ppm = 950'000, .recovered_below_ppm = 900'000});
  EXPECT_TRUE(rules.Decide({Disk("/a", 4)}, {}).read_only);
  EXPECT_TRUE(rules.Decide({Disk("/a", 8)}, {}).read_only);
  EXPECT_FALSE(rules.Decide({Disk("/a", 11)}, {}).read_only);
  EXPECT_FALSE(rules.Decide({Disk("/a", 8)}, {}).read_only);
}

TEST(DiskRulesTest, RecoveryAddsUseTheReserve) {
  DiskRules rules({.high_priority_reserve_bytes = 3 * kGiB});
  EXPECT_TRUE(rules.Decide({Disk("/a", 4)}, {}).high_priority_allowed);
  EXPECT_FALSE(rules.Decide({Disk("/a", 3)}, {}).high_priority_allowed);
}

TEST(DiskRulesTest, AFullJournalDiskStopsAllWrites) {
  DiskRules rules({});
  const DiskDecision decision = rules.Decide({Disk("/a", 50)}, {Disk("/j", 1)});
  EXPECT_TRUE(decision.read_only);
  EXPECT_FALSE(decision.high_priority_allowed);
  EXPECT_EQ(decision.full, std::vector<std::string>{"/j"});
}

TEST(DiskRulesTest, ADiskWithoutSizeIsFull) {
  DiskRules rules({});
  EXPECT_TRUE(rules.Decide({{"/a", {}}}, {}).read_only);
}

}  // namespace
}  // namespace stele::bookie
