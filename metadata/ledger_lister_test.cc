#include "metadata/ledger_lister.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/cluster_init.h"
#include "metadata/testing/metadata_test.h"

namespace stele::metadata {
namespace {

class LedgerListerTest : public MetadataTest {
 protected:
  // A cluster with these ledgers, where its layout has them.
  void MakeLedgers(LayoutType type, const std::vector<int64_t>& ids) {
    layout_ = LedgerLayout("/ledgers", type);
    EXPECT_TRUE(Run(InitializeCluster(rival_session_.get(), env_.random, "/ledgers", type)).ok());
    for (const int64_t id : ids) Put(*layout_.PathOf(LedgerId(id)));
  }
  LedgerLister NewLister() { return LedgerLister(&store_, layout_); }
  // All ranges; a listing that fails is one range [-1].
  std::vector<std::vector<int64_t>> ListAll(LedgerLister* lister) {
    std::vector<std::vector<int64_t>> all;
    for (;;) {
      const auto range = Run(lister->Next());
      if (!range.ok()) return {{-1}};
      if (!range->has_value()) return all;
      all.emplace_back();
      for (const LedgerId id : **range) all.back().push_back(id.value());
    }
  }
  std::vector<std::vector<int64_t>> ListAll() {
    LedgerLister lister = NewLister();
    return ListAll(&lister);
  }
  ErrorCode CodeOfListing() {
    LedgerLister lister = NewLister();
    for (;;) {
      const auto range = Run(lister.Next());
      if (!range.ok()) return CodeOf(range.status());
      if (!range->has_value()) return ErrorCode::kOk;
    }
  }
  using Ranges = std::vector<std::vector<int64_t>>;

  LedgerLayout layout_{"/ledgers", LayoutType::kHierarchical};
};

TEST_F(LedgerListerTest, AscendsOverShortAndLongPathsOneDirectoryAtATime) {
  MakeLedgers(LayoutType::kHierarchical, {9223372036854775807, 4294967296, 2147483647, 2147483646,
                                          10000, 9999, 42, 0, 4294967297, 100000000});
  EXPECT_EQ(ListAll(), (Ranges{{0, 42, 9999},
                               {10000},
                               {100000000},
                               {2147483646},
                               {2147483647},
                               {4294967296, 4294967297},
                               {9223372036854775807}}));
}

TEST_F(LedgerListerTest, TheOtherLayoutsAscendToo) {
  MakeLedgers(LayoutType::kLongHierarchical, {4294967296, 7, 0});
  EXPECT_EQ(ListAll(), (Ranges{{0, 7}, {4294967296}}));
}

TEST_F(LedgerListerTest, LegacyListsShortPathsOnly) {
  MakeLedgers(LayoutType::kLegacyHierarchical, {2147483648, 3});
  EXPECT_EQ(ListAll(), (Ranges{{3}, {2147483648}}));
}

TEST_F(LedgerListerTest, FlatIsOneRange) {
  MakeLedgers(LayoutType::kFlat, {20, 3, 9999999999});
  Put("/ledgers/ID-0000000007");
  EXPECT_EQ(ListAll(), (Ranges{{3, 20, 9999999999}}));
}

TEST_F(LedgerListerTest, AnEmptyClusterHasNoRangesAndAMissingOneIsAnError) {
  EXPECT_EQ(CodeOfListing(), ErrorCode::kConfig);
  MakeLedgers(LayoutType::kHierarchical, {});
  EXPECT_EQ(ListAll(), Ranges());
}

// Row 39 of the bad-input table.
TEST_F(LedgerListerTest, ForeignNamesAndEmptyParentsArePassedOverAndCounted) {
  MakeLedgers(LayoutType::kHierarchical, {1, 4294967296});
  for (const char* path :
       {"/ledgers/disableHealthCheck", "/ledgers/idgen/ID-0000000001", "/ledgers/1",
        "/ledgers/0000", "/ledgers/05/0000", "/ledgers/06", "/ledgers/00/12",
        "/ledgers/00/abcd/L0001", "/ledgers/00/0000/L-001", "/ledgers/00/0000/X0002",
        "/ledgers/00/0000/L00003", "/ledgers/00/0000/l0004", "/ledgers/999/9999/9999/9999/L9999"}) {
    Put(path);
  }
  LedgerLister lister = NewLister();
  EXPECT_EQ(ListAll(&lister), (Ranges{{1}, {4294967296}}));
  EXPECT_EQ(lister.ignored_names(), 7);
}

TEST_F(LedgerListerTest, AnErrorAnywhereIsAnErrorAndStaysOne) {
  MakeLedgers(LayoutType::kHierarchical, {1, 10001, 2147483647});
  for (const char* path : {"/ledgers", "/ledgers/00", "/00/0001", "/ledgers/000", "/0021/4748"}) {
    store_.Fail(Op::kChildren, path, Fault::kNotSent);
    LedgerLister lister = NewLister();
    EXPECT_EQ(ListAll(&lister), (Ranges{{-1}})) << path;
    EXPECT_EQ(CodeOf(Run(lister.Next()).status()), ErrorCode::kMetadataUnavailable) << path;
  }
  EXPECT_EQ(ListAll(), (Ranges{{1}, {10001}, {2147483647}}));
}

TEST_F(LedgerListerTest, ALedgerOfAnotherLayoutIsAnErrorAndNotPassedOver) {
  MakeLedgers(LayoutType::kHierarchical, {1});
  Put("/ledgers/000/0000/0000/0000/L0042");
  EXPECT_EQ(CodeOfListing(), ErrorCode::kCorruptData);
  EXPECT_TRUE(Run(rival_session_->Delete("/ledgers/000/0000/0000/0000/L0042", kAnyVersion)).ok());
  EXPECT_EQ(CodeOfListing(), ErrorCode::kOk);
  Put("/ledgers/99/9999/L9999");
  EXPECT_EQ(CodeOfListing(), ErrorCode::kCorruptData);
}

TEST_F(LedgerListerTest, ADirectoryThatGoesWhileWeListIsEmpty) {
  MakeLedgers(LayoutType::kHierarchical, {1, 10001, 20001});
  const auto remove = [](MetadataStore* store) -> Task<void> {
    (co_await store->Delete("/ledgers/00/0001/L0001", kAnyVersion)).IgnoreError();
    (co_await store->Delete("/ledgers/00/0001", kAnyVersion)).IgnoreError();
  };
  store_.Before(Op::kChildren, "/00/0001", [&] { return remove(rival_session_.get()); });
  EXPECT_EQ(ListAll(), (Ranges{{1}, {20001}}));
}

TEST_F(LedgerListerTest, OnlyOneDirectoryIsReadAhead) {
  std::vector<int64_t> ids;
  for (int64_t i = 0; i < 20; ++i) ids.push_back(i * 10000);
  MakeLedgers(LayoutType::kHierarchical, ids);
  LedgerLister lister = NewLister();
  EXPECT_TRUE(Run(lister.Next()).ok());
  EXPECT_EQ(store_.CountOf(Op::kChildren), 3);
  EXPECT_TRUE(Run(lister.Next()).ok());
  EXPECT_EQ(store_.CountOf(Op::kChildren), 4);
}

}  // namespace
}  // namespace stele::metadata
