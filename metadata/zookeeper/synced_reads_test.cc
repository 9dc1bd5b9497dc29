#include "metadata/zookeeper/synced_reads.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace stele::metadata {
namespace {

using Done = ZooKeeperSession::Done;

// A connection: what was sent, in order, and whom to answer.
class SyncedReadsTest : public testing::Test {
 protected:
  SyncedReadsTest() : reads_([this](Done done) { Send("sync", std::move(done)); }) {}

  void Send(std::string what, Done done) {
    sent_.push_back(std::move(what));
    unanswered_.push_back(std::move(done));
  }
  void Read(const std::string& what) {
    reads_.Add([this, what](Done done) { Send(what, std::move(done)); },
               [this, what](ZooKeeperReply reply) {
                 if (reply.code == ZooKeeperCode::kOk) answered_ += what;
                 if (reply.code == ZooKeeperCode::kLost) lost_ += what;
               });
  }
  void AnswerNext(ZooKeeperCode code = ZooKeeperCode::kOk) {
    Done done = std::move(unanswered_.front());
    unanswered_.erase(unanswered_.begin());
    done({.code = code});
  }

  std::vector<std::string> sent_;
  std::vector<Done> unanswered_;
  std::string answered_;
  std::string lost_;
  SyncedReads reads_;
};

using Sent = std::vector<std::string>;

TEST_F(SyncedReadsTest, AReadGoesOutAtOnceBehindASync) {
  Read("a");
  EXPECT_EQ(sent_, (Sent{"sync", "a"}));
  AnswerNext();
  EXPECT_EQ(answered_, "");
  AnswerNext();
  EXPECT_EQ(answered_, "a");
  Read("b");
  EXPECT_EQ(sent_, (Sent{"sync", "a", "sync", "b"}));
}

TEST_F(SyncedReadsTest, WhatComesWhileASyncIsOnItsWayIsNotServedByItAndSharesTheNext) {
  Read("a");
  Read("b");
  Read("c");
  EXPECT_EQ(sent_, (Sent{"sync", "a"}));
  AnswerNext();
  EXPECT_EQ(sent_, (Sent{"sync", "a", "sync", "b", "c"}));
  Read("d");
  AnswerNext();  // a
  EXPECT_EQ(answered_, "a");
  AnswerNext();  // the second sync
  AnswerNext();
  AnswerNext();
  EXPECT_EQ(answered_, "abc");
  EXPECT_EQ(sent_, (Sent{"sync", "a", "sync", "b", "c", "sync", "d"}));
}

TEST_F(SyncedReadsTest, AReadWhoseSyncWasLostIsLostWhateverItsOwnAnswer) {
  Read("a");
  Read("b");
  AnswerNext(ZooKeeperCode::kLost);
  AnswerNext();
  EXPECT_EQ(lost_, "a");
  AnswerNext();
  AnswerNext();
  EXPECT_EQ(answered_, "b");
}

}  // namespace
}  // namespace stele::metadata
