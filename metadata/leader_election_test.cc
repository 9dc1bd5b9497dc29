#include "metadata/leader_election.h"

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/testing/metadata_test.h"

namespace stele::metadata {
namespace {

constexpr char kElection[] = "/ledgers/underreplication/auditorelection";

TEST(SortVotesTest, VotesAreOrderedByNumber) {
  EXPECT_EQ(
      SortVotes({"V_0000000010", "other", "V_0000000009", "V_x", "V_9999999999"}),
      (std::vector<Vote>{{"V_0000000009", 9}, {"V_0000000010", 10}, {"V_9999999999", 9999999999}}));
}

class LeaderElectionTest : public MetadataTest {
 protected:
  LeaderElectionTest() { Put("/ledgers"); }

  std::vector<std::string> Votes() {
    const auto names = Run(rival_session_->Children(kElection));
    return names.ok() ? *names : std::vector<std::string>();
  }

  const ClusterPaths paths_{"/ledgers"};
  LeaderElection election_{env_, &store_, paths_, "first"};
  LeaderElection other_{world_.env(other_process_), other_session_.get(), paths_, "second"};
};

TEST_F(LeaderElectionTest, TheFirstVoteWinsAndIsNamedAsApacheNamesIt) {
  EXPECT_TRUE(Run(election_.WaitUntilElected()).ok());
  EXPECT_EQ(Votes(), std::vector<std::string>{"V_0000000000"});
  EXPECT_EQ(ValueOf(StrCat(kElection, "/V_0000000000")), "bookieId: \"first\"\n");
  EXPECT_EQ(ValueOf(kElection), "bookieId: \"first\"\n");
  EXPECT_TRUE(*Run(election_.IsLeader()));
  EXPECT_EQ(*Run(CurrentLeader(rival_session_.get(), paths_)), "first");
}

TEST_F(LeaderElectionTest, WithoutVotesNobodyLeads) {
  EXPECT_EQ(*Run(CurrentLeader(rival_session_.get(), paths_)), std::nullopt);
  EXPECT_FALSE(*Run(election_.IsLeader()));
}

TEST_F(LeaderElectionTest, TheNextOneTakesOverWhenTheFirstGoes) {
  EXPECT_TRUE(RunIn(other_process_, other_.WaitUntilElected()).ok());
  const auto elected = Start(election_.WaitUntilElected());
  RunFor(absl::Minutes(1));
  EXPECT_FALSE(elected->has_value());
  EXPECT_FALSE(*Run(election_.IsLeader()));
  RunIn(other_process_, [](LeaderElection* other) -> Task<bool> {
    co_await other->Resign();
    co_return true;
  }(&other_));
  Settle();
  ASSERT_TRUE(elected->has_value());
  EXPECT_TRUE((*elected)->ok());
  EXPECT_TRUE(*Run(election_.IsLeader()));
}

TEST_F(LeaderElectionTest, WaitingCostsAlmostNothing) {
  EXPECT_TRUE(RunIn(other_process_, other_.WaitUntilElected()).ok());
  const auto elected = Start(election_.WaitUntilElected());
  RunFor(absl::Minutes(1));
  EXPECT_LT(store_.CountOf(Op::kChildren), 20);
}

TEST_F(LeaderElectionTest, AVoteWhoseAnswerIsLostIsAdopted) {
  store_.Fail(Op::kCreateSequential, "V_", Fault::kLostAnswer);
  EXPECT_TRUE(Run(election_.WaitUntilElected()).ok());
  EXPECT_EQ(Votes().size(), 1u);
}

TEST_F(LeaderElectionTest, AnAuditorOfApacheIsAVoteLikeAnyOther) {
  EXPECT_TRUE(Run(rival_session_->Create(StrCat(kElection, "/V_0000000007"),
                                         "bookieId: \"java:3181\"\n", NodeKind::kEphemeral))
                  .ok());
  EXPECT_EQ(*Run(CurrentLeader(rival_session_.get(), paths_)), "java:3181");
}

// T27
TEST_F(LeaderElectionTest, WhoseVoteIsDeletedByHandLeadsNoMore) {
  EXPECT_TRUE(Run(election_.WaitUntilElected()).ok());
  const auto elected = Start(other_.WaitUntilElected());
  Settle();
  EXPECT_TRUE(Run(rival_session_->Delete(StrCat(kElection, "/V_0000000000"), kAnyVersion)).ok());
  Settle();
  EXPECT_FALSE(*Run(election_.IsLeader()));
  EXPECT_TRUE(elected->has_value());
}

TEST_F(LeaderElectionTest, AfterTheEndOfItsSessionItVotesAgain) {
  EXPECT_TRUE(Run(election_.WaitUntilElected()).ok());
  world_.metadata().Expire(process_);
  RunFor(absl::Seconds(1));
  EXPECT_FALSE(*Run(election_.IsLeader()));
  EXPECT_TRUE(Run(election_.WaitUntilElected()).ok());
  EXPECT_EQ(Votes(), std::vector<std::string>{"V_0000000001"});
}

TEST_F(LeaderElectionTest, AnOutageIsWaitedForAndNobodyIsCertainMeanwhile) {
  EXPECT_TRUE(Run(election_.WaitUntilElected()).ok());
  world_.metadata().Stop();
  EXPECT_EQ(CodeOf(Run(election_.IsLeader()).status()), ErrorCode::kMetadataUnavailable);
  const auto elected = Start(election_.WaitUntilElected());
  RunFor(absl::Minutes(1));
  EXPECT_FALSE(elected->has_value());
  world_.metadata().Start();
  RunFor(absl::Seconds(30));
  EXPECT_TRUE(elected->has_value());
}

}  // namespace
}  // namespace stele::metadata
