#include "metadata/underreplication_format.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"

namespace stele::metadata {
namespace {

const UnderreplicationPaths kPaths{ClusterPaths("/ledgers")};

TEST(UnderreplicationPathsTest, ATaskLiesUnderItsIdInHexAndIsNamedInDecimal) {
  const struct {
    int64_t id;
    const char* path;
  } kCases[] = {
      {0, "/0000/0000/0000/0000/urL0000000000"},
      {42, "/0000/0000/0000/002a/urL0000000042"},
      {2147483647, "/0000/0000/7fff/ffff/urL2147483647"},
      {4294967296, "/0000/0001/0000/0000/urL4294967296"},
      {123456789012, "/0000/001c/be99/1a14/urL123456789012"},
      {INT64_MAX, "/7fff/ffff/ffff/ffff/urL9223372036854775807"},
  };
  for (const auto& c : kCases) {
    EXPECT_EQ(kPaths.Task(LedgerId(c.id)),
              std::string("/ledgers/underreplication/ledgers") + c.path);
    EXPECT_EQ(LedgerOfTaskName(TaskName(LedgerId(c.id))), LedgerId(c.id));
    const std::string hex = kPaths.TaskDirectory(LedgerId(c.id)).substr(33);
    EXPECT_EQ(LedgerOfTaskDirectory(hex.substr(1, 4), hex.substr(6, 4), hex.substr(11, 4),
                                    hex.substr(16, 4)),
              LedgerId(c.id));
  }
  EXPECT_EQ(kPaths.Lock(LedgerId(42)), "/ledgers/underreplication/locks/urL0000000042");
}

TEST(UnderreplicationPathsTest, WhatIsNoTaskIsPassedOver) {
  for (const char* name : {"urL42", "urL", "url0000000042", "urL000000004x", "urL-000000042",
                           "urL00000000042", "LAYOUT"}) {
    EXPECT_EQ(LedgerOfTaskName(name), std::nullopt) << name;
  }
  EXPECT_EQ(LedgerOfTaskDirectory("8000", "0000", "0000", "0000"), std::nullopt);
  EXPECT_EQ(LedgerOfTaskDirectory("0000", "0000", "0000", "00A0"), std::nullopt);
}

TEST(UnderreplicationFormatTest, ControlNodesAreNamedAsApacheNamesThem) {
  EXPECT_EQ(kPaths.layout(), "/ledgers/underreplication/LAYOUT");
  EXPECT_EQ(kPaths.disable(), "/ledgers/underreplication/disable");
  EXPECT_EQ(kPaths.recovery_delay(), "/ledgers/underreplication/lostBookieRecoveryDelay");
  EXPECT_EQ(kPaths.vote_prefix(), "/ledgers/underreplication/auditorelection/V_");
  EXPECT_EQ(kPaths.CheckTime(CheckKind::kAllLedgers),
            "/ledgers/underreplication/checkallledgersctime");
  EXPECT_EQ(kPaths.CheckTime(CheckKind::kPlacement),
            "/ledgers/underreplication/placementpolicycheckctime");
  EXPECT_EQ(kPaths.CheckTime(CheckKind::kReplicas), "/ledgers/underreplication/replicascheckctime");
}

TEST(UnderreplicationFormatTest, LayoutIsTextAndOthersAreRefused) {
  EXPECT_EQ(SerializeUnderreplicationLayout(), "type: \"BASIC\"\nversion: 1\n");
  EXPECT_TRUE(CheckUnderreplicationLayout("type: \"BASIC\"\nversion: 1\n").ok());
  EXPECT_EQ(CodeOf(CheckUnderreplicationLayout("type: \"BASIC\"\nversion: 2\n")),
            ErrorCode::kUnsupported);
  EXPECT_EQ(CodeOf(CheckUnderreplicationLayout("type: \"OTHER\"\nversion: 1\n")),
            ErrorCode::kUnsupported);
  EXPECT_EQ(CodeOf(CheckUnderreplicationLayout("")), ErrorCode::kUnsupported);
  EXPECT_EQ(CodeOf(CheckUnderreplicationLayout("BASIC")), ErrorCode::kCorruptData);
}

TEST(UnderreplicationFormatTest, AMarkHasTheBytesOfApache) {
  const std::string kBytes =
      "replica: \"10.0.0.1:3181\"\nreplica: \"10.0.0.2:3181\"\nctime: 1700000000000\n";
  const UnderreplicationMark mark{
      .replicas = {BookieId("10.0.0.1:3181"), BookieId("10.0.0.2:3181")},
      .marked_at = absl::FromUnixMillis(1700000000000)};
  EXPECT_EQ(SerializeMark(mark), kBytes);
  EXPECT_EQ(*ParseMark(kBytes), mark);
  EXPECT_EQ(*ParseMark("ctime: 1700000000000 replica: \"10.0.0.1:3181\", "
                       "replica: \"10.0.0.2:3181\""),
            mark);
}

TEST(UnderreplicationFormatTest, AMarkMayBeEmptyAndWithoutATime) {
  EXPECT_EQ(*ParseMark(""), UnderreplicationMark());
  EXPECT_EQ(SerializeMark({}), "");
  EXPECT_EQ(ParseMark("replica: \"b:1\"\n")->marked_at, std::nullopt);
  EXPECT_EQ(CodeOf(ParseMark("replica: 7").status()), ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOf(ParseMark("replica: \"a/b\"").status()), ErrorCode::kCorruptData);
}

TEST(UnderreplicationFormatTest, MergingKeepsTheTimeWhenNothingIsNew) {
  const UnderreplicationMark mark{.replicas = {BookieId("a:1")},
                                  .marked_at = absl::FromUnixMillis(5)};
  const absl::Time now = absl::FromUnixMillis(9);
  EXPECT_EQ(MergeMark(mark, {BookieId("a:1")}, now), std::nullopt);
  EXPECT_EQ(MergeMark(mark, {}, now), std::nullopt);
  const auto merged = MergeMark(mark, {BookieId("b:1"), BookieId("a:1"), BookieId("b:1")}, now);
  ASSERT_TRUE(merged.has_value());
  EXPECT_EQ(*merged, (UnderreplicationMark{.replicas = {BookieId("a:1"), BookieId("b:1")},
                                           .marked_at = now}));
}

TEST(UnderreplicationFormatTest, LocksAndVotesAreText) {
  EXPECT_EQ(SerializeOwner("host-1"), "bookieId: \"host-1\"\n");
  EXPECT_EQ(ParseOwner("bookieId: \"host-1\"\n"), "host-1");
  EXPECT_EQ(ParseOwner(""), "");
  EXPECT_EQ(ParseOwner("rubbish \x01"), "");
}

TEST(UnderreplicationFormatTest, TimesOfChecksAreBinary) {
  const std::string kBytes = "\x08\x80\xd0\x95\xff\xbc\x31";
  EXPECT_EQ(SerializeCheckTime(absl::FromUnixMillis(1700000000000)), kBytes);
  EXPECT_EQ(ParseCheckTime(kBytes), absl::FromUnixMillis(1700000000000));
  EXPECT_EQ(ParseCheckTime(""), std::nullopt);
  EXPECT_EQ(ParseCheckTime("\x08"), std::nullopt);
}

TEST(UnderreplicationFormatTest, TheDelayIsDecimalSeconds) {
  EXPECT_EQ(SerializeRecoveryDelay(absl::Minutes(10)), "600");
  EXPECT_EQ(*ParseRecoveryDelay("0"), absl::ZeroDuration());
  EXPECT_EQ(*ParseRecoveryDelay("600"), absl::Minutes(10));
  EXPECT_LT(*ParseRecoveryDelay("9223372036854775807"), absl::InfiniteDuration());
  for (const char* bad : {"", "-1", "600\n", "ten"}) {
    EXPECT_EQ(CodeOf(ParseRecoveryDelay(bad).status()), ErrorCode::kCorruptData) << bad;
  }
}

}  // namespace
}  // namespace stele::metadata
