#include "metadata/autorecovery_settings.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "metadata/autorecovery_records.h"
#include "metadata/testing/metadata_test.h"

namespace stele::metadata {
namespace {

constexpr char kBase[] = "/ledgers/underreplication";

class AutorecoverySettingsTest : public MetadataTest {
 protected:
  AutorecoverySettingsTest() { Put(kBase); }
  AutorecoverySettings settings_{&store_, ClusterPaths("/ledgers")};
};

TEST_F(AutorecoverySettingsTest, TheSwitchIsTheExistenceOfANode) {
  EXPECT_TRUE(*Run(settings_.IsEnabled()));
  EXPECT_TRUE(*Run(settings_.SetEnabled(false)));
  EXPECT_FALSE(*Run(settings_.SetEnabled(false)));
  EXPECT_EQ(ValueOf("/ledgers/underreplication/disable"), "");
  EXPECT_FALSE(*Run(settings_.IsEnabled()));
  EXPECT_TRUE(*Run(settings_.SetEnabled(true)));
  EXPECT_FALSE(*Run(settings_.SetEnabled(true)));
  EXPECT_TRUE(*Run(settings_.IsEnabled()));
}

TEST_F(AutorecoverySettingsTest, TheFirstAuditorSetsTheDelayAndNobodyOverwritesIt) {
  EXPECT_EQ(*Run(settings_.RecoveryDelay()), std::nullopt);
  EXPECT_EQ(*Run(settings_.EnsureRecoveryDelay(absl::Minutes(10))), absl::Minutes(10));
  EXPECT_EQ(ValueOf("/ledgers/underreplication/lostBookieRecoveryDelay"), "600");
  EXPECT_EQ(*Run(settings_.EnsureRecoveryDelay(absl::Minutes(1))), absl::Minutes(10));
  EXPECT_TRUE(Run(settings_.SetRecoveryDelay(absl::ZeroDuration())).ok());
  EXPECT_EQ(*Run(settings_.RecoveryDelay()), absl::ZeroDuration());
}

TEST_F(AutorecoverySettingsTest, TimesOfChecksAreKept) {
  EXPECT_EQ(*Run(settings_.CheckTime(CheckKind::kAllLedgers)), std::nullopt);
  const absl::Time time = absl::FromUnixMillis(1700000000000);
  EXPECT_TRUE(Run(settings_.SetCheckTime(CheckKind::kAllLedgers, time)).ok());
  EXPECT_TRUE(Run(settings_.SetCheckTime(CheckKind::kAllLedgers, time)).ok());
  EXPECT_EQ(*Run(settings_.CheckTime(CheckKind::kAllLedgers)), time);
  EXPECT_EQ(ValueOf("/ledgers/underreplication/checkallledgersctime"),
            "\x08\x80\xd0\x95\xff\xbc\x31");
}

TEST_F(AutorecoverySettingsTest, TheDateOfACheckIsReplacedOnlyAsItIsKnown) {
  const auto replace = [&](CheckDate known, int64_t milliseconds) {
    return CodeOf(Run(settings_.ReplaceCheckDate(CheckKind::kPlacement, known,
                                                 absl::FromUnixMillis(milliseconds))));
  };
  const auto read = [&] { return *Run(settings_.ReadCheckDate(CheckKind::kPlacement)); };
  const CheckDate none = read();
  EXPECT_EQ(none, CheckDate());
  EXPECT_EQ(replace({.version = 0}, 1), ErrorCode::kMetadataConflict);
  EXPECT_EQ(replace(none, 2), ErrorCode::kOk);
  EXPECT_EQ(replace(none, 3), ErrorCode::kMetadataConflict);
  const CheckDate second = read();
  EXPECT_EQ(second.time, absl::FromUnixMillis(2));
  EXPECT_EQ(replace(second, 4), ErrorCode::kOk);
  EXPECT_EQ(replace(second, 5), ErrorCode::kMetadataConflict);
  EXPECT_EQ(read().time, absl::FromUnixMillis(4));
}

class AutorecoveryRecordsTest : public MetadataTest {
 protected:
  AutorecoveryRecords records_{
      &store_, Cluster{.layout = LedgerLayout("/ledgers", LayoutType::kHierarchical),
                       .instance_id = "the-id"}};
};

TEST_F(AutorecoveryRecordsTest, RecordsLieBesideTheTreeOfApache) {
  EXPECT_TRUE(Run(records_.SetLimits({.cluster = 5})).ok());
  EXPECT_TRUE(Exists("/stele/the-id/limits"));
  EXPECT_FALSE(Exists("/ledgers"));
}

TEST_F(AutorecoveryRecordsTest, AQuarantineIsKeptUntilItIsCleared) {
  const QuarantineRecord record{.reason = "no copy is left",
                                .entries = {{EntryId(3), EntryId(5)}},
                                .evidence = {{BookieId("a:1"), "not registered"}},
                                .first_seen = absl::FromUnixMillis(10),
                                .last_seen = absl::FromUnixMillis(20)};
  EXPECT_EQ(*Run(records_.Quarantine(LedgerId(7))), std::nullopt);
  EXPECT_TRUE(Run(records_.SetQuarantine(LedgerId(7), record)).ok());
  EXPECT_EQ(*Run(records_.Quarantine(LedgerId(7))), record);
  EXPECT_EQ(*Run(records_.Quarantined()), std::vector<LedgerId>{LedgerId(7)});
  EXPECT_TRUE(Run(records_.ClearQuarantine(LedgerId(7))).ok());
  EXPECT_TRUE(Run(records_.ClearQuarantine(LedgerId(7))).ok());
  EXPECT_EQ(*Run(records_.Quarantine(LedgerId(7))), std::nullopt);
}

TEST_F(AutorecoveryRecordsTest, LimitsAreNoneUntilTheyAreSet) {
  EXPECT_EQ(*Run(records_.Limits()), RepairLimits());
  const RepairLimits limits{.cluster = 50, .source = 10, .target = 20, .check = 5};
  EXPECT_TRUE(Run(records_.SetLimits(limits)).ok());
  EXPECT_EQ(*Run(records_.Limits()), limits);
  EXPECT_EQ(CodeOf(ParseLimits("cluster_bytes_per_second: -1").status()), ErrorCode::kCorruptData);
}

TEST_F(AutorecoveryRecordsTest, ThePositionOfACheckIsKeptUntilItIsCleared) {
  const CheckPosition first{.next = LedgerId(7), .noted_at = absl::FromUnixMillis(5)};
  const CheckPosition later{.since = {.time = absl::FromUnixMillis(3), .version = 0},
                            .next = LedgerId(1),
                            .ledgers = 9,
                            .noted_at = absl::FromUnixMillis(6)};
  EXPECT_EQ(*Run(records_.ReadCheckPosition()), std::nullopt);
  for (const CheckPosition& position : {first, later}) {
    EXPECT_TRUE(Run(records_.SetCheckPosition(position)).ok());
    EXPECT_EQ(*Run(records_.ReadCheckPosition()), position);
  }
  EXPECT_TRUE(Run(store_.Put("/stele/the-id/check_position", "next_ledger: -1", kAnyVersion)).ok());
  EXPECT_EQ(*Run(records_.ReadCheckPosition()), std::nullopt);
  EXPECT_TRUE(Run(records_.ClearCheckPosition()).ok());
  EXPECT_TRUE(Run(records_.ClearCheckPosition()).ok());
  EXPECT_EQ(*Run(records_.ReadCheckPosition()), std::nullopt);
}

TEST_F(AutorecoveryRecordsTest, LostAndDrainingBookiesAreKnownToThoseWhoComeLater) {
  const BookieId bookie("b:1");
  const absl::Time since = absl::FromUnixMillis(1234);
  EXPECT_TRUE(Run(records_.SetLost(bookie, since)).ok());
  EXPECT_EQ(*Run(records_.Lost()), (std::map<BookieId, absl::Time>{{bookie, since}}));
  EXPECT_TRUE(Run(records_.ClearLost(bookie)).ok());
  EXPECT_TRUE(Run(records_.Lost())->empty());
  EXPECT_TRUE(Run(records_.SetInLimbo(bookie, since)).ok());
  EXPECT_EQ(*Run(records_.InLimbo()), (std::map<BookieId, absl::Time>{{bookie, since}}));
  EXPECT_TRUE(Run(records_.ClearInLimbo(bookie)).ok());
  EXPECT_TRUE(Run(records_.InLimbo())->empty());
  EXPECT_TRUE(*Run(records_.SetDraining(bookie, since)));
  EXPECT_FALSE(*Run(records_.SetDraining(bookie, absl::FromUnixMillis(9999))));
  EXPECT_EQ(*Run(records_.Draining()), (std::map<BookieId, absl::Time>{{bookie, since}}));
  EXPECT_TRUE(*Run(records_.ClearDraining(bookie)));
  EXPECT_FALSE(*Run(records_.ClearDraining(bookie)));
}

TEST_F(AutorecoveryRecordsTest, WorkersAreCountedWhileTheyLive) {
  EXPECT_TRUE(Run(records_.RegisterWorker("w1")).ok());
  EXPECT_EQ(*Run(records_.Workers()), std::vector<std::string>{"w1"});
  world_.metadata().Expire(process_);
  RunFor(absl::Seconds(1));
  EXPECT_TRUE(Run(records_.Workers())->empty());
}

}  // namespace
}  // namespace stele::metadata
