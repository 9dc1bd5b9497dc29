// Auditors and replication workers of both kinds on one cluster, and what they leave for each other
// in ZooKeeper.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "common/base/strings.h"
#include "integration_tests/java/cluster.h"

namespace stele::integration {
namespace {

constexpr absl::Duration kPatience = absl::Minutes(3);

class AutorecoveryTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    cluster_ = new Cluster(
        {.bookies = {BookieKind::kStele, BookieKind::kJava, BookieKind::kStele, BookieKind::kJava},
         .initialised_by = BookieKind::kJava});
    apaches_ = cluster_->Connect(ClientKind::kJavaV3).release();
  }
  static void TearDownTestSuite() {
    delete apaches_;
    delete cluster_;
  }
  void SetUp() override {
    cluster_->StartAllThatAreDown();
    EXPECT_EQ(Stele({"autorecovery", "delay", "0"}).exit_code, 0);
  }

  static Cluster::Output Stele(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--metadata", cluster_->metadata_uri()});
    return cluster_->RunStele(arguments);
  }

  // A closed ledger of which a bookie that is killed then has a copy of all.
  static std::string LedgerWithoutBookie(size_t victim) {
    for (;;) {
      std::string ledger = apaches_->Must("create w e=3 w=3 a=3").text;
      apaches_->Must("append w 100 20 5");
      apaches_->Must("close w");
      if (!Names(ledger, victim)) continue;
      cluster_->Kill(victim);
      return ledger;
    }
  }

  static bool Names(const std::string& ledger, size_t bookie) {
    return absl::StrContains(apaches_->Must("metadata " + ledger).Value("fragments"),
                             cluster_->bookie_id(bookie));
  }

  // Three living bookies have all copies, as we see it, and no mark is left, as Apache sees it.
  static void AwaitRepair(const std::string& ledger, size_t victim) {
    const absl::Time give_up = absl::Now() + kPatience;
    while (Names(ledger, victim) || !apaches_->Must("repair-marks").text.empty()) {
      ASSERT_LT(absl::Now(), give_up) << apaches_->Must("repair-marks").text;
      absl::SleepFor(absl::Milliseconds(100));
    }
    const Cluster::Output check = Stele({"cluster", "fsck", "--mode", "full", "--ledger", ledger});
    EXPECT_EQ(check.exit_code, 0) << check.text;
  }

  static Cluster* cluster_;
  static Driver* apaches_;
};

Cluster* AutorecoveryTest::cluster_ = nullptr;
Driver* AutorecoveryTest::apaches_ = nullptr;

TEST_F(AutorecoveryTest, WhatOneSideSetsHoldsForBoth) {
  EXPECT_EQ(Stele({"autorecovery", "delay", "77"}).exit_code, 0);
  EXPECT_EQ(apaches_->Must("repair-delay").text, "77");
  EXPECT_EQ(apaches_->Must("repair-delay 5").text, "5");
  EXPECT_TRUE(absl::StrContains(Stele({"autorecovery", "delay"}).text, "5"));
  EXPECT_EQ(Stele({"autorecovery", "disable"}).exit_code, 0);
  EXPECT_EQ(apaches_->Must("repair-enabled").text, "false");
  apaches_->Must("repair-enable");
  EXPECT_EQ(Stele({"autorecovery", "enable"}).exit_code, 8);  // it is
}

TEST_F(AutorecoveryTest, OurWorkerRepairsWhatApacheHasMarked) {
  for (const size_t victim : {size_t{0}, size_t{1}}) {
    const std::string ledger = LedgerWithoutBookie(victim);
    apaches_->Must(StrCat("repair-mark ", ledger, " ", cluster_->bookie_id(victim)));
    EXPECT_TRUE(absl::StrContains(Stele({"autorecovery", "list"}).text, ledger));
    const auto worker = cluster_->StartAutorecovery(BookieKind::kStele, {"--no-auditor"});
    AwaitRepair(ledger, victim);
    cluster_->StartAllThatAreDown();
  }
}

TEST_F(AutorecoveryTest, ApachesWorkerRepairsWhatWeHaveMarked) {
  const size_t victim = 2;
  const std::string ledger = LedgerWithoutBookie(victim);
  const std::string id = cluster_->bookie_id(victim);
  // Refused while the session of the killed process is not over.
  const absl::Time give_up = absl::Now() + kPatience;
  while (Stele({"recover", id, "--no-wait"}).exit_code != 0) ASSERT_LT(absl::Now(), give_up);
  const std::vector<std::string> marks = absl::StrSplit(apaches_->Must("repair-marks").text, ' ');
  EXPECT_EQ(std::count(marks.begin(), marks.end(), StrCat(ledger, ":", id)), 1);
  const auto worker = cluster_->StartAutorecovery(BookieKind::kJava);
  AwaitRepair(ledger, victim);
}

// Whoever votes first audits, and the next when it is gone.
TEST_F(AutorecoveryTest, AuditorsFollowEachOther) {
  auto first = cluster_->StartAutorecovery(BookieKind::kStele, {"--name", "ours"});
  const absl::Time give_up = absl::Now() + kPatience;
  while (!absl::StrContains(Stele({"autorecovery", "status"}).text, "ours")) {
    ASSERT_LT(absl::Now(), give_up);
  }
  auto second = cluster_->StartAutorecovery(BookieKind::kJava);
  AwaitRepair(LedgerWithoutBookie(3), 3);
  cluster_->StartAllThatAreDown();
  first.reset();
  AwaitRepair(LedgerWithoutBookie(1), 1);
  cluster_->StartAllThatAreDown();
  first = cluster_->StartAutorecovery(BookieKind::kStele, {"--name", "ours"});
  second.reset();
  AwaitRepair(LedgerWithoutBookie(2), 2);
}

}  // namespace
}  // namespace stele::integration
