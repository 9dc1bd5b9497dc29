#include "metadata/cluster_removal.h"

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

  Cluster Make() {
    EXPECT_TRUE(
        Run(InitializeCluster(&store_, env_.random, "/ledgers", LayoutType::kHierarchical)).ok());
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

  absl::Status Remove() {
    return Run(RemoveCluster(env_, &store_, cluster_, [this](int64_t ledgers) {
      EXPECT_GT(ledgers, removed_);
      removed_ = ledgers;
    }));
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

// Wherever it ends, the instance id is still there for whoever completes it, and no cookie that a
// bookie could start with.
TEST_F(ClusterRemovalTest, AnInterruptedRemovalIsCompletedByAnother) {
  for (const char* step : {"/available/readonly", "/cookies", "/00/0000/L0007", "/idgen-long",
                           "/underreplication/ledgers", "/stele/", "/LAYOUT", "/INSTANCEID"}) {
    Fill();
    store_.Fail(Op::kDelete, step, Fault::kNotSent);
    EXPECT_EQ(CodeOf(Remove()), ErrorCode::kMetadataUnavailable) << step;
    EXPECT_EQ(ValueOf("/ledgers/INSTANCEID"), *cluster_.instance_id) << step;
    removed_ = 0;
    const absl::Status again = Remove();
    EXPECT_TRUE(again.ok()) << step << ": " << again;
    EXPECT_FALSE(Exists("/ledgers")) << step;
    cluster_ = Make();
    removed_ = 0;
  }
}

TEST_F(ClusterRemovalTest, WhoComesMeanwhileIsSeenAndKeepsHisRegistration) {
  Fill();
  store_.Before(Op::kDelete, "/ledgers/LAYOUT", [this] { return Register(); });
  EXPECT_EQ(CodeOf(Remove()), ErrorCode::kMetadataConflict);
  EXPECT_TRUE(Exists("/ledgers/available/late:3181"));
}

}  // namespace
}  // namespace stele::metadata
