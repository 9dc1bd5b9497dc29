// Nodes that are made together with their parents: how many requests that takes, what becomes of it
// beside others who do the same or the reverse, and after lost replies.
#include <functional>
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/zookeeper/testing/zookeeper_rig.h"

namespace stele::metadata {
namespace {

using Fate = FakeZooKeeper::Fate;
using Request = FakeZooKeeper::Request;
using Counts = std::map<Request, int>;
constexpr NodeKind kPersistent = NodeKind::kPersistent;
constexpr NodeKind kEphemeral = NodeKind::kEphemeral;

class ZooKeeperParentsTest : public ZooKeeperRig {
 protected:
  ZooKeeperParentsTest() { EXPECT_TRUE(server_.Create("/marks", "")); }

  // From now on.
  void Count() {
    counts_.clear();
    server_.decide = [this](Request request, const std::string&) {
      ++counts_[request];
      return Fate::kServe;
    };
  }
  // Before the next request of this kind is served, somebody else does something.
  void Before(Request request, std::function<void()> act, Fate fate = Fate::kServe) {
    server_.decide = [this, request, act, fate](Request actual, const std::string&) {
      if (actual != request) return Fate::kServe;
      server_.decide = nullptr;
      act();
      return fate;
    };
  }
  Counts counts_;
};

INSTANTIATE_TEST_SUITE_P(Seeds, ZooKeeperParentsTest, testing::Range<uint64_t>(1, 6));

TEST_P(ZooKeeperParentsTest, TheFirstNodeOfItsOwnDirectoryTakesTwoRequestsAndTheOthersOne) {
  const auto store = Open();
  Count();
  ASSERT_TRUE(Run(store->Create("/marks/1/urL1", "mark 1", kPersistent)).ok());
  EXPECT_EQ(counts_, (Counts{{Request::kCreate, 1}, {Request::kMulti, 1}}));
  Count();
  for (int i = 2; i < 10; ++i) {
    const std::string path = StrCat("/marks/", i, "/urL", i);
    ASSERT_TRUE(Run(store->Create(path, "mark", kPersistent)).ok());
  }
  EXPECT_EQ(counts_, (Counts{{Request::kMulti, 8}}));
  EXPECT_EQ(server_.nodes().at("/marks/1").value, "");
  EXPECT_EQ(server_.nodes().at("/marks/1").stat.ephemeral_owner, 0);
  EXPECT_EQ(server_.nodes().at("/marks/1/urL1").value, "mark 1");
}

TEST_P(ZooKeeperParentsTest, NodesInADirectoryThatIsThereTakeOneRequest) {
  const auto store = Open();
  ASSERT_TRUE(Run(store->Create("/marks/1/a", "", kPersistent)).ok());
  Count();
  for (const char* name : {"b", "c", "d"}) {
    ASSERT_TRUE(Run(store->Create(StrCat("/marks/1/", name), "", kPersistent)).ok());
  }
  EXPECT_EQ(counts_, (Counts{{Request::kCreate, 3}}));
}

TEST_P(ZooKeeperParentsTest, AWrongGuessCostsOneRequest) {
  const auto store = Open();
  ASSERT_TRUE(Run(store->Create("/marks/1/a", "", kPersistent)).ok());
  ASSERT_TRUE(server_.Create("/marks/2", "another's"));
  Count();
  EXPECT_TRUE(Run(store->Create("/marks/2/b", "", kPersistent)).ok());
  EXPECT_EQ(counts_, (Counts{{Request::kCreate, 1}, {Request::kMulti, 1}}));
  EXPECT_EQ(server_.nodes().at("/marks/2").value, "another's");
  EXPECT_EQ(CodeOf(Run(store->Create("/marks/1/a", "", kPersistent))), ErrorCode::kKeyExists);
}

TEST_P(ZooKeeperParentsTest, DeeperParentsAreMadeToo) {
  const auto store = Open();
  EXPECT_TRUE(Run(store->Create("/a/b/c/d/e", "value", kPersistent)).ok());
  EXPECT_EQ(server_.nodes().at("/a/b/c/d/e").value, "value");
  EXPECT_TRUE(Run(store->Create("/f/g/h", "lock", kEphemeral)).ok());
  EXPECT_NE(server_.nodes().at("/f/g/h").stat.ephemeral_owner, 0);
  EXPECT_EQ(server_.nodes().at("/f/g").stat.ephemeral_owner, 0);
}

TEST_P(ZooKeeperParentsTest, AValueThatIsTooLargeForBothGoesAlone) {
  const auto store = Open();
  Count();
  const std::string large((1 << 20) - 8192, 'x');
  EXPECT_TRUE(Run(store->Create("/marks/1/large", large, kPersistent)).ok());
  EXPECT_EQ(counts_, (Counts{{Request::kCreate, 3}}));
  EXPECT_EQ(server_.nodes().at("/marks/1/large").value, large);
}

TEST_P(ZooKeeperParentsTest, ACreateSurvivesOthersWhoMakeAndRemoveTheParentMeanwhile) {
  const auto store = Open();
  Before(Request::kMulti, [&] { EXPECT_TRUE(server_.Create("/marks/1", "")); });
  EXPECT_TRUE(Run(store->Create("/marks/1/urL1", "mark", kPersistent)).ok());
  // Another has made the parent, and removes it before the node comes.
  ASSERT_TRUE(Run(store->Create("/marks/3/urL3", "", kPersistent)).ok());  // so that it guesses
  Before(Request::kMulti, [&] {
    EXPECT_TRUE(server_.Create("/marks/2", ""));
    Before(Request::kCreate, [&] { EXPECT_TRUE(server_.Delete("/marks/2")); });
  });
  EXPECT_TRUE(Run(store->Create("/marks/2/urL2", "mark", kPersistent)).ok());
  EXPECT_EQ(server_.nodes().at("/marks/2/urL2").value, "mark");
  // The whole tree goes.
  Before(Request::kMulti, [&] {
    for (const char* path : {"/marks/1/urL1", "/marks/2/urL2", "/marks/3/urL3", "/marks/1",
                             "/marks/2", "/marks/3", "/marks"}) {
      EXPECT_TRUE(server_.Delete(path)) << path;
    }
  });
  EXPECT_TRUE(Run(store->Create("/marks/4/urL4", "mark", kPersistent)).ok());
  EXPECT_EQ(server_.nodes().at("/marks/4/urL4").value, "mark");
}

TEST_P(ZooKeeperParentsTest, ALostCreateOfBothIsFoundToBeOursOrSentAgain) {
  const auto store = Open();
  for (const Fate fate : {Fate::kDropAfter, Fate::kDropBefore, Fate::kThrottle}) {
    const std::string path = StrCat("/marks/", static_cast<int>(fate), "/urL1");
    Doom(Request::kMulti, fate);
    EXPECT_TRUE(Run(store->Create(path, "mark", kPersistent)).ok());
    EXPECT_EQ(server_.nodes().at(path).value, "mark");
  }
}

TEST_P(ZooKeeperParentsTest, ALostCreateOfBothDoesNotClaimTheNodeOfAnother) {
  const auto store = Open();
  const auto make = [&] {
    EXPECT_TRUE(server_.Create("/marks/1", ""));
    EXPECT_TRUE(server_.Create("/marks/1/urL1", "another's"));
  };
  Before(Request::kMulti, make, Fate::kDropBefore);
  const absl::Status status = Run(store->Create("/marks/1/urL1", "ours", kPersistent));
  EXPECT_EQ(CodeOf(status), ErrorCode::kKeyExists);
  EXPECT_EQ(EffectOf(status), Effect::kNone);
  EXPECT_EQ(server_.nodes().at("/marks/1/urL1").value, "another's");
}

TEST_P(ZooKeeperParentsTest, WithTheEndOfTheSessionOrAnErrorThatNobodyKnowsItIsUnknown) {
  const auto store = Open();
  for (const Fate fate : {Fate::kExpireBefore, Fate::kExpireAfter, Fate::kRefuse}) {
    const std::string path = StrCat("/marks/", static_cast<int>(fate), "/urL1");
    Doom(Request::kMulti, fate);
    const absl::Status made = Run(store->Create(path, "mark", kPersistent));
    EXPECT_EQ(CodeOf(made), ErrorCode::kMetadataUnavailable);
    EXPECT_EQ(EffectOf(made), Effect::kUnknown);
  }
}

}  // namespace
}  // namespace stele::metadata
