#include "metadata/cluster_init.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/testing/metadata_test.h"

namespace stele::metadata {
namespace {

class ClusterInitTest : public MetadataTest {
 protected:
  absl::Status Initialize(LayoutType layout = LayoutType::kHierarchical,
                          std::string root = "/ledgers") {
    return Run(InitializeCluster(&store_, env_.random, std::move(root), layout));
  }
  absl::StatusOr<Cluster> Open(std::optional<LayoutType> wanted = std::nullopt) {
    return Run(OpenCluster(&store_, "/ledgers", wanted));
  }
};

TEST_F(ClusterInitTest, MakesTheNodesThatApacheMakesAndCookies) {
  EXPECT_TRUE(Initialize(LayoutType::kLongHierarchical).ok());
  EXPECT_EQ(*Run(rival_session_->Children("/ledgers")),
            (std::vector<std::string>{"INSTANCEID", "LAYOUT", "available", "cookies"}));
  EXPECT_EQ(*Run(rival_session_->Children("/ledgers/available")),
            std::vector<std::string>{"readonly"});
  EXPECT_EQ(ValueOf("/ledgers"), "");
  EXPECT_EQ(ValueOf("/ledgers/available/readonly"), "");
  EXPECT_EQ(ValueOf("/ledgers/LAYOUT"), SerializeLayout(LayoutType::kLongHierarchical));
}

TEST_F(ClusterInitTest, TheInstanceIdIsARandomUuidOfVersion4) {
  EXPECT_TRUE(Initialize().ok());
  const std::string id = ValueOf("/ledgers/INSTANCEID");
  ASSERT_EQ(id.size(), 36u);
  for (size_t i = 0; i < id.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    EXPECT_EQ(id[i] == '-', dash) << id;
    EXPECT_NE(std::string_view("0123456789abcdef-").find(id[i]), std::string_view::npos) << id;
  }
  EXPECT_EQ(id[14], '4');
  EXPECT_NE(std::string_view("89ab").find(id[19]), std::string_view::npos);
  EXPECT_TRUE(Initialize(LayoutType::kHierarchical, "/other/ledgers").ok());
  EXPECT_NE(ValueOf("/other/ledgers/INSTANCEID"), id);
}

TEST_F(ClusterInitTest, ASecondInitialisationChangesNothing) {
  EXPECT_TRUE(Initialize().ok());
  const std::string id = ValueOf("/ledgers/INSTANCEID");
  EXPECT_EQ(CodeOf(Initialize(LayoutType::kLongHierarchical)), ErrorCode::kKeyExists);
  EXPECT_EQ(ValueOf("/ledgers/INSTANCEID"), id);
  EXPECT_EQ(Open()->layout.type(), LayoutType::kHierarchical);
}

TEST_F(ClusterInitTest, AnInterruptedInitialisationIsCompletedAndKeepsItsInstanceId) {
  for (const char* step : {"readonly", "cookies", "INSTANCEID", "LAYOUT"}) {
    const std::string root = StrCat("/root-", step);
    store_.Fail(Op::kCreate,
                StrCat(root, step == std::string_view("readonly") ? "/available" : "", "/", step),
                Fault::kNotSent);
    EXPECT_EQ(CodeOf(Initialize(LayoutType::kHierarchical, root)), ErrorCode::kMetadataUnavailable)
        << step;
    const std::string id = ValueOf(root + "/INSTANCEID");
    EXPECT_TRUE(Initialize(LayoutType::kHierarchical, root).ok()) << step;
    if (step == std::string_view("LAYOUT")) EXPECT_EQ(ValueOf(root + "/INSTANCEID"), id);
    EXPECT_TRUE(Run(OpenCluster(&store_, root, LayoutType::kHierarchical)).ok());
  }
}

TEST_F(ClusterInitTest, SomethingElseAtTheRootIsLeftAlone) {
  Put("/ledgers/00/0000/L0000");
  EXPECT_EQ(CodeOf(Initialize()), ErrorCode::kKeyExists);
  Put("/r2/cookies/b1");
  EXPECT_EQ(CodeOf(Initialize(LayoutType::kHierarchical, "/r2")), ErrorCode::kKeyExists);
  Put("/r3/available/b1");
  EXPECT_EQ(CodeOf(Initialize(LayoutType::kHierarchical, "/r3")), ErrorCode::kKeyExists);
  EXPECT_FALSE(Exists("/r3/INSTANCEID"));
}

TEST_F(ClusterInitTest, OfTwoInitialisationsAtOnceOneWins) {
  store_.Before(Op::kCreate, "LAYOUT", [this]() -> Task<void> {
    return [](MetadataStore* store, Random* random) -> Task<void> {
      EXPECT_TRUE(
          (co_await InitializeCluster(store, random, "/ledgers", LayoutType::kLongHierarchical))
              .ok());
    }(rival_session_.get(), env_.random);
  });
  EXPECT_EQ(CodeOf(Initialize()), ErrorCode::kKeyExists);
  EXPECT_EQ(Open()->layout.type(), LayoutType::kLongHierarchical);
}

TEST_F(ClusterInitTest, AClusterThatIsNotThereSaysWhatToDo) {
  const absl::StatusOr<Cluster> cluster = Open();
  EXPECT_EQ(CodeOf(cluster.status()), ErrorCode::kConfig);
  EXPECT_EQ(cluster.status().message(),
            "the cluster at /ledgers is not initialised; run stele cluster init");
  EXPECT_FALSE(Exists("/ledgers"));
}

TEST_F(ClusterInitTest, TheUriAndTheLayoutMustAgree) {
  EXPECT_TRUE(Initialize().ok());
  EXPECT_TRUE(Open(LayoutType::kHierarchical).ok());
  EXPECT_EQ(Open()->instance_id, ValueOf("/ledgers/INSTANCEID"));
  EXPECT_EQ(CodeOf(Open(LayoutType::kLongHierarchical).status()), ErrorCode::kConfig);
}

TEST_F(ClusterInitTest, WhatOlderToolsLeftOutIsMade) {
  Put("/ledgers/INSTANCEID", "id");
  const auto cluster = Open(LayoutType::kLongHierarchical);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  EXPECT_EQ(cluster->layout.type(), LayoutType::kLongHierarchical);
  EXPECT_EQ(ValueOf("/ledgers/LAYOUT"), SerializeLayout(LayoutType::kLongHierarchical));
  EXPECT_TRUE(Exists("/ledgers/available/readonly"));
  EXPECT_TRUE(Exists("/ledgers/cookies"));
}

TEST_F(ClusterInitTest, AClusterFromBeforeInstanceIdsHasNone) {
  Put("/ledgers/LAYOUT", "1\nhierarchical:1");
  const auto cluster = Open();
  ASSERT_TRUE(cluster.ok());
  EXPECT_EQ(cluster->instance_id, std::nullopt);
  EXPECT_FALSE(Exists("/ledgers/INSTANCEID"));
}

TEST_F(ClusterInitTest, OfTwoWritersOfLayoutTheFirstDecides) {
  Put("/ledgers/INSTANCEID", "id");
  store_.Before(Op::kCreate, "LAYOUT", [this]() -> Task<void> {
    return [](MetadataStore* store) -> Task<void> {
      (co_await store->Create("/ledgers/LAYOUT", SerializeLayout(LayoutType::kHierarchical),
                              NodeKind::kPersistent))
          .IgnoreError();
    }(rival_session_.get());
  });
  EXPECT_EQ(CodeOf(Open(LayoutType::kLongHierarchical).status()), ErrorCode::kConfig);
  EXPECT_EQ(Open()->layout.type(), LayoutType::kHierarchical);
}

TEST_F(ClusterInitTest, DamagedNodesAreErrors) {
  Put("/ledgers/LAYOUT", "");
  EXPECT_EQ(CodeOf(Open().status()), ErrorCode::kCorruptData);
  Put("/ledgers/INSTANCEID", std::string(1000, 'x'));
  EXPECT_EQ(CodeOf(Open().status()), ErrorCode::kCorruptData);
}

}  // namespace
}  // namespace stele::metadata
