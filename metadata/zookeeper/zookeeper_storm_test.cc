// The store under connections that break and sessions that expire at random. No answer may be a
// lie: what was called done is there once, what was called not applied is not there, a lock has one
// holder, and a watch does not miss the last change.
#include <iterator>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/base/strings.h"
#include "metadata/signal.h"
#include "metadata/zookeeper/testing/zookeeper_rig.h"
#include "simulation/sim_random.h"

namespace stele::metadata {
namespace {

constexpr int kWorkers = 3;
constexpr int kRounds = 6;

class ZooKeeperStormTest : public ZooKeeperRig {
 protected:
  using Fate = FakeZooKeeper::Fate;

  ZooKeeperStormTest() : random_(GetParam()), store_(Open()) {
    server_.Create("/list", "");
    server_.Create("/ids", "");
    session_ = store_->WatchSession([this](SessionState state) {
      // Whoever held it has lost it with the session.
      if (state == SessionState::kExpired) ++expiries_;
    });
    server_.decide = [this](FakeZooKeeper::Request, const std::string&) {
      if (!random_.Chance(1, 8)) return Fate::kServe;
      constexpr Fate kFates[] = {Fate::kDropBefore, Fate::kDropAfter,    Fate::kDropBefore,
                                 Fate::kDropAfter,  Fate::kThrottle,     Fate::kDropAfter,
                                 Fate::kThrottle,   Fate::kExpireBefore, Fate::kExpireAfter};
      return kFates[random_.Below(std::size(kFates))];
    };
  }

  static std::string TokenOf(int worker, int round) { return StrCat("[", worker, ".", round, " "); }

  // Adds its tokens to the list, each once, by compare-and-set; in doubt it looks.
  Task<void> AppendTokens(int worker) {
    for (int round = 0; round < kRounds; ++round) {
      const std::string token = TokenOf(worker, round);
      for (int attempt = 0;; ++attempt) {
        const absl::StatusOr<Node> node = co_await store_->Get("/list");
        EXPECT_TRUE(node.ok()) << node.status();
        if (!node.ok() || node->value.find(token) != std::string::npos) break;
        const std::string entry = StrCat(token, attempt, "]");
        const absl::StatusOr<Version> put =
            co_await store_->Put("/list", node->value + entry, node->version);
        if (put.ok()) break;
        const bool conflict = CodeOf(put.status()) == ErrorCode::kMetadataConflict;
        EXPECT_TRUE(conflict || EffectOf(put.status()) == Effect::kUnknown) << put.status();
        if (EffectOf(put.status()) == Effect::kNone) not_applied_.push_back(entry);
      }
    }
    ++finished_;
  }

  Task<void> TakeLock() {
    for (int round = 0; round < kRounds; ++round) {
      const absl::Status created = co_await store_->Create("/lock", "host", NodeKind::kEphemeral);
      if (!created.ok()) {
        const bool fair =
            CodeOf(created) == ErrorCode::kKeyExists || EffectOf(created) == Effect::kUnknown;
        EXPECT_TRUE(fair) << created;
        continue;
      }
      const int expiries = expiries_;
      EXPECT_TRUE(holders_.insert(expiries).second) << "two tasks hold one lock";
      // Some time passes.
      (co_await store_->Get("/list")).status().IgnoreError();
      holders_.erase(expiries);
      // Lost with its session; by now it may be another's.
      if (expiries != expiries_) continue;
      const absl::Status deleted = co_await store_->Delete("/lock", 0);
      EXPECT_TRUE(deleted.ok() || expiries != expiries_) << deleted;
    }
    ++finished_;
  }

  Task<void> DrawIds() {
    for (int round = 0; round < kRounds; ++round) {
      const absl::StatusOr<std::string> path =
          co_await store_->CreateSequential("/ids/ID-", "", NodeKind::kEphemeral);
      if (!path.ok()) {
        EXPECT_EQ(EffectOf(path.status()), Effect::kUnknown) << path.status();
        continue;
      }
      EXPECT_TRUE(ids_.insert(*path).second) << *path << " was given twice";
      const absl::Status deleted = co_await store_->Delete(*path, kAnyVersion);
      EXPECT_TRUE(deleted.ok() || CodeOf(deleted) == ErrorCode::kNoSuchKey ||
                  EffectOf(deleted) == Effect::kUnknown)
          << deleted;
    }
    ++finished_;
  }

  Task<void> Follow(Signal* signal) {
    while (true) {
      co_await signal->Wait();
      const absl::StatusOr<Node> node = co_await store_->Get("/list");
      EXPECT_TRUE(node.ok()) << node.status();
      if (node.ok()) followed_ = node->value;
    }
  }

  simulation::SimRandom random_;
  std::unique_ptr<MetadataStore> store_;
  std::unique_ptr<Watch> session_;
  int expiries_ = 0;
  int finished_ = 0;
  std::vector<std::string> not_applied_;
  std::set<int> holders_;
  std::set<std::string> ids_;
  std::string followed_;
};

INSTANTIATE_TEST_SUITE_P(Seeds, ZooKeeperStormTest, testing::Range<uint64_t>(1, 51));

TEST_P(ZooKeeperStormTest, NoAnswerIsALie) {
  Signal signal(process_->executor());
  const auto watch = store_->WatchNode("/list", [&] { signal.Raise(); });
  process_->Spawn(Follow(&signal));
  for (int worker = 0; worker < kWorkers; ++worker) {
    process_->Spawn(AppendTokens(worker));
    process_->Spawn(TakeLock());
    process_->Spawn(DrawIds());
  }
  RunUntil([&] { return finished_ == 3 * kWorkers; });
  server_.decide = nullptr;
  RunFor(absl::Seconds(1));

  const std::string list = server_.nodes().at("/list").value;
  for (int worker = 0; worker < kWorkers; ++worker) {
    for (int round = 0; round < kRounds; ++round) {
      const std::string token = TokenOf(worker, round);
      const size_t first = list.find(token);
      EXPECT_NE(first, std::string::npos) << token << " is missing";
      EXPECT_EQ(list.find(token, first + 1), std::string::npos) << token << " is there twice";
    }
  }
  for (const std::string& entry : not_applied_) {
    EXPECT_EQ(list.find(entry), std::string::npos) << entry << " is there";
  }
  EXPECT_EQ(followed_, list);
  // Nothing ephemeral is left that nobody knows of.
  for (const auto& [path, node] : server_.nodes()) {
    const bool left = node.stat.ephemeral_owner != 0 && path != "/lock";
    EXPECT_FALSE(left) << path;
  }
  process_->Crash();
}

}  // namespace
}  // namespace stele::metadata
