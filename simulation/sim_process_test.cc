#include "simulation/sim_process.h"

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "simulation/world.h"

namespace stele::simulation {
namespace {

TEST(SimProcessTest, APausedProcessRunsNothingAndThenAllAtOnce) {
  Scheduler scheduler({.seed = 1});
  SimProcess* paused = scheduler.AddProcess("paused");
  SimProcess* other = scheduler.AddProcess("other");
  int fired = 0;
  int others = 0;
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 1; i <= 10; ++i) {
    timers.push_back(
        paused->clock()->CallAt(paused->clock()->Now() + absl::Seconds(i), [&] { ++fired; }));
    timers.push_back(
        other->clock()->CallAt(other->clock()->Now() + absl::Seconds(i), [&] { ++others; }));
  }
  ASSERT_TRUE(scheduler.RunFor(absl::Milliseconds(1'500)).ok());
  EXPECT_EQ(fired, 1);
  paused->Pause();
  ASSERT_TRUE(scheduler.RunFor(absl::Seconds(7)).ok());
  EXPECT_EQ(fired, 1);
  EXPECT_EQ(others, 8);
  const uint64_t steps = scheduler.steps();
  paused->Resume();
  ASSERT_TRUE(scheduler.RunFor(absl::Milliseconds(1)).ok());
  EXPECT_EQ(fired, 8);
  EXPECT_EQ(scheduler.steps(), steps + 7);
}

TEST(SimProcessTest, APausedProcessCanDie) {
  Scheduler scheduler({.seed = 1});
  SimProcess* process = scheduler.AddProcess("p");
  int ran = 0;
  process->Pause();
  process->executor()->PostFromAnyThread([&] { ++ran; });
  ASSERT_TRUE(scheduler.RunFor(absl::Seconds(1)).ok());
  process->Crash();
  process->Restart();
  process->executor()->PostFromAnyThread([&] { ran += 10; });
  ASSERT_TRUE(scheduler.RunFor(absl::Seconds(1)).ok());
  EXPECT_EQ(ran, 10);
}

TEST(SimProcessTest, ClocksRunAtTheirRate) {
  Scheduler scheduler({.seed = 1});
  SimProcess* process = scheduler.AddProcess("p");
  SimClock* clock = process->clock();
  const MonotonicTime start = clock->Now();
  process->set_clock_rate(2'000);
  absl::Duration fired_at;
  auto timer = clock->CallAt(start + absl::Seconds(10),
                             [&] { fired_at = scheduler.Now() - MonotonicTime(); });
  ASSERT_TRUE(scheduler.RunFor(absl::Seconds(20)).ok());
  EXPECT_EQ(clock->Now() - start, absl::Seconds(40));
  EXPECT_EQ(fired_at, absl::Seconds(5));
}

TEST(SimProcessTest, ATimerNeverFiresBeforeItsTimeOnAClockThatBecameSlower) {
  Scheduler scheduler({.seed = 1});
  SimProcess* process = scheduler.AddProcess("p");
  SimClock* clock = process->clock();
  const MonotonicTime deadline = clock->Now() + absl::Seconds(10);
  bool fired = false;
  auto timer = clock->CallAt(deadline, [&] {
    fired = true;
    EXPECT_GE(clock->Now(), deadline);
  });
  ASSERT_TRUE(scheduler.RunFor(absl::Seconds(5)).ok());
  process->set_clock_rate(100);
  ASSERT_TRUE(scheduler.RunFor(absl::Seconds(40)).ok());
  EXPECT_FALSE(fired);
  ASSERT_TRUE(scheduler.RunFor(absl::Seconds(11)).ok());
  EXPECT_TRUE(fired);
}

Task<void> CreateNode(metadata::MetadataStore* store, std::string path, metadata::NodeKind kind,
                      absl::Status* result) {
  *result = co_await store->Create(std::move(path), "", kind);
}

// A process with a store, and one that looks.
struct StoreRig {
  StoreRig()
      : world({.seed = 1}),
        process(world.AddProcess(world.AddMachine("m"), "p")),
        observer(world.AddProcess(world.AddMachine("o"), "o")),
        store(process->Own(world.NewMetadataStore(process))),
        view(observer->Own(world.NewMetadataStore(observer))) {}
  absl::Status Create(std::string path, metadata::NodeKind kind) {
    absl::Status result;
    EXPECT_TRUE(world.RunToEnd(process, CreateNode(store, std::move(path), kind, &result)).ok());
    return result;
  }
  bool Exists(std::string path) {
    absl::Status result;
    EXPECT_TRUE(world.RunToEnd(observer, ExistsTask(view, std::move(path), &result)).ok());
    return result.ok();
  }
  static Task<void> ExistsTask(metadata::MetadataStore* store, std::string path,
                               absl::Status* result) {
    *result = (co_await store->Get(std::move(path))).status();
  }

  World world;
  SimProcess* process;
  SimProcess* observer;
  metadata::MetadataStore* store;
  metadata::MetadataStore* view;
};

TEST(SimProcessTest, ASessionExpiresInAPauseAndItsOwnerLearnsAfterIt) {
  StoreRig rig;
  ASSERT_TRUE(rig.Create("/e", metadata::NodeKind::kEphemeral).ok());
  std::vector<metadata::SessionState> states;
  const auto watch =
      rig.store->WatchSession([&](metadata::SessionState state) { states.push_back(state); });
  rig.world.Pause(rig.process);
  ASSERT_TRUE(rig.world.scheduler().RunFor(absl::Seconds(60)).ok());
  EXPECT_FALSE(rig.Exists("/e"));
  EXPECT_TRUE(states.empty()) << "it believes to be connected";
  rig.world.Resume(rig.process);
  ASSERT_TRUE(rig.world.scheduler().RunFor(absl::Seconds(1)).ok());
  EXPECT_EQ(states,
            (std::vector{metadata::SessionState::kDisconnected, metadata::SessionState::kExpired,
                         metadata::SessionState::kConnected}));
  EXPECT_EQ(rig.world.scheduler().faults().of("metadata.expired_in_pause"), 1u);
}

TEST(SimMetadataFaultsTest, AShortPauseKeepsTheSession) {
  StoreRig rig;
  ASSERT_TRUE(rig.Create("/e", metadata::NodeKind::kEphemeral).ok());
  rig.world.Pause(rig.process);
  ASSERT_TRUE(rig.world.scheduler().RunFor(absl::Seconds(5)).ok());
  rig.world.Resume(rig.process);
  ASSERT_TRUE(rig.world.scheduler().RunFor(absl::Seconds(60)).ok());
  EXPECT_TRUE(rig.Exists("/e"));
}

TEST(SimMetadataFaultsTest, AServerFromABackupHasForgottenWhatCameLater) {
  StoreRig rig;
  ASSERT_TRUE(rig.Create("/early", metadata::NodeKind::kPersistent).ok());
  const SimMetadataTree backup = rig.world.metadata().TakeBackup();
  ASSERT_TRUE(rig.Create("/late", metadata::NodeKind::kPersistent).ok());
  ASSERT_TRUE(rig.Create("/e", metadata::NodeKind::kEphemeral).ok());
  rig.world.metadata().RestoreBackup(backup);
  ASSERT_TRUE(rig.world.scheduler().RunFor(absl::Seconds(1)).ok());
  EXPECT_TRUE(rig.Exists("/early"));
  EXPECT_FALSE(rig.Exists("/late"));
  EXPECT_FALSE(rig.Exists("/e"));
  EXPECT_TRUE(rig.Create("/later", metadata::NodeKind::kPersistent).ok()) << "a new session";
}

TEST(SimMetadataFaultsTest, ALateWatchComesBeforeAnAnswerThatShowsTheChange) {
  for (const bool asks : {false, true}) {
    StoreRig rig;
    int calls = 0;
    const auto watch = rig.view->WatchNode("/n", [&] { ++calls; });
    ASSERT_TRUE(rig.world.scheduler().RunFor(absl::Seconds(1)).ok());
    EXPECT_EQ(calls, 1) << "armed";
    rig.world.metadata().set_watch_delay_max(absl::Hours(1));
    ASSERT_TRUE(rig.Create("/n", metadata::NodeKind::kPersistent).ok());
    ASSERT_TRUE(rig.world.scheduler().RunFor(absl::Milliseconds(100)).ok());
    EXPECT_EQ(calls, 1);
    if (asks) {
      EXPECT_TRUE(rig.Exists("/n"));
    } else {
      ASSERT_TRUE(rig.world.scheduler().RunFor(absl::Hours(1)).ok());
    }
    EXPECT_EQ(calls, 2);
  }
}

TEST(SimMetadataFaultsTest, AnOperatorChangesNodesUnderEverybody) {
  StoreRig rig;
  ASSERT_TRUE(rig.Create("/n", metadata::NodeKind::kPersistent).ok());
  EXPECT_TRUE(rig.world.metadata()
                  .ActAsOperator({.operation = MetadataOperation::kDelete, .path = "/n"})
                  .status.ok());
  EXPECT_FALSE(rig.Exists("/n"));
}

TEST(SimMetadataFaultsTest, ASlowServerIsTooSlowUntilItIsHealed) {
  StoreRig rig;
  rig.world.metadata().set_slowness(100'000);
  EXPECT_EQ(CodeOf(rig.Create("/n", metadata::NodeKind::kPersistent)),
            ErrorCode::kMetadataUnavailable);
  rig.world.HealAll();
  ASSERT_TRUE(rig.world.scheduler().RunFor(absl::Minutes(10)).ok());
  EXPECT_TRUE(rig.Create("/m", metadata::NodeKind::kPersistent).ok());
}

}  // namespace
}  // namespace stele::simulation
