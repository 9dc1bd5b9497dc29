#include "metadata/ledger_id_generator.h"

#include <set>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/testing/metadata_test.h"

namespace stele::metadata {
namespace {

// Gives chosen numbers, as a store whose counters have come far.
class CountingStore : public ScriptedStore {
 public:
  using ScriptedStore::ScriptedStore;
  // The next sequential nodes whose prefix contains `part` have these suffixes.
  void Give(std::string part, std::vector<std::string> suffixes) {
    planned_[std::move(part)] = std::move(suffixes);
  }
  Task<absl::StatusOr<std::string>> CreateSequential(std::string path_prefix, std::string value,
                                                     NodeKind kind) override {
    for (auto& [part, suffixes] : planned_) {
      if (path_prefix.find(part) == std::string::npos || suffixes.empty()) continue;
      std::string path = path_prefix + suffixes.front();
      suffixes.erase(suffixes.begin());
      co_return path;
    }
    co_return co_await ScriptedStore::CreateSequential(path_prefix, value, kind);
  }

 private:
  std::map<std::string, std::vector<std::string>> planned_;
};

class LedgerIdGeneratorTest : public MetadataTest {
 protected:
  LedgerIdGeneratorTest() { Put("/l"); }

  std::unique_ptr<LedgerIdGenerator> NewGenerator(LayoutType type = LayoutType::kHierarchical) {
    return std::make_unique<LedgerIdGenerator>(env_.executor, &counting_, LedgerLayout("/l", type));
  }
  int64_t Next(LedgerIdGenerator* generator) {
    const auto id = Run(generator->Next());
    EXPECT_TRUE(id.ok()) << id.status();
    return id.ok() ? id->value() : -1;
  }
  std::vector<std::string> ChildrenOf(std::string path) {
    return Run(rival_session_->Children(std::move(path))).value();
  }

