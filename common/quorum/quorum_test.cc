#include <bit>
#include <cstdint>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "common/quorum/ack_set.h"
#include "common/quorum/coverage.h"
#include "common/quorum/write_set.h"

namespace stele::quorum {
namespace {

constexpr int kExhaustiveEnsembleSize = 6;

template <typename Function>
void ForEachReplication(Function function) {
  for (int ensemble = 1; ensemble <= kExhaustiveEnsembleSize; ++ensemble) {
    for (int write = 1; write <= ensemble; ++write) {
      for (int ack = 1; ack <= write; ++ack) function(Replication{ensemble, write, ack});
    }
  }
}

TEST(ReplicationTest, OrdersItsSizes) {
  EXPECT_TRUE((Replication{3, 2, 2}.IsValid()));
  EXPECT_TRUE((Replication{1, 1, 1}.IsValid()));
  EXPECT_FALSE((Replication{4, 2, 3}.IsValid()));
  EXPECT_FALSE((Replication{4, 2, 0}.IsValid()));
  EXPECT_FALSE((Replication{4, 5, 2}.IsValid()));
  EXPECT_FALSE((Replication{0, 0, 0}.IsValid()));
  EXPECT_FALSE((Replication{65, 65, 2}.IsValid()));
  EXPECT_FALSE((Replication{kEnsembleSizeMax + 1, 3, 2}.IsValid()));
}

// The definition, taken literally: is there a set of ack_quorum_size positions, all in the write
// set of some entry, none of which has answered?
bool SomeAckQuorumIsSilent(const Replication& replication, unsigned known) {
  for (int64_t entry = 0; entry < replication.ensemble_size; ++entry) {
    unsigned write_set = 0;
    for (int i = 0; i < replication.write_quorum_size; ++i) {
      write_set |= 1u << ((entry + i) % replication.ensemble_size);
    }
    for (unsigned quorum = 0; quorum < 1u << replication.ensemble_size; ++quorum) {
      if (std::popcount(quorum) == replication.ack_quorum_size && (quorum & ~write_set) == 0 &&
          (quorum & known) == 0) {
        return true;
      }
    }
  }
  return false;
}

TEST(CoverageTest, Scenario01_EqualsBruteForceForAllConfigurationsAndAnswers) {
  ForEachReplication([](const Replication& replication) {
    for (unsigned known = 0; known < 1u << replication.ensemble_size; ++known) {
      Coverage coverage(replication);
      for (int i = 0; i < replication.ensemble_size; ++i) {
        if ((known >> i & 1) != 0) coverage.AddKnown(i);
      }
      EXPECT_EQ(coverage.IsCovered(), !SomeAckQuorumIsSilent(replication, known))
          << replication.ensemble_size << "/" << replication.write_quorum_size << "/"
          << replication.ack_quorum_size << " known " << known;
    }
  });
}

TEST(CoverageTest, IsWeakerThanTheEnsembleRuleWhenTheEnsembleIsWide) {
  Coverage coverage({6, 3, 2});
  for (int i : {1, 2, 4, 5}) coverage.AddKnown(i);
  EXPECT_TRUE(coverage.IsCovered());  // 0 and 3 are silent although E - Qa + 1 is 5
}

// BOOKKEEPER-799: an older rule looked at the first Qa positions of a window only.
TEST(CoverageTest, Defect799_TwoOppositeAnswersOfFourDoNotCover) {
  Coverage coverage({4, 3, 2});
  coverage.AddKnown(0);
  coverage.AddKnown(2);
  EXPECT_FALSE(coverage.IsCovered());
}

// BOOKKEEPER-152: recovery waited for answers that it did not need.
TEST(CoverageTest, Defect152_OneSilentBookieOfThreeIsCovered) {
  Coverage coverage({3, 3, 2});
  coverage.AddKnown(0);
  coverage.AddKnown(0);
  EXPECT_FALSE(coverage.IsCovered());
  coverage.AddKnown(2);
  EXPECT_TRUE(coverage.IsCovered());
}

TEST(CoverageTest, NegativeQuorumLeavesLessThanAnAckQuorum) {
  ForEachReplication([](const Replication& replication) {
    const int left = replication.write_quorum_size - NegativeQuorumSize(replication);
    EXPECT_EQ(left, replication.ack_quorum_size - 1);
  });
}

TEST(WriteSetTest, Scenario02_PositionsOfHugeEntryIdsAreInRangeAndConsistent) {
  std::vector<int64_t> ids;
  for (int64_t base : {int64_t{0}, int64_t{1} << 31, int64_t{1} << 32, int64_t{1} << 62}) {
    for (int64_t delta = -4; delta <= 4; ++delta) {
      if (base + delta >= 0) ids.push_back(base + delta);
    }
  }
  ids.push_back(INT64_MAX);
  ForEachReplication([&](const Replication& replication) {
    for (int64_t id : ids) {
      const WriteSet write_set(EntryId(id), replication);
      ASSERT_EQ(write_set.size(), replication.write_quorum_size);
      std::set<BookieIndex> seen;
      for (int offset = 0; offset < write_set.size(); ++offset) {
        // The reader's formula: modulus first, on unsigned 128 bits so that nothing can wrap.
        const auto expected =
            static_cast<int>((static_cast<unsigned __int128>(id) + static_cast<unsigned>(offset)) %
                             static_cast<unsigned>(replication.ensemble_size));
        EXPECT_EQ(write_set[offset], expected);
        EXPECT_EQ(write_set.OffsetOf(write_set[offset]), offset);
        seen.insert(write_set[offset]);
      }
      EXPECT_EQ(static_cast<int>(seen.size()), replication.write_quorum_size);
      for (int index = 0; index < replication.ensemble_size; ++index) {
        EXPECT_EQ(write_set.Contains(index), seen.contains(index));
      }
    }
  });
}

TEST(WriteSetTest, EnsembleSetIsARotationOfTheWholeEnsemble) {
  const WriteSet set = WriteSet::EnsembleSet(EntryId(7), {5, 3, 2});
  ASSERT_EQ(set.size(), 5);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(set[i], (7 + i) % 5);
}

TEST(AckSetTest, CountsABookieOnce) {
  const WriteSet write_set(EntryId(4), {5, 3, 2});  // positions 4, 0, 1
  AckSet acks;
  EXPECT_TRUE(acks.empty());
  acks.Add(write_set, 0);
  acks.Add(write_set, 0);
  EXPECT_EQ(acks.count(), 1);
  acks.Add(write_set, 4);
  EXPECT_EQ(acks.count(), 2);
  EXPECT_TRUE(acks.Contains(write_set, 4));
  EXPECT_FALSE(acks.Contains(write_set, 1));
  acks.Remove(write_set, 4);
  acks.Remove(write_set, 4);
  EXPECT_EQ(acks.count(), 1);
  acks.Clear();
  EXPECT_TRUE(acks.empty());
}

TEST(AckSetTest, HoldsTheLargestWriteQuorum) {
  const WriteSet write_set(EntryId(63), {100, kWriteQuorumSizeMax, 1});
  AckSet acks;
  for (int i = 0; i < write_set.size(); ++i) acks.Add(write_set, write_set[i]);
  EXPECT_EQ(acks.count(), kWriteQuorumSizeMax);
}

}  // namespace
}  // namespace stele::quorum
