#include "client/internal/placement_policy.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "common/base/errors.h"

namespace stele::client {
namespace {

class CountingRandom : public Random {
 public:
  uint64_t Below(uint64_t bound) override {
    return (next_ = next_ * 6364136223846793005u + 1442695040888963407u, (next_ >> 33) % bound);
  }
  std::unique_ptr<Random> Fork(std::string_view) const override { return nullptr; }

 private:
  uint64_t next_ = 1;
};

class TestClock : public Clock {
 public:
  MonotonicTime Now() const override { return now; }
  absl::Time WallNow() const override { return absl::UnixEpoch(); }
  std::unique_ptr<Timer> CallAt(MonotonicTime, Job) override { return nullptr; }
  MonotonicTime now;
};

std::vector<BookieId> Bookies(int count) {
  std::vector<BookieId> ids;
  for (int i = 1; i <= count; ++i) ids.push_back(BookieId("b" + std::to_string(i)));
  return ids;
}

TEST(PlacementPolicyTest, AnEnsembleHasDistinctBookiesAndEachGetsItsShare) {
  CountingRandom random;
  TestClock clock;
  PlacementPolicy policy(&random, &clock);
  policy.OnBookiesChanged(Bookies(5));
  std::map<BookieId, int> picked;
  for (int i = 0; i < 1000; ++i) {
    absl::StatusOr<metadata::Ensemble> ensemble = policy.NewEnsemble(3);
    ASSERT_TRUE(ensemble.ok());
    EXPECT_EQ(std::set<BookieId>(ensemble->begin(), ensemble->end()).size(), 3u);
    ++picked[(*ensemble)[0]];
  }
  EXPECT_EQ(picked.size(), 5u);
  for (const auto& [bookie, count] : picked) EXPECT_GT(count, 100) << bookie.value();
}

TEST(PlacementPolicyTest, TooFewBookies) {
  CountingRandom random;
  TestClock clock;
  PlacementPolicy policy(&random, &clock);
  policy.OnBookiesChanged(Bookies(2));
  EXPECT_EQ(CodeOf(policy.NewEnsemble(3).status()), ErrorCode::kNotEnoughBookies);
}

TEST(PlacementPolicyTest, AReplacementIsNeitherMemberNorExcluded) {
  CountingRandom random;
  TestClock clock;
  PlacementPolicy policy(&random, &clock);
  policy.OnBookiesChanged(Bookies(5));
  const metadata::Ensemble ensemble = Bookies(3);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(policy.Replacement(ensemble, {BookieId("b4")}).value(), BookieId("b5"));
  }
  EXPECT_EQ(CodeOf(policy.Replacement(ensemble, {BookieId("b4"), BookieId("b5")}).status()),
            ErrorCode::kNotEnoughBookies);
}

TEST(PlacementPolicyTest, WhoFailedLatelyIsPickedLast) {
  CountingRandom random;
  TestClock clock;
  PlacementPolicy policy(&random, &clock);
  policy.OnBookiesChanged(Bookies(4));
  policy.Suspect(BookieId("b1"));
  for (int i = 0; i < 50; ++i) {
    const metadata::Ensemble ensemble = policy.NewEnsemble(3).value();
    EXPECT_EQ(std::count(ensemble.begin(), ensemble.end(), BookieId("b1")), 0);
    EXPECT_NE(policy.Replacement({BookieId("b4")}, {}).value(), BookieId("b1"));
  }
  EXPECT_TRUE(policy.NewEnsemble(4).ok());
  EXPECT_EQ(policy.Replacement({BookieId("b2"), BookieId("b3"), BookieId("b4")}, {}).value(),
            BookieId("b1"));
  clock.now = clock.now + kBookieMemory;
  int picked = 0;
  for (int i = 0; i < 50; ++i) {
    const metadata::Ensemble ensemble = policy.NewEnsemble(3).value();
    picked += static_cast<int>(std::count(ensemble.begin(), ensemble.end(), BookieId("b1")));
  }
  EXPECT_GT(picked, 0);
}

}  // namespace
}  // namespace stele::client
