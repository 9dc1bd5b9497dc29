// Random ledgers, and bookies that go for good, come back, or come back with less, while auditors
// and workers die. The model is what was written: in the end every copy of it is where metadata
// says. One bookie is lost at a time, which is what every ledger here survives.
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "autorecovery/internal/testing/repair_cluster.h"
#include "common/base/strings.h"
#include "simulation/sim_random.h"

namespace stele::autorecovery {
namespace {

constexpr int kBookies = 7;
constexpr int kGoneMax = 2;
constexpr int kEnsembleMax = kBookies - kGoneMax;
constexpr int kRounds = 6;

class RepairRandomTest : public testing::TestWithParam<uint64_t> {
 protected:
  RepairRandomTest() {
    for (int bookie = 1; bookie <= kBookies; ++bookie) {
      first_day_.push_back(cluster().machine(bookie)->disk().TakeSnapshot());
    }
    cluster().RunFor(absl::Minutes(2));  // so that their age tells them from what they were
  }
  simulation::Cluster& cluster() { return repair_.cluster(); }
  int Draw(int below) { return static_cast<int>(random_.Below(static_cast<uint64_t>(below))); }
  void RunForUpTo(absl::Duration most) {
    cluster().RunFor(absl::Milliseconds(Draw(static_cast<int>(absl::ToInt64Milliseconds(most)))));
  }

  void WriteLedgers(int count) {
    for (int i = 0; i < count; ++i) {
      const int copies = 2 + Draw(2);
      const int bookies = copies + Draw(kEnsembleMax + 1 - copies);
      ledgers_.push_back(repair_.WriteLedger(
          {.ensemble_size = bookies, .write_quorum_size = copies, .ack_quorum_size = 2}, Draw(60)));
    }
  }
  int DrawBookie() {
    int bookie = 0;
    do {
      bookie = 1 + Draw(kBookies);
    } while (gone_.contains(bookie));
    return bookie;
  }
  void CrashOneOfAutorecovery() {
    const std::string name = StrCat("ar-", Draw(2));
    repair_.CrashAutorecovery(name);
    RunForUpTo(absl::Seconds(5));
    repair_.StartAutorecovery(name);
  }
  void BringBack(int bookie) {
    if (random_.Chance(1, 2)) {
      cluster().machine(bookie)->disk().RestoreSnapshot(
          first_day_[static_cast<size_t>(bookie) - 1]);
    }
    cluster().Restart(bookie);
    cluster().RunUntil([&] { return cluster().IsServing(bookie); });
    cluster().RunFor(absl::Seconds(2));  // the application hears of it
  }
  bool IsAnyInLimbo() {
    for (int bookie = 1; bookie <= kBookies; ++bookie) {
      if (gone_.contains(bookie)) continue;
      if (cluster().bookie(bookie)->Status().limbo.since.has_value()) return true;
    }
    return false;
  }

  simulation::SimRandom random_ = simulation::SimRandom(GetParam()).Child("repair");
  RepairCluster repair_{GetParam(), kBookies};
  std::vector<std::shared_ptr<const simulation::Inode>> first_day_;
  std::vector<LedgerId> ledgers_;
  std::set<int> gone_;
};
INSTANTIATE_TEST_SUITE_P(Seeds, RepairRandomTest, testing::Range<uint64_t>(1, 7));

TEST_P(RepairRandomTest, InTheEndEveryCopyIsWhereMetadataSays) {
  repair_.StartAutorecovery("ar-0");
  repair_.StartAutorecovery("ar-1");
  WriteLedgers(10);
  for (int round = 0; round < kRounds; ++round) {
    const int bookie = DrawBookie();
    const bool goes = std::ssize(gone_) < kGoneMax && random_.Chance(1, 3);
    cluster().Kill(bookie);
    if (goes) gone_.insert(bookie);
    RunForUpTo(absl::Seconds(4));
    if (random_.Chance(2, 3)) CrashOneOfAutorecovery();
    RunForUpTo(absl::Seconds(20));
    if (!goes) BringBack(bookie);
    WriteLedgers(2);
    cluster().RunFor(absl::Seconds(30));
    repair_.RunUntilRepaired();
    cluster().RunUntil([&] { return !IsAnyInLimbo(); });
    for (const LedgerId ledger : ledgers_) repair_.ExpectFullyReplicated(ledger);
    if (HasFailure()) FAIL() << "in round " << round;
  }
}

}  // namespace
}  // namespace stele::autorecovery
