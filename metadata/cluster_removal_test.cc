#include "metadata/cluster_removal.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/autorecovery_records.h"
#include "metadata/cluster_paths.h"
#include "metadata/testing/metadata_test.h"

namespace stele::metadata {
namespace {

class ClusterRemovalTest : public MetadataTest {
 protected:
  ClusterRemovalTest() : cluster_(Make()) {}

  Cluster Make(LayoutType layout = LayoutType::kHierarchical) {
    EXPECT_TRUE(Run(InitializeCluster(&store_, env_.random, "/ledgers", layout)).ok());
    return *Run(OpenCluster(&store_, "/ledgers", std::nullopt));
  }
  // Ledgers with short and with long ids, cookies, repair, id generators and records of ours.
  void Fill() {
    for (int i = 0; i < 200; ++i) PutLedger(LedgerId(i * 7));
    PutLedger(LedgerId(LedgerLayout::kFirstLongId + 4));
    Put("/ledgers/cookies/b1:3181", "cookie");
    Put("/ledgers/idgen-long/HOB-0000000001");
    Put("/ledgers/underreplication/ledgers/0000/0000/0000/0007/urL0000000007", "mark");
    Put("/ledgers/underreplication/LAYOUT");
    Put(StrCat(AutorecoveryRecords(&store_, cluster_).root(), "/lost/b1:3181"));
  }
  void PutLedger(LedgerId ledger) { Put(*cluster_.layout.PathOf(ledger), "not even readable"); }

  absl::Status Remove(Afterwards afterwards = Afterwards::kNothing) {
    removed_ = 0;
    return Run(RemoveCluster(env_, &store_, cluster_, afterwards, [this](int64_t ledgers) {
      EXPECT_GT(ledgers, removed_);
      removed_ = ledgers;
    }));
  }
  std::optional<Cluster> Begun() { return *Run(FindRemoval(&store_, "/ledgers")); }
  // It can be gone on with, and nobody takes what is left for a cluster.
  void ExpectBegun() {
    const std::optional<Cluster> begun = Begun();
    ASSERT_TRUE(begun.has_value());
    EXPECT_EQ(begun->instance_id, cluster_.instance_id);
    EXPECT_EQ(begun->layout.type(), cluster_.layout.type());
    const absl::Status opened = Run(OpenCluster(&store_, "/ledgers", std::nullopt)).status();
    EXPECT_EQ(CodeOf(opened), ErrorCode::kConfig);
    EXPECT_NE(ToStd(opened.message()).find("nuke --instance " + *cluster_.instance_id),
              std::string::npos)
        << opened;
    EXPECT_EQ(
        CodeOf(Run(InitializeCluster(&store_, env_.random, "/ledgers", LayoutType::kHierarchical))),
        ErrorCode::kConfig);
  }

  Task<void> Register() {
    EXPECT_TRUE(
        (co_await rival_session_->Create("/ledgers/available/late:3181", "", NodeKind::kEphemeral))
            .ok());
  }