  CountingStore counting_{session_.get()};
};

TEST_F(LedgerIdGeneratorTest, IdsBeginAtZeroAndLeaveNoNodes) {
  const auto generator = NewGenerator();
  const auto other = NewGenerator(LayoutType::kLongHierarchical);
  EXPECT_EQ(Next(generator.get()), 0);
  EXPECT_EQ(Next(other.get()), 1);
  EXPECT_EQ(Next(generator.get()), 2);
  RunFor(absl::Seconds(1));
  EXPECT_TRUE(ChildrenOf("/l/idgen").empty());
  EXPECT_FALSE(Exists("/l/idgen-long"));
}

TEST_F(LedgerIdGeneratorTest, ALostAnswerCostsANumber) {
  const auto generator = NewGenerator();
  counting_.Fail(Op::kCreateSequential, "idgen", Fault::kLostAnswer);
  EXPECT_EQ(CodeOf(Run(generator->Next()).status()), ErrorCode::kMetadataUnavailable);
  EXPECT_EQ(Next(generator.get()), 1);
}

TEST_F(LedgerIdGeneratorTest, TheFlatLayoutSharesTheRootsCounter) {
  const auto generator = NewGenerator(LayoutType::kFlat);
  const int64_t first = Next(generator.get());
  EXPECT_GT(Next(generator.get()), first);
  EXPECT_FALSE(Exists("/l/idgen"));
}

TEST_F(LedgerIdGeneratorTest, TheLastShortIdIsFollowedByTheFirstBucket) {
  const auto generator = NewGenerator();
  counting_.Give("/idgen/ID-", {"2147483646", "2147483647"});
  EXPECT_EQ(Next(generator.get()), 2147483646);
  EXPECT_FALSE(Exists("/l/idgen-long"));
  EXPECT_EQ(Next(generator.get()), 4294967296);
  EXPECT_EQ(Next(generator.get()), 4294967297);
  EXPECT_EQ(ChildrenOf("/l/idgen-long"), std::vector<std::string>{"HOB-0000000001"});
  RunFor(absl::Seconds(1));
  EXPECT_TRUE(ChildrenOf("/l/idgen-long/HOB-0000000001").empty());
}

TEST_F(LedgerIdGeneratorTest, ANegativeCounterIsAnOverflowToo) {
  const auto generator = NewGenerator();
  counting_.Give("/idgen/ID-", {"-2147483648"});
  EXPECT_EQ(Next(generator.get()), 4294967296);
}

TEST_F(LedgerIdGeneratorTest, TheSwitchIsClusterWide) {
  Put("/l/idgen-long/HOB-0000000007");
  const auto generator = NewGenerator();
  EXPECT_EQ(Next(generator.get()), int64_t{7} << 32);
  EXPECT_EQ(counting_.CountOf(Op::kGet), 1);
  EXPECT_EQ(Next(generator.get()), (int64_t{7} << 32) + 1);
  EXPECT_EQ(counting_.CountOf(Op::kGet), 1);
}

TEST_F(LedgerIdGeneratorTest, AFullBucketIsFollowedByTheNextAndOldOnesAreSwept) {
  for (const char* bucket : {"1", "2", "3", "4"}) {
    Put(StrCat("/l/idgen-long/HOB-000000000", bucket));
  }
  Put("/l/idgen-long/unrelated");
  const auto generator = NewGenerator();
  counting_.Give("HOB-0000000004/ID-", {"2147483646", "2147483647"});
  EXPECT_EQ(Next(generator.get()), (int64_t{4} << 32) + 2147483646);
  EXPECT_EQ(Next(generator.get()), int64_t{5} << 32);
  RunFor(absl::Seconds(1));
  EXPECT_EQ(ChildrenOf("/l/idgen-long"),
            (std::vector<std::string>{"HOB-0000000003", "HOB-0000000004", "HOB-0000000005",
                                      "unrelated"}));
}

TEST_F(LedgerIdGeneratorTest, ARivalMayHaveMadeTheNextBucket) {
  Put("/l/idgen-long/HOB-0000000001");
  const auto generator = NewGenerator();
  EXPECT_EQ(Next(generator.get()), int64_t{1} << 32);
  Put("/l/idgen-long/HOB-0000000002");
  Put("/l/idgen-long/HOB-0000000003");
  counting_.Give("HOB-0000000001/ID-", {"2147483647"});
  EXPECT_EQ(Next(generator.get()), int64_t{3} << 32);
}

TEST_F(LedgerIdGeneratorTest, LayoutsWithoutLongIdsEnd) {
  const auto generator = NewGenerator(LayoutType::kLegacyHierarchical);
  counting_.Give("/idgen/ID-", {"2147483647"});
  EXPECT_EQ(CodeOf(Run(generator->Next()).status()), ErrorCode::kUnsupported);
  EXPECT_FALSE(Exists("/l/idgen-long"));
}

TEST_F(LedgerIdGeneratorTest, TheLastBucketEnds) {
  Put("/l/idgen-long/HOB-2147483647");
  const auto generator = NewGenerator();
  counting_.Give("HOB-2147483647/ID-", {"2147483646", "2147483647"});
  EXPECT_EQ(Next(generator.get()), (int64_t{2147483647} << 32) + 2147483646);
  EXPECT_EQ(CodeOf(Run(generator->Next()).status()), ErrorCode::kUnsupported);
}

TEST_F(LedgerIdGeneratorTest, WhatIsNoNumberIsAnError) {
  const auto generator = NewGenerator();
  counting_.Give("/idgen/ID-", {"", "x"});
  EXPECT_EQ(CodeOf(Run(generator->Next()).status()), ErrorCode::kCorruptData);
  EXPECT_EQ(CodeOf(Run(generator->Next()).status()), ErrorCode::kCorruptData);
}

TEST_F(LedgerIdGeneratorTest, ManyAtOnceAreAllDifferent) {
  const auto generator = NewGenerator();
  counting_.Give("/idgen/ID-", {"2147483647", "2147483647", "2147483647"});
  std::vector<std::shared_ptr<std::optional<absl::StatusOr<LedgerId>>>> results;
  for (int i = 0; i < 50; ++i) results.push_back(Start(generator->Next()));
  RunFor(absl::Seconds(10));
  std::set<int64_t> ids;
  for (const auto& result : results) {
    ASSERT_TRUE(result->has_value());
    ASSERT_TRUE((**result).ok());
    ids.insert((**result)->value());
  }
  EXPECT_EQ(ids.size(), 50u);
}

}  // namespace
}  // namespace stele::metadata
