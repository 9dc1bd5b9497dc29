// Random lives of clusters with autorecovery: bookies come and go, workers die and lose their
// sessions and the answers of the store. At no time does metadata name a bookie that is up and
// lacks what belongs to it (RepairHarmless), and in the end every entry has all its copies.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "autorecovery/internal/testing/repair_cluster.h"
#include "common/base/strings.h"

namespace stele::autorecovery {
namespace {

constexpr int kBookies = 6;

class RandomLife {
 public:
  explicit RandomLife(uint64_t seed)
      : repair_(seed, kBookies), random_(repair_.world().scheduler().random().Fork("random life")) {
    for (const char* name : {"first", "second"}) repair_.StartAutorecovery(name);
    for (int i = 0; i < 6; ++i) Write();
  }

  void Live(int rounds) {
    for (int round = 0; round < rounds; ++round) {
      Act();
      repair_.cluster().RunFor(absl::Milliseconds(static_cast<int64_t>(random_->Below(15'000))));
      ExpectNoHoles();
    }
    if (down_ != 0) repair_.cluster().Restart(down_);
    if (crashed_ != nullptr) repair_.StartAutorecovery(crashed_);
    repair_.cluster().RunFor(absl::Seconds(40));
    repair_.RunUntilRepaired();
    ExpectNoHoles();
    for (LedgerId ledger : ledgers_) repair_.ExpectFullyReplicated(ledger);
    EXPECT_EQ(repair_.cluster().failures(), std::vector<std::string>{});
  }

 private:
  // One bookie at a time is down: that many losses every ledger here survives.
  void Act() {
    const char* const name = random_->Below(2) == 0 ? "first" : "second";
    const bool lives = crashed_ == nullptr || std::string(name) != crashed_;
    switch (random_->Below(8)) {
      case 0:
      case 1:
      case 2:
        if (down_ == 0) {
          down_ = 1 + static_cast<int>(random_->Below(kBookies));
          random_->Below(2) == 0 ? repair_.cluster().Kill(down_)
                                 : repair_.cluster().PowerCut(down_);
        } else {
          repair_.cluster().Restart(std::exchange(down_, 0));
          repair_.cluster().RunFor(absl::Seconds(30));
        }
        return;
      case 3:
        if (lives) repair_.world().metadata().Expire(repair_.process(name));
        return;
      case 4:
        if (lives) repair_.world().metadata().LoseReplies(repair_.process(name), 3);
        return;
      case 5:
        if (crashed_ != nullptr) {
          repair_.StartAutorecovery(std::exchange(crashed_, nullptr));
        } else {
          crashed_ = name;
          repair_.CrashAutorecovery(name);
        }
        return;
      case 6: {
        const int64_t limit = static_cast<int64_t>(random_->Below(2)) * 20'000;
        EXPECT_TRUE(repair_.Run(repair_.records().SetLimits({.cluster = limit})).ok());
        return;
      }
      default: Write();
    }
  }

  void Write() {
    // A writer that meets a bookie which has just died may leave the entry on an ack quorum only.
    if (down_ != 0) repair_.cluster().RunFor(absl::Seconds(15));
    constexpr quorum::Replication kKinds[] = {{3, 3, 2}, {4, 2, 2}, {4, 3, 2}};
    ledgers_.push_back(
        repair_.WriteLedger(kKinds[random_->Below(3)], static_cast<int64_t>(random_->Below(25))));
  }

  void ExpectNoHoles() {
    const CheckReport report = repair_.Check(CheckDepth::kAvailability);
    for (const CheckFinding& finding : report.findings) {
      if (finding.kind != FindingKind::kHole) continue;
      ADD_FAILURE() << "ledger " << finding.ledger.value() << ": " << finding.bookie.value()
                    << " lacks " << finding.entries << " entries from "
                    << finding.first_entry.value();
    }
  }

  RepairCluster repair_;
  std::unique_ptr<Random> random_;
  std::vector<LedgerId> ledgers_;
  int down_ = 0;
  const char* crashed_ = nullptr;
};

class RepairRandomTest : public testing::TestWithParam<uint64_t> {};
INSTANTIATE_TEST_SUITE_P(Seeds, RepairRandomTest, testing::Range<uint64_t>(1, 9));

TEST_P(RepairRandomTest, RepairIsHarmlessAndComesToItsEnd) { RandomLife(GetParam()).Live(12); }

}  // namespace
}  // namespace stele::autorecovery