  Cluster cluster_;
  int64_t removed_ = 0;
};

TEST_F(ClusterRemovalTest, NothingOfTheClusterIsLeftAndWhatIsBesideItStays) {
  Fill();
  Put("/ledgers-of-another/LAYOUT");
  Put("/stele/another-instance/limits");
  const absl::Status removed = Remove();
  EXPECT_TRUE(removed.ok()) << removed;
  EXPECT_EQ(removed_, 201);
  EXPECT_FALSE(Exists("/ledgers"));
  EXPECT_FALSE(Exists(AutorecoveryRecords(&store_, cluster_).root()));
  EXPECT_TRUE(Exists("/ledgers-of-another/LAYOUT"));
  EXPECT_TRUE(Exists("/stele/another-instance/limits"));
  // The place is free for another cluster.
  EXPECT_NE(Make().instance_id, cluster_.instance_id);
}

TEST_F(ClusterRemovalTest, WhileABookieIsRegisteredNothingIsRemoved) {
  Fill();
  for (const char* place : {"/ledgers/available/b1:3181", "/ledgers/available/readonly/b1:3181"}) {
    ASSERT_TRUE(Run(other_session_->Create(place, "", NodeKind::kEphemeral)).ok());
    EXPECT_EQ(CodeOf(Remove()), ErrorCode::kMetadataConflict) << place;
    EXPECT_TRUE(Exists("/ledgers/cookies/b1:3181"));
    EXPECT_TRUE(Exists("/ledgers/available/readonly"));
    EXPECT_EQ(removed_, 0);
    ASSERT_TRUE(Run(other_session_->Delete(place, kAnyVersion)).ok());
  }
}

TEST_F(ClusterRemovalTest, WhatBelongsToNoClusterIsLookedAtBySomebodyFirst) {
  Fill();
  Put("/ledgers/namespaces/mine");
  EXPECT_EQ(*Run(NamesOfNoCluster(&store_, "/ledgers")), std::vector<std::string>{"namespaces"});
  EXPECT_EQ(CodeOf(Remove()), ErrorCode::kMetadataConflict);
  EXPECT_TRUE(Exists("/ledgers/available/readonly"));
}

TEST_F(ClusterRemovalTest, AnInterruptedRemovalIsCompletedByAnother) {
  for (const char* step : {"/cookies", "/00/0000/L0007", "/idgen-long", "/underreplication/ledgers",
                           "/stele/", "/INSTANCEID", "/LAYOUT"}) {
    SCOPED_TRACE(step);
    Fill();
    store_.Fail(Op::kDelete, step, Fault::kNotSent);
    EXPECT_EQ(CodeOf(Remove()), ErrorCode::kMetadataUnavailable);
    ExpectBegun();
    cluster_ = *Begun();
    const absl::Status again = Remove();
    EXPECT_TRUE(again.ok()) << again;
    EXPECT_FALSE(Exists("/ledgers"));
    EXPECT_FALSE(Begun().has_value());
    cluster_ = Make();
  }
}

TEST_F(ClusterRemovalTest, BeforeAnythingIsGoneTheClusterIsStillThere) {
  Fill();
  store_.Fail(Op::kDelete, "/available/readonly", Fault::kNotSent);
  EXPECT_EQ(CodeOf(Remove()), ErrorCode::kMetadataUnavailable);
  EXPECT_FALSE(Begun().has_value());
  EXPECT_EQ(Run(OpenCluster(&store_, "/ledgers", std::nullopt))->instance_id, cluster_.instance_id);
}

TEST_F(ClusterRemovalTest, AFlatClusterStaysFlatWhereverItsRemovalWasInterrupted) {
  EXPECT_TRUE(Remove().ok());
  cluster_ = Make(LayoutType::kFlat);
  for (const auto& [op, step] :
       {std::pair(Op::kDelete, "/L0000000007"), std::pair(Op::kDelete, "/INSTANCEID"),
        std::pair(Op::kCreate, "/available/readonly"), std::pair(Op::kCreate, "/INSTANCEID")}) {
    SCOPED_TRACE(step);
    PutLedger(LedgerId(7));
    store_.Fail(op, step, Fault::kNotSent);
    EXPECT_EQ(CodeOf(Remove(Afterwards::kEmptyCluster)), ErrorCode::kMetadataUnavailable);
    ExpectBegun();
    EXPECT_TRUE(Remove(Afterwards::kEmptyCluster).ok());
    const auto anew = Run(OpenCluster(&store_, "/ledgers", std::nullopt));
    ASSERT_TRUE(anew.ok()) << anew.status();
    EXPECT_EQ(anew->layout.type(), LayoutType::kFlat);
    EXPECT_NE(anew->instance_id, cluster_.instance_id);
    EXPECT_FALSE(Exists("/ledgers/L0000000007"));
    cluster_ = *anew;
  }
}

TEST_F(ClusterRemovalTest, OneOfOldIsKnownByItsRoot) {
  ASSERT_TRUE(Run(store_.Delete("/ledgers/INSTANCEID", kAnyVersion)).ok());
  cluster_.instance_id.reset();
  store_.Fail(Op::kDelete, "/LAYOUT", Fault::kNotSent);
  EXPECT_FALSE(Remove().ok());
  ASSERT_TRUE(Begun().has_value());
  EXPECT_EQ(Begun()->instance_id, std::nullopt);
  EXPECT_TRUE(Remove().ok());
}

TEST_F(ClusterRemovalTest, WhoComesMeanwhileIsSeenAndKeepsHisRegistration) {
  Fill();
  store_.Before(Op::kDelete, "/ledgers/LAYOUT", [this] { return Register(); });
  EXPECT_EQ(CodeOf(Remove()), ErrorCode::kMetadataConflict);
  EXPECT_TRUE(Exists("/ledgers/available/late:3181"));
}

}  // namespace
}  // namespace stele::metadata
