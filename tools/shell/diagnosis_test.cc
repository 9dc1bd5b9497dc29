#include "tools/shell/diagnosis.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"

namespace stele::shell {
namespace {

const BookieId kOne("b1:3181");
const BookieId kTwo("b2:3181");

// Two bookies, one ledger of two copies, everything as it should be.
Examination Healthy() {
  Examination seen;
  seen.now = absl::FromUnixSeconds(2'000'000'000);
  seen.backlog.auditor = "host";
  seen.backlog.workers = {"host"};
  seen.backlog.bookies.writable = {kOne, kTwo};
  seen.backlog.joined = {kOne, kTwo};
  seen.backlog.checked_at = seen.now - absl::Hours(24);
  seen.spaces = {{kOne, autorecovery::BookieSpace{1000, 500}},
                 {kTwo, autorecovery::BookieSpace{1000, 500}}};
  seen.ledgers = 1;
  seen.ensemble_size_max = 2;
  return seen;
}

std::vector<std::string> Names(const Examination& seen) {
  std::vector<std::string> names;
  for (const Diagnosis& found : Diagnose(seen)) {
    EXPECT_FALSE(found.finding.empty()) << found.name;
    EXPECT_FALSE(found.remedy.empty()) << found.name;
    names.push_back((found.severity == Severity::kCritical ? "!" : "") + found.name +
                    (found.subject.empty() ? "" : " " + found.subject));
  }
  return names;
}

using Found = std::vector<std::string>;

TEST(DiagnosisTest, NothingIsWrongWithAHealthyCluster) { EXPECT_EQ(Names(Healthy()), Found()); }

TEST(DiagnosisTest, ABookieThatWentIsNamed) {
  Examination seen = Healthy();
  seen.backlog.bookies.writable = {kTwo};
  seen.ensemble_size_max = 1;
  EXPECT_EQ(Names(seen), Found{"bookie_down b1:3181"});
}

TEST(DiagnosisTest, TooFewForTheLargestEnsembleIsCriticalAndComesFirst) {
  Examination seen = Healthy();
  seen.backlog.bookies.writable = {kTwo};
  EXPECT_EQ(Names(seen), (Found{"!too_few_writable", "bookie_down b1:3181"}));
}

TEST(DiagnosisTest, WithoutLedgersOneBookieIsNeeded) {
  Examination seen;
  seen.backlog.auditor = "host";
  EXPECT_EQ(Names(seen), Found{"!too_few_writable"});
}

TEST(DiagnosisTest, ReadOnlyIsAFindingUnlessItIsDrained) {
  Examination seen = Healthy();
  seen.backlog.bookies.writable = {kOne};
  seen.backlog.bookies.read_only = {kTwo};
  seen.ensemble_size_max = 1;
  EXPECT_EQ(Names(seen), Found{"bookie_read_only b2:3181"});
  seen.backlog.draining[kTwo] = seen.now;
  EXPECT_EQ(Names(seen), Found());
}

TEST(DiagnosisTest, ABookieInLimboIsCriticalUntilItIsRemoved) {
  Examination seen = Healthy();
  seen.backlog.in_limbo[kTwo] = seen.now - absl::Seconds(9);
  EXPECT_EQ(Names(seen), Found{"!bookie_in_limbo b2:3181"});
  seen.backlog.in_limbo = {{BookieId("b3:3181"), seen.now}};
  EXPECT_EQ(Names(seen), Found());
}

TEST(DiagnosisTest, ABookieWithoutCookieAndANameThatIsNoBookie) {
  Examination seen = Healthy();
  seen.backlog.joined = {kOne};
  seen.backlog.bookies.invalid_names = {"what is this"};
  EXPECT_EQ(Names(seen),
            (Found{"bookie_without_cookie b2:3181", "invalid_registration what is this"}));
}

TEST(DiagnosisTest, SilenceIsCriticalAndFullDisksAreNot) {
  Examination seen = Healthy();
  seen.spaces.at(kOne) = MakeError(ErrorCode::kDeadline, "");
  seen.spaces.at(kTwo) = autorecovery::BookieSpace{1'000'000'000'000, 99'000'000'000};
  EXPECT_EQ(Names(seen), (Found{"!bookie_silent b1:3181", "disk_nearly_full b2:3181"}));
  seen.spaces.at(kTwo) = autorecovery::BookieSpace{1'000'000'000'000, 101'000'000'000};
  EXPECT_EQ(Names(seen), Found{"!bookie_silent b1:3181"});
}

TEST(DiagnosisTest, LostEntriesAndDamagedMetadataAreCritical) {
  Examination seen = Healthy();
  seen.backlog.quarantined = {LedgerId(7)};
  seen.ledgers_unreadable = 1;
  EXPECT_EQ(Names(seen), (Found{"!ledgers_quarantined", "!metadata_unreadable"}));
}

TEST(DiagnosisTest, MarksAreStuckAfterSixHours) {
  Examination seen = Healthy();
  metadata::RepairTask task{.ledger = LedgerId(7)};
  task.mark.marked_at = seen.now - absl::Hours(5);
  seen.backlog.tasks = {task};
  EXPECT_EQ(Names(seen), Found{"ledgers_lack_copies"});
  seen.backlog.tasks[0].mark.marked_at = seen.now - absl::Hours(7);
  EXPECT_EQ(Names(seen), Found{"repair_stuck"});
}

TEST(DiagnosisTest, RepairWithoutAuditorOrWorker) {
  Examination seen = Healthy();
  seen.backlog.auditor.reset();
  EXPECT_EQ(Names(seen), Found{"!no_auditor"});
  seen.backlog.enabled = false;
  EXPECT_EQ(Names(seen), Found{"autorecovery_disabled"});
  seen = Healthy();
  seen.backlog.workers.clear();
  EXPECT_EQ(Names(seen), Found());
  seen.backlog.tasks = {metadata::RepairTask{.ledger = LedgerId(7)}};
  EXPECT_EQ(Names(seen), (Found{"ledgers_lack_copies", "no_worker"}));
  seen.backlog.locked = {LedgerId(7)};
  EXPECT_EQ(Names(seen), Found{"ledgers_lack_copies"});
}

TEST(DiagnosisTest, AnOldCheckOfAllCopiesIsOverdue) {
  Examination seen = Healthy();
  seen.backlog.checked_at = seen.now - absl::Hours(24 * 15);
  EXPECT_EQ(Names(seen), Found{"check_overdue"});
  seen.ledgers = 0;
  EXPECT_EQ(Names(seen), Found{});
}

}  // namespace
}  // namespace stele::shell
