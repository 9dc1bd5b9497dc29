// What the store makes of lost replies, lost sessions and watches, each scenario for some seeds.
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/zookeeper/testing/zookeeper_rig.h"

namespace stele::metadata {
namespace {

using Fate = FakeZooKeeper::Fate;
using Request = FakeZooKeeper::Request;
using States = std::vector<SessionState>;
constexpr NodeKind kPersistent = NodeKind::kPersistent;
constexpr NodeKind kEphemeral = NodeKind::kEphemeral;

class ZooKeeperStoreTest : public ZooKeeperRig {};

INSTANTIATE_TEST_SUITE_P(Seeds, ZooKeeperStoreTest, testing::Range<uint64_t>(1, 6));

// ---- Creates whose reply is lost

TEST_P(ZooKeeperStoreTest, ACreateThatWasAppliedIsFoundToBeOurs) {
  const auto store = Open();
  Doom(Request::kCreate, Fate::kDropAfter);
  EXPECT_TRUE(Run(store->Create("/a", "token 1", kPersistent)).ok());
  EXPECT_EQ(server_.nodes().at("/a").value, "token 1");
}

TEST_P(ZooKeeperStoreTest, ACreateThatWasNotAppliedIsSentAgain) {
  const auto store = Open();
  Doom(Request::kCreate, Fate::kDropBefore);
  EXPECT_TRUE(Run(store->Create("/a", "token 1", kPersistent)).ok());
  EXPECT_EQ(server_.nodes().at("/a").value, "token 1");
}

TEST_P(ZooKeeperStoreTest, ALostCreateDoesNotClaimTheNodeOfAnother) {
  const auto store = Open();
  server_.decide = [this](Request request, const std::string& path) {
    if (request != Request::kCreate) return Fate::kServe;
    server_.decide = nullptr;
    EXPECT_TRUE(server_.Create(path, "token 2"));
    return Fate::kDropBefore;
  };
  const absl::Status status = Run(store->Create("/a", "token 1", kPersistent));
  EXPECT_EQ(CodeOf(status), ErrorCode::kKeyExists);
  EXPECT_EQ(EffectOf(status), Effect::kNone);
}

TEST_P(ZooKeeperStoreTest, ALostCreateOfANodeThatHasChangedSinceIsUnknown) {
  const auto store = Open();
  server_.decide = [this](Request request, const std::string& path) {
    if (request != Request::kGet) return Fate::kServe;
    server_.decide = nullptr;
    EXPECT_TRUE(server_.Set(path, "changed"));
    return Fate::kServe;
  };
  const auto decide_get = std::move(server_.decide);
  server_.decide = [this, decide_get](Request request, const std::string&) {
    if (request != Request::kCreate) return Fate::kServe;
    server_.decide = decide_get;
    return Fate::kDropAfter;
  };
  const absl::Status status = Run(store->Create("/a", "token 1", kPersistent));
  EXPECT_EQ(CodeOf(status), ErrorCode::kMetadataUnavailable);
  EXPECT_EQ(EffectOf(status), Effect::kUnknown);
}

TEST_P(ZooKeeperStoreTest, ALostCreateOfALockIsOursByItsSession) {
  const auto store = Open();
  Doom(Request::kCreate, Fate::kDropAfter);
  EXPECT_TRUE(Run(store->Create("/lock", "host", kEphemeral)).ok());
}

TEST_P(ZooKeeperStoreTest, ALostCreateDoesNotClaimALockThatAnotherTaskOfUsHolds) {
  const auto store = Open();
  ASSERT_TRUE(Run(store->Create("/lock", "host", kEphemeral)).ok());
  Doom(Request::kCreate, Fate::kDropBefore);
  EXPECT_EQ(CodeOf(Run(store->Create("/lock", "host", kEphemeral))), ErrorCode::kKeyExists);
}

TEST_P(ZooKeeperStoreTest, OneOfTwoLostCreatesOfALockWins) {
  const auto store = Open();
  int creates = 0;
  server_.decide = [&](Request request, const std::string&) {
    // The first is applied, and both replies are lost.
    return request == Request::kCreate && ++creates == 1 ? Fate::kDropAfter : Fate::kServe;
  };
  const auto first = Start(store->Create("/lock", "host", kEphemeral));
  const auto second = Start(store->Create("/lock", "host", kEphemeral));
  RunUntil([&] { return first->has_value() && second->has_value(); });
  EXPECT_NE((*first)->ok(), (*second)->ok()) << **first << " " << **second;
}

TEST_P(ZooKeeperStoreTest, MissingParentsAreMadeAlsoWhenRepliesAreLostAndOthersRemoveThem) {
  const auto store = Open();
  int requests = 0;
  server_.decide = [&](Request request, const std::string& path) {
    const bool is_create = request == Request::kCreate || request == Request::kMulti;
    if (!is_create || ++requests > 12) return Fate::kServe;
    if (requests % 4 == 0) server_.Delete("/a");
    return requests % 3 == 0 ? Fate::kDropAfter : Fate::kServe;
  };
  EXPECT_TRUE(Run(store->Create("/a/b/c/d", "value", kPersistent)).ok());
  EXPECT_EQ(server_.nodes().at("/a/b/c/d").value, "value");
}

TEST_P(ZooKeeperStoreTest, ALostVoteIsFoundAndNotDoubled) {
  for (const Fate fate : {Fate::kDropAfter, Fate::kDropBefore}) {
    const auto store = Open();
    const std::string parent = fate == Fate::kDropAfter ? "/applied" : "/not";
    // A vote of ours is there already, and one of somebody else.
    const auto old = Run(store->CreateSequential(parent + "/V_", "x", kEphemeral));
    ASSERT_TRUE(old.ok()) << old.status();
    ASSERT_TRUE(server_.Create(parent + "/V_0000000001", "somebody"));
    Doom(Request::kCreate, fate);
    const auto vote = Run(store->CreateSequential(parent + "/V_", "x", kEphemeral));
    ASSERT_TRUE(vote.ok()) << vote.status();
    EXPECT_EQ(*vote, parent + "/V_0000000002");
    EXPECT_EQ(server_.nodes().count(parent + "/V_0000000003"), 0u);
  }
}

TEST_P(ZooKeeperStoreTest, SequentialCreatesThatAreLostTogetherGetDifferentNodes) {
  const auto store = Open();
  ASSERT_TRUE(server_.Create("/idgen", ""));
  int creates = 0;
  server_.decide = [&](Request request, const std::string&) {
    // Four are applied, the reply of the fourth and those after it are lost.
    return request == Request::kCreate && ++creates == 4 ? Fate::kDropAfter : Fate::kServe;
  };
  std::vector<std::unique_ptr<std::optional<absl::StatusOr<std::string>>>> results;
  for (int i = 0; i < 8; ++i) {
    results.push_back(Start(store->CreateSequential("/idgen/ID-", "", kEphemeral)));
  }
  std::set<std::string> paths;
  for (const auto& result : results) {
    RunUntil([&] { return result->has_value(); });
    ASSERT_TRUE((*result)->ok()) << (*result)->status();
    EXPECT_TRUE(paths.insert(***result).second) << ***result;
  }
  EXPECT_EQ(server_.nodes().size(), 2 + paths.size());
}

TEST_P(ZooKeeperStoreTest, ALostPersistentSequentialCreateIsUnknown) {
  const auto store = Open();
  ASSERT_TRUE(server_.Create("/queue", ""));
  Doom(Request::kCreate, Fate::kDropBefore);
  const absl::Status status = Run(store->CreateSequential("/queue/n", "", kPersistent)).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kMetadataUnavailable);
  EXPECT_EQ(EffectOf(status), Effect::kUnknown);
}

// ---- Puts and deletes whose reply is lost

TEST_P(ZooKeeperStoreTest, APutThatWasNotAppliedIsSentAgain) {
  const auto store = Open();
  ASSERT_TRUE(server_.Create("/n", "7"));
  const Version version = Run(store->Get("/n"))->version;
  Doom(Request::kSet, Fate::kDropBefore);
  EXPECT_EQ(*Run(store->Put("/n", "8", version)), 1);
}

TEST_P(ZooKeeperStoreTest, APutIsNotSentAgainToAnotherNodeOfTheSameNameAndVersion) {
  const auto store = Open();
  ASSERT_TRUE(server_.Create("/n", "7"));
  ASSERT_TRUE(Run(store->Get("/n")).ok());
  server_.decide = [this](Request request, const std::string& path) {
    if (request != Request::kGet) return request == Request::kSet ? Fate::kDropAfter : Fate::kServe;
    server_.decide = nullptr;
    EXPECT_TRUE(server_.Delete(path));
    EXPECT_TRUE(server_.Create(path, "new"));
    return Fate::kServe;
  };
  EXPECT_EQ(EffectOf(Run(store->Put("/n", "8", 0)).status()), Effect::kUnknown);
  EXPECT_EQ(server_.nodes().at("/n").value, "new");
}

TEST_P(ZooKeeperStoreTest, APutIsNotCalledDoneForItsValueAlone) {
  // Who counted from 7 to 8, we or another?
  for (const bool ours : {true, false}) {
    const auto store = Open();
    const std::string path = ours ? "/ours" : "/theirs";
    ASSERT_TRUE(server_.Create(path, "7"));
    server_.decide = [&](Request request, const std::string&) {
      if (request != Request::kSet) return Fate::kServe;
      server_.decide = nullptr;
      if (!ours) EXPECT_TRUE(server_.Set(path, "8"));
      return ours ? Fate::kDropAfter : Fate::kDropBefore;
    };
    const absl::Status status = Run(store->Put(path, "8", 0)).status();
    EXPECT_EQ(CodeOf(status), ErrorCode::kMetadataUnavailable);
    EXPECT_EQ(EffectOf(status), Effect::kUnknown);
  }
}

TEST_P(ZooKeeperStoreTest, APutThatAnotherWriteOvertookIsAConflictWithoutEffect) {
  const auto store = Open();
  ASSERT_TRUE(server_.Create("/n", "7"));
  ASSERT_TRUE(Run(store->Get("/n")).ok());
  server_.decide = [this](Request request, const std::string& path) {
    if (request != Request::kSet) return Fate::kServe;
    server_.decide = nullptr;
    EXPECT_TRUE(server_.Set(path, "another"));
    return Fate::kDropBefore;
  };
  const absl::Status status = Run(store->Put("/n", "8", 0)).status();
  EXPECT_EQ(CodeOf(status), ErrorCode::kMetadataConflict);
  EXPECT_EQ(EffectOf(status), Effect::kNone);
}

TEST_P(ZooKeeperStoreTest, ABlindPutThatWasAppliedIsDoneAndElseUnknown) {
  const auto store = Open();
  ASSERT_TRUE(server_.Create("/n", "7"));
  Doom(Request::kSet, Fate::kDropAfter);
  EXPECT_EQ(*Run(store->Put("/n", "8", kAnyVersion)), 1);
  // Sent again it might wipe out what another wrote in between.
  Doom(Request::kSet, Fate::kDropBefore);
  EXPECT_EQ(EffectOf(Run(store->Put("/n", "9", kAnyVersion)).status()), Effect::kUnknown);
}

TEST_P(ZooKeeperStoreTest, ADeleteIsDoneWhenTheNodeIsGone) {
  const auto store = Open();
  for (const Fate fate : {Fate::kDropAfter, Fate::kDropBefore}) {
    ASSERT_TRUE(server_.Create("/n", ""));
    ASSERT_TRUE(Run(store->Get("/n")).ok());
    Doom(Request::kDelete, fate);
    EXPECT_TRUE(Run(store->Delete("/n", 0)).ok());
    EXPECT_EQ(server_.nodes().count("/n"), 0u);
  }
  EXPECT_EQ(CodeOf(Run(store->Delete("/n", 0))), ErrorCode::kNoSuchKey);
}

TEST_P(ZooKeeperStoreTest, ADeleteIsNotSentAgainToANodeThatAnotherHasMadeSince) {
  // A mark that the auditor sets again, a lock that somebody takes: version 0 as the one that went.
  const auto store = Open();
  for (const bool own : {false, true}) {
    if (own) {
      ASSERT_TRUE(Run(store->Create("/n", "ours", kEphemeral)).ok());
    } else {
      ASSERT_TRUE(server_.Create("/n", "first"));
      ASSERT_TRUE(Run(store->Get("/n")).ok());
    }
    server_.decide = [this](Request request, const std::string& path) {
      if (request == Request::kDelete) return Fate::kDropAfter;
      server_.decide = nullptr;
      EXPECT_TRUE(server_.Create(path, "another's"));
      return Fate::kServe;
    };
    const absl::Status status = Run(store->Delete("/n", 0));
    EXPECT_TRUE(own ? status.ok() : EffectOf(status) == Effect::kUnknown) << status;
    EXPECT_EQ(server_.nodes().at("/n").value, "another's");
    ASSERT_TRUE(server_.Delete("/n"));
  }
}

TEST_P(ZooKeeperStoreTest, ADeleteOfAnOwnEphemeralNodeIsNotSentInTheNextSession) {
  const auto store = Open();
  ASSERT_TRUE(Run(store->Create("/lock", "ours", kEphemeral)).ok());
  server_.SetReachable(false);
  RunFor(absl::Seconds(1));
  const auto released = Start(store->Delete("/lock", 0));
  RunFor(absl::Seconds(1));
  server_.ExpireSessions();
  ASSERT_TRUE(server_.Create("/lock", "another's"));
  server_.SetReachable(true);
  RunUntil([&] { return released->has_value(); });
  EXPECT_EQ(CodeOf(**released), ErrorCode::kNoSuchKey);
  EXPECT_EQ(server_.nodes().at("/lock").value, "another's");
}

// ---- Deletes of several nodes

TEST_P(ZooKeeperStoreTest, ALostDeleteOfSeveralIsUnknownWhetherItWasAppliedOrNot) {
  const auto store = Open();
  for (const Fate fate : {Fate::kDropBefore, Fate::kDropAfter}) {
    ASSERT_TRUE(Run(store->Create("/dir/task", "", kPersistent)).ok());
    ASSERT_TRUE(Run(store->Create("/lock", "", kEphemeral)).ok());
    Doom(Request::kMulti, fate);
    const std::vector<Deletion> all = {{"/dir/task", 0}, {"/dir", kAnyVersion}, {"/lock", 0}};
    const absl::Status lost = Run(store->DeleteTogether(all));
    EXPECT_EQ(CodeOf(lost), ErrorCode::kMetadataUnavailable);
    EXPECT_EQ(EffectOf(lost), Effect::kUnknown);
    EXPECT_EQ(server_.nodes().contains("/lock"), fate == Fate::kDropBefore);
    EXPECT_EQ(server_.nodes().contains("/dir/task"), fate == Fate::kDropBefore);
    if (fate == Fate::kDropBefore) EXPECT_TRUE(Run(store->DeleteTogether(all)).ok());
    EXPECT_EQ(server_.nodes().size(), 1u);
  }
}

TEST_P(ZooKeeperStoreTest, ADeleteOfSeveralWithAnOwnEphemeralNodeIsNotSentInTheNextSession) {
  const auto store = Open();
  ASSERT_TRUE(Run(store->Create("/task", "", kPersistent)).ok());
  ASSERT_TRUE(Run(store->Create("/lock", "", kEphemeral)).ok());
  server_.SetReachable(false);
  const std::vector<Deletion> both = {{"/task", 0}, {"/lock", kAnyVersion}};
  const auto deleted = Start(store->DeleteTogether(both));
  RunFor(absl::Seconds(1));
  server_.ExpireSessions();
  ASSERT_TRUE(server_.Create("/lock", "another's"));
  server_.SetReachable(true);
  RunUntil([&] { return deleted->has_value(); });
  EXPECT_EQ(CodeOf(**deleted), ErrorCode::kNoSuchKey);
  EXPECT_EQ(EffectOf(**deleted), Effect::kNone);
  EXPECT_EQ(server_.nodes().at("/lock").value, "another's");
  EXPECT_TRUE(server_.nodes().contains("/task"));
}

TEST_P(ZooKeeperStoreTest, ANodeThatWasDeletedTogetherWithOthersIsNotTakenForOursAgain) {
  const auto store = Open();
  ASSERT_TRUE(Run(store->Create("/lock", "", kEphemeral)).ok());
  const std::vector<Deletion> lock = {{"/lock", kAnyVersion}};
  ASSERT_TRUE(Run(store->DeleteTogether(lock)).ok());
  ASSERT_TRUE(server_.Create("/lock", "another's"));
  Doom(Request::kDelete, Fate::kDropBefore);
  EXPECT_FALSE(Run(store->Delete("/lock", kAnyVersion)).ok());
  EXPECT_TRUE(server_.nodes().contains("/lock"));
}

TEST_P(ZooKeeperStoreTest, ReadsAreRepeated) {
  const auto store = Open();
  ASSERT_TRUE(server_.Create("/n", "value"));
  for (const Fate fate : {Fate::kDropBefore, Fate::kThrottle, Fate::kExpireBefore}) {
    Doom(Request::kGet, fate);
    EXPECT_EQ(Run(store->Get("/n"))->value, "value");
    Doom(Request::kChildren, fate);
    EXPECT_TRUE(Run(store->Children("/n"))->empty());
  }
}

TEST_P(ZooKeeperStoreTest, AnErrorThatNobodyKnowsIsUnknownForWritesOnly) {
  const auto store = Open();
  Doom(Request::kCreate, Fate::kRefuse);
  const absl::Status write = Run(store->Create("/n", "", kPersistent));
  EXPECT_EQ(CodeOf(write), ErrorCode::kMetadataUnavailable);
  EXPECT_EQ(EffectOf(write), Effect::kUnknown);
  Doom(Request::kGet, Fate::kRefuse);
  const absl::Status read = Run(store->Get("/n")).status();
  EXPECT_EQ(CodeOf(read), ErrorCode::kMetadataUnavailable);
  EXPECT_EQ(EffectOf(read), Effect::kNone);
}

// ---- Sessions

TEST_P(ZooKeeperStoreTest, AWriteInFlightAtTheEndOfASessionIsUnknownWhateverHappened) {
  const auto store = Open();
  for (const Fate fate : {Fate::kExpireBefore, Fate::kExpireAfter}) {
    server_.Create("/n", "");
    for (const Request request : {Request::kCreate, Request::kSet, Request::kDelete}) {
      Doom(request, fate);
      const absl::Status status =
          request == Request::kCreate ? Run(store->Create("/new", "", kPersistent))
          : request == Request::kSet  ? Run(store->Put("/n", "", kAnyVersion)).status()
                                      : Run(store->Delete("/n", kAnyVersion));
      EXPECT_EQ(CodeOf(status), ErrorCode::kMetadataUnavailable);
      EXPECT_EQ(EffectOf(status), Effect::kUnknown);
    }
  }
}

TEST_P(ZooKeeperStoreTest, AfterAnExpiryEphemeralNodesAreGoneWatchesFireAndStatesAreTold) {
  const auto store = Open();
  States states;
  int rings = 0;
  const auto session = store->WatchSession([&](SessionState state) { states.push_back(state); });
  ASSERT_TRUE(Run(store->Create("/e", "", kEphemeral)).ok());
  const auto watch = store->WatchNode("/e", [&] { ++rings; });
  const auto children = store->WatchChildren("/", [&] { ++rings; });
  RunUntil([&] { return rings == 2; });
  server_.ExpireSessions();
  RunUntil([&] { return rings == 4; });
  EXPECT_EQ(states, (States{SessionState::kConnected, SessionState::kDisconnected,
                            SessionState::kExpired, SessionState::kConnected}));
  EXPECT_EQ(CodeOf(Run(store->Get("/e")).status()), ErrorCode::kNoSuchKey);
  ASSERT_TRUE(Run(store->Create("/e", "", kEphemeral)).ok());
  RunUntil([&] { return rings == 6; });
  EXPECT_EQ(Run(store->Get("/e"))->owner, EphemeralOwner::kThisSession);
  EXPECT_EQ(server_.sessions_begun(), 2);
}

TEST_P(ZooKeeperStoreTest, ADisconnectionKeepsEphemeralNodesAndWatches) {
  const auto store = Open();
  States states;
  int rings = 0;
  const auto session = store->WatchSession([&](SessionState state) { states.push_back(state); });
  ASSERT_TRUE(Run(store->Create("/e", "", kEphemeral)).ok());
  const auto watch = store->WatchNode("/n", [&] { ++rings; });
  RunUntil([&] { return rings == 1; });
  server_.SetReachable(false);
  RunFor(absl::Seconds(1));
  ASSERT_TRUE(server_.Create("/n", "while nobody was looking"));
  RunFor(absl::Seconds(1));
  EXPECT_EQ(rings, 1);
  server_.SetReachable(true);
  RunUntil([&] { return rings == 2; });
  EXPECT_EQ(Run(store->Get("/e"))->owner, EphemeralOwner::kThisSession);
  EXPECT_EQ(states, (States{SessionState::kConnected, SessionState::kDisconnected,
                            SessionState::kConnected}));
}

TEST_P(ZooKeeperStoreTest, WhatWasNotSentWaitsForTheNextSession) {
  const auto store = Open();
  ASSERT_TRUE(Run(store->Create("/n", "", kPersistent)).ok());
  server_.SetReachable(false);
  RunFor(absl::Seconds(1));
  const auto waiting = Start(store->Create("/e", "", kEphemeral));
  RunFor(absl::Seconds(5));
  EXPECT_FALSE(waiting->has_value());
  server_.ExpireSessions();
  server_.SetReachable(true);
  RunUntil([&] { return waiting->has_value(); });
  EXPECT_TRUE((*waiting)->ok()) << **waiting;
  EXPECT_EQ(Run(store->Get("/e"))->owner, EphemeralOwner::kThisSession);
}

TEST_P(ZooKeeperStoreTest, OperationsEndAtTheirDeadlineWithTheRightEffect) {
  const auto store = Open({.operation_timeout = absl::Seconds(30)});
  ASSERT_TRUE(Run(store->Create("/n", "", kPersistent)).ok());
  // Sent, and no reply ever comes.
  const absl::Duration start = Elapsed();
  Doom(Request::kSet, Fate::kMute);
  const absl::Status mute = Run(store->Put("/n", "x", 0)).status();
  EXPECT_EQ(CodeOf(mute), ErrorCode::kMetadataUnavailable);
  EXPECT_EQ(EffectOf(mute), Effect::kUnknown);
  EXPECT_EQ(Elapsed() - start, absl::Seconds(30));
  // Never sent.
  server_.SetReachable(false);
  const absl::Status unsent = Run(store->Put("/n", "x", 0)).status();
  EXPECT_EQ(CodeOf(unsent), ErrorCode::kMetadataUnavailable);
  EXPECT_EQ(EffectOf(unsent), Effect::kNone);
  EXPECT_EQ(Elapsed() - start, absl::Seconds(60));
  EXPECT_EQ(EffectOf(Run(store->Get("/n")).status()), Effect::kNone);
}

TEST_P(ZooKeeperStoreTest, SessionsThatCannotBeBegunAreTriedWithGrowingPauses) {
  server_.SetReachable(false);
  const auto store = Open();
  RunFor(absl::Minutes(10));
  // 100 ms doubling to 10 s: some 60 in ten minutes, and not 6,000.
  EXPECT_GT(server_.sessions_begun(), 30);
  EXPECT_LT(server_.sessions_begun(), 80);
  server_.SetReachable(true);
  EXPECT_TRUE(Run(store->Create("/n", "", kPersistent)).ok());
}

TEST_P(ZooKeeperStoreTest, TooManyOperationsAreRefused) {
  const auto store = Open({.operations_in_flight_max = 2});
  server_.SetReachable(false);
  const auto first = Start(store->Get("/a"));
  const auto second = Start(store->Get("/b"));
  RunFor(absl::Seconds(1));
  EXPECT_EQ(CodeOf(Run(store->Get("/c")).status()), ErrorCode::kOverloaded);
  server_.SetReachable(true);
  RunUntil([&] { return first->has_value() && second->has_value(); });
  EXPECT_EQ(CodeOf(Run(store->Get("/c")).status()), ErrorCode::kNoSuchKey);
}

TEST_P(ZooKeeperStoreTest, CloseEndsWhatIsWaitingAndWhatIsInFlight) {
  const auto store = Open();
  ASSERT_TRUE(Run(store->Create("/n", "", kPersistent)).ok());
  Doom(Request::kSet, Fate::kMute);
  const auto sent = Start(store->Put("/n", "x", 0));
  RunFor(absl::Seconds(1));
  server_.SetReachable(false);
  const auto waiting = Start(store->Put("/n", "x", 0));
  RunFor(absl::Seconds(1));
  Run(store->Close());
  RunUntil([&] { return sent->has_value() && waiting->has_value(); });
  EXPECT_EQ(CodeOf((*sent)->status()), ErrorCode::kStopped);
  EXPECT_EQ(CodeOf((*waiting)->status()), ErrorCode::kStopped);
  EXPECT_EQ(EffectOf((*sent)->status()), Effect::kUnknown);
  EXPECT_EQ(EffectOf((*waiting)->status()), Effect::kNone);
  EXPECT_EQ(CodeOf(Run(store->Get("/n")).status()), ErrorCode::kStopped);
}

// ---- Watches

TEST_P(ZooKeeperStoreTest, SubscribersOfOnePathShareAWatchAndTheLastOneEndsIt) {
  const auto store = Open();
  int first_rings = 0;
  int second_rings = 0;
  auto first = store->WatchNode("/n", [&] { ++first_rings; });
  RunUntil([&] { return first_rings == 1; });
  auto second = store->WatchNode("/n", [&] { ++second_rings; });
  EXPECT_EQ(second_rings, 0) << "never inside the call";
  RunUntil([&] { return second_rings == 1; });
  EXPECT_EQ(server_.watch_count(), 1u);
  ASSERT_TRUE(server_.Create("/n", ""));
  RunUntil([&] { return first_rings == 2 && second_rings == 2; });
  first.reset();
  RunFor(absl::Seconds(1));
  EXPECT_EQ(server_.watch_count(), 1u);
  second.reset();
  RunFor(absl::Seconds(1));
  EXPECT_EQ(server_.watch_count(), 0u);
}

TEST_P(ZooKeeperStoreTest, AWatchThatEndedWhileDisconnectedIsEndedAtTheServerLater) {
  const auto store = Open();
  int rings = 0;
  auto watch = store->WatchNode("/n", [&] { ++rings; });
  RunUntil([&] { return rings == 1; });
  server_.SetReachable(false);
  RunFor(absl::Seconds(1));
  watch.reset();
  RunFor(absl::Seconds(1));
  server_.SetReachable(true);
  RunFor(absl::Seconds(1));
  EXPECT_EQ(server_.watch_count(), 0u);
}

TEST_P(ZooKeeperStoreTest, ASubscriberThatComesWhileAWatchIsBeingEndedIsCalled) {
  const auto store = Open();
  int rings = 0;
  auto watch = store->WatchNode("/n", [&] { ++rings; });
  RunUntil([&] { return rings == 1; });
  for (const Fate fate : {Fate::kServe, Fate::kDropBefore, Fate::kDropAfter}) {
    int later_rings = 0;
    bool unwatched = false;
    std::unique_ptr<Watch> later;
    server_.decide = [&](Request request, const std::string&) {
      if (request != Request::kUnwatch || std::exchange(unwatched, true)) return Fate::kServe;
      later = store->WatchNode("/n", [&] { ++later_rings; });
      return fate;
    };
    watch.reset();
    RunUntil([&] { return later_rings == 1; });
    server_.Delete("/n");
    server_.Create("/n", "");
    RunUntil([&] { return later_rings == 2; });
    server_.decide = nullptr;
    watch = std::move(later);
  }
}

TEST_P(ZooKeeperStoreTest, ChildrenOfANodeThatComesLaterAreWatched) {
  const auto store = Open();
  int rings = 0;
  const auto watch = store->WatchChildren("/p", [&] { ++rings; });
  RunUntil([&] { return rings == 1; });
  ASSERT_TRUE(server_.Create("/p", ""));
  RunUntil([&] { return rings == 2; });
  ASSERT_TRUE(server_.Create("/p/c", ""));
  RunUntil([&] { return rings == 3; });
  ASSERT_TRUE(server_.Delete("/p/c"));
  RunUntil([&] { return rings == 4; });
  ASSERT_TRUE(server_.Delete("/p"));
  RunUntil([&] { return rings >= 5; });
  const int before = rings;
  ASSERT_TRUE(server_.Create("/p", ""));
  RunUntil([&] { return rings > before; });
}

TEST_P(ZooKeeperStoreTest, ANodeThatComesWhileItsChildrenAreBeingWatchedIsNotMissed) {
  const auto store = Open();
  int requests = 0;
  server_.decide = [&](Request request, const std::string& path) {
    // The first finds no node, the second is to watch for it.
    if (request == Request::kWatch && ++requests == 2) EXPECT_TRUE(server_.Create(path, ""));
    return Fate::kServe;
  };
  int rings = 0;
  const auto watch = store->WatchChildren("/p", [&] { ++rings; });
  RunUntil([&] { return rings == 1; });
  ASSERT_TRUE(server_.Create("/p/c", ""));
  RunUntil([&] { return rings == 2; });
}

TEST_P(ZooKeeperStoreTest, AWatchThatCannotBeArmedIsTriedAgain) {
  const auto store = Open();
  int refused = 0;
  server_.decide = [&](Request request, const std::string&) {
    if (request != Request::kWatch || refused == 3) return Fate::kServe;
    return ++refused == 2 ? Fate::kThrottle : Fate::kRefuse;
  };
  int rings = 0;
  const auto watch = store->WatchNode("/n", [&] { ++rings; });
  RunUntil([&] { return rings == 1; });
  EXPECT_EQ(refused, 3);
}

TEST_P(ZooKeeperStoreTest, MoreWatchesThanOneRequestCanCarryTakeANewSession) {
  const auto store = Open();
  constexpr int kWatches = 300;
  const std::string long_name(3000, 'x');
  int rings = 0;
  std::vector<std::unique_ptr<Watch>> watches;
  for (int i = 0; i < kWatches; ++i) {
    watches.push_back(store->WatchNode(StrCat("/", long_name, i), [&] { ++rings; }));
  }
  States states;
  const auto session = store->WatchSession([&](SessionState state) { states.push_back(state); });
  RunUntil([&] { return rings == kWatches; });
  server_.DropConnections();
  RunUntil([&] { return rings == 2 * kWatches; });
  EXPECT_EQ(server_.sessions_begun(), 2);
  EXPECT_EQ(states,
            (States{SessionState::kConnected, SessionState::kExpired, SessionState::kConnected}));
  watches.clear();
  RunFor(absl::Minutes(1));
  EXPECT_EQ(server_.watch_count(), 0u);
}

TEST_P(ZooKeeperStoreTest, ACallbackMayDestroyTheStore) {
  for (const bool in_session_callback : {false, true}) {
    auto store = Open();
    std::unique_ptr<Watch> watch;
    std::unique_ptr<Watch> other;
    bool called = false;
    const auto destroy = [&] {
      called = true;
      store.reset();
    };
    if (in_session_callback) {
      watch = store->WatchSession([&](SessionState) { destroy(); });
    } else {
      watch = store->WatchNode("/n", destroy);
      other = store->WatchNode("/n", [] {});
    }
    RunUntil([&] { return called; });
    RunFor(absl::Seconds(1));
  }
}

}  // namespace
}  // namespace stele::metadata
