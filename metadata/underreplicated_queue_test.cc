#include "metadata/underreplicated_queue.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "metadata/testing/metadata_test.h"

namespace stele::metadata {
namespace {

constexpr LedgerId kLedger(42);
constexpr char kTaskPath[] = "/ledgers/underreplication/ledgers/0000/0000/0000/002a/urL0000000042";
// In the directory of the task: with it there, nothing goes in one step.
constexpr char kBeside[] = "/ledgers/underreplication/ledgers/0000/0000/0000/002a/strange";
constexpr char kLockPath[] = "/ledgers/underreplication/locks/urL0000000042";

class UnderreplicatedQueueTest : public MetadataTest {
 protected:
  UnderreplicatedQueueTest() {
    Put("/ledgers");
    EXPECT_TRUE(Run(queue_.Start()).ok());
    EXPECT_TRUE(RunIn(other_process_, other_.Start()).ok());
  }

  bool Mark(LedgerId ledger, std::vector<BookieId> replicas) {
    const auto marked = Run(queue_.Mark(ledger, std::move(replicas)));
    EXPECT_TRUE(marked.ok()) << marked.status();
    return marked.ok() && *marked;
  }
  RepairTask Find(LedgerId ledger) {
    const auto task = Run(queue_.Find(ledger));
    EXPECT_TRUE(task.ok() && task->has_value());
    return **task;
  }
  std::vector<LedgerId> List(size_t count_max = 1000) {
    const auto tasks = Run(queue_.List(count_max));
    EXPECT_TRUE(tasks.ok()) << tasks.status();
    std::vector<LedgerId> ledgers;
    for (const RepairTask& task : *tasks) ledgers.push_back(task.ledger);
    std::sort(ledgers.begin(), ledgers.end());
    return ledgers;
  }

  const BookieId a_{"a:1"};
  const BookieId b_{"b:1"};
  const ClusterPaths paths_{"/ledgers"};
  UnderreplicatedQueue queue_{env_, &store_, paths_, "host"};
  UnderreplicatedQueue other_{world_.env(other_process_), other_session_.get(), paths_, "other"};
};

TEST_F(UnderreplicatedQueueTest, TheFirstUserMakesTheNodesOfApache) {
  EXPECT_EQ(ValueOf("/ledgers/underreplication/LAYOUT"), "type: \"BASIC\"\nversion: 1\n");
  EXPECT_TRUE(Exists("/ledgers/underreplication/ledgers"));
  EXPECT_TRUE(Exists("/ledgers/underreplication/locks"));
}

TEST_F(UnderreplicatedQueueTest, AnotherLayoutIsRefused) {
  EXPECT_TRUE(Run(rival_session_->Put("/ledgers/underreplication/LAYOUT",
                                      "type: \"OTHER\"\nversion: 1\n", kAnyVersion))
                  .ok());
  EXPECT_EQ(CodeOf(Run(queue_.Start())), ErrorCode::kUnsupported);
}

TEST_F(UnderreplicatedQueueTest, MarkingAgainAddsWhatIsNewAndNothingElse) {
  EXPECT_TRUE(Mark(kLedger, {a_}));
  const RepairTask first = Find(kLedger);
  EXPECT_EQ(first.mark.replicas, std::vector<BookieId>{a_});
  ASSERT_TRUE(first.mark.marked_at.has_value());
  RunFor(absl::Seconds(1));
  EXPECT_FALSE(Mark(kLedger, {a_}));
  EXPECT_EQ(Find(kLedger).mark, first.mark);
  EXPECT_TRUE(Mark(kLedger, {b_}));
  EXPECT_EQ(Find(kLedger).mark.replicas, (std::vector<BookieId>{a_, b_}));
  EXPECT_GT(*Find(kLedger).mark.marked_at, *first.mark.marked_at);
  EXPECT_EQ(Find(kLedger).version, 1);
}

TEST_F(UnderreplicatedQueueTest, MarksOfRivalsAreMerged) {
  store_.Before(Op::kPut, "urL", [this]() -> Task<void> {
    return [](UnderreplicatedQueue* other, BookieId bookie) -> Task<void> {
      EXPECT_TRUE((co_await other->Mark(kLedger, {bookie})).ok());
    }(&other_, BookieId("c:1"));
  });
  EXPECT_TRUE(Mark(kLedger, {a_}));
  EXPECT_TRUE(Mark(kLedger, {b_}));
  EXPECT_EQ(Find(kLedger).mark.replicas, (std::vector<BookieId>{a_, BookieId("c:1"), b_}));
}

TEST_F(UnderreplicatedQueueTest, AMarkWhoseAnswerIsLostIsThere) {
  store_.Fail(Op::kCreate, "urL", Fault::kLostAnswer);
  EXPECT_FALSE(Mark(kLedger, {a_}));
  EXPECT_EQ(Find(kLedger).mark.replicas, std::vector<BookieId>{a_});
}

TEST_F(UnderreplicatedQueueTest, ATaskThatCannotBeReadIsATaskWithoutReplicas) {
  Put(kTaskPath, "rubbish");
  EXPECT_EQ(Find(kLedger).mark, UnderreplicationMark());
  EXPECT_EQ(CodeOf(Run(queue_.Mark(kLedger, {a_})).status()), ErrorCode::kCorruptData);
}

TEST_F(UnderreplicatedQueueTest, ListGivesAllTasksAndRemovesWhatIsEmpty) {
  std::vector<LedgerId> expected;
  for (int64_t id : {int64_t{0}, int64_t{1}, int64_t{42}, int64_t{65536}, int64_t{4294967296}}) {
    Mark(LedgerId(id), {a_});
    expected.emplace_back(id);
  }
  Put("/ledgers/underreplication/ledgers/0000/0000/0007");
  Put("/ledgers/underreplication/ledgers/strange");
  EXPECT_EQ(List(), expected);
  EXPECT_FALSE(Exists("/ledgers/underreplication/ledgers/0000/0000/0007"));
  EXPECT_EQ(List(2).size(), 2u);
}

TEST_F(UnderreplicatedQueueTest, LedgersAreListedWithoutReadingTheirTasks) {
  for (int64_t id = 1; id <= 20; ++id) Mark(LedgerId(id), {a_});
  Put("/ledgers/underreplication/ledgers/0000/0000/0000/0099");
  const int reads = store_.CountOf(Op::kGet);
  auto ledgers = Run(queue_.Ledgers(1000));
  ASSERT_TRUE(ledgers.ok());
  EXPECT_EQ(store_.CountOf(Op::kGet), reads);
  EXPECT_EQ(ledgers->size(), 21u);
  const std::vector<LedgerId> three = {LedgerId(1), LedgerId(7), LedgerId(0x99)};
  const auto tasks = Run(queue_.Read(three));
  ASSERT_TRUE(tasks.ok());
  ASSERT_EQ(tasks->size(), 2u);
  EXPECT_EQ(store_.CountOf(Op::kGet), reads + 3);
  EXPECT_FALSE(Exists("/ledgers/underreplication/ledgers/0000/0000/0000/0099"));
}

TEST_F(UnderreplicatedQueueTest, OneOwnerPerLock) {
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  EXPECT_EQ(ValueOf(kLockPath), "bookieId: \"host\"\n");
  EXPECT_FALSE(*Run(queue_.Lock(kLedger)));
  EXPECT_FALSE(*RunIn(other_process_, other_.Lock(kLedger)));
  EXPECT_EQ(*Run(queue_.Locked()), std::vector<LedgerId>{kLedger});
  EXPECT_TRUE(Run(queue_.Unlock(kLedger)).ok());
  EXPECT_TRUE(*RunIn(other_process_, other_.Lock(kLedger)));
  EXPECT_TRUE(Run(queue_.Unlock(kLedger)).ok());  // not ours: nothing happens
  EXPECT_EQ(ValueOf(kLockPath), "bookieId: \"other\"\n");
}

// T29
TEST_F(UnderreplicatedQueueTest, AnOwnerRecognisesItsLockAfterALostAnswer) {
  store_.Fail(Op::kCreate, "locks", Fault::kLostAnswer);
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  EXPECT_TRUE(queue_.Holds(kLedger));
  EXPECT_FALSE(*RunIn(other_process_, other_.Lock(kLedger)));
  store_.Fail(Op::kDelete, "locks", Fault::kLostAnswer);
  EXPECT_TRUE(Run(queue_.Unlock(kLedger)).ok());
  EXPECT_FALSE(Exists(kLockPath));
}

TEST_F(UnderreplicatedQueueTest, ALostUnlockDoesNotTakeAnothersLock) {
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  store_.Fail(Op::kDelete, "locks", Fault::kLostAnswer);
  store_.Before(Op::kGet, "locks", [this]() -> Task<void> {
    return [](MetadataStore* store) -> Task<void> {
      EXPECT_TRUE((co_await store->Create(kLockPath, "theirs", NodeKind::kEphemeral)).ok());
    }(rival_session_.get());
  });
  EXPECT_TRUE(Run(queue_.Unlock(kLedger)).ok());
  EXPECT_EQ(ValueOf(kLockPath), "theirs");
}

TEST_F(UnderreplicatedQueueTest, LocksEndWithTheSession) {
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  world_.metadata().Expire(process_);
  RunFor(absl::Seconds(1));
  EXPECT_FALSE(queue_.Holds(kLedger));
  EXPECT_TRUE(*RunIn(other_process_, other_.Lock(kLedger)));
  EXPECT_TRUE(Run(queue_.Unlock(kLedger)).ok());
  EXPECT_TRUE(other_.Holds(kLedger));
  EXPECT_FALSE(*Run(queue_.Lock(kLedger)));
}

TEST_F(UnderreplicatedQueueTest, AStoreThatHasTooMuchToDoIsAskedAgain) {
  store_.Fail(Op::kCreate, "/ledgers/0000", Fault::kOverloaded);
  EXPECT_TRUE(Mark(kLedger, {a_}));
  store_.Fail(Op::kCreate, "locks", Fault::kOverloaded);
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  store_.Fail(Op::kDelete, "locks", Fault::kOverloaded, 3);
  EXPECT_TRUE(Run(queue_.Unlock(kLedger)).ok());
  EXPECT_FALSE(Exists(kLockPath));

  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  store_.Fail(Op::kDeleteTogether, "urL", Fault::kOverloaded);
  EXPECT_TRUE(*Run(queue_.Finish(Find(kLedger))));
  EXPECT_FALSE(Exists(kTaskPath));
  EXPECT_FALSE(Exists(kLockPath));
}

TEST_F(UnderreplicatedQueueTest, ATaskThatGoesAloneWaitsForAStoreThatHasTooMuchToDo) {
  Mark(kLedger, {a_});
  Put(kBeside);
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  store_.Fail(Op::kDelete, "urL", Fault::kOverloaded);
  EXPECT_TRUE(*Run(queue_.Finish(Find(kLedger))));
  EXPECT_FALSE(Exists(kTaskPath));
}

TEST_F(UnderreplicatedQueueTest, ALockThatWasMadeInTheNextSessionIsTakenAway) {
  const auto end_session = [this]() -> Task<void> {
    world_.metadata().Expire(process_);
    return [](Env env) -> Task<void> {
      co_await SleepFor(env.executor, env.clock, absl::Seconds(1));
    }(env_);
  };
  store_.Before(Op::kCreate, "locks", end_session);
  store_.Fail(Op::kGet, "locks", Fault::kOverloaded, 2);
  store_.Fail(Op::kDelete, "locks", Fault::kOverloaded, 2);
  EXPECT_FALSE(*Run(queue_.Lock(kLedger)));
  EXPECT_GE(store_.CountOf(Op::kDelete), 3);
  EXPECT_FALSE(Exists(kLockPath));
  EXPECT_FALSE(queue_.Holds(kLedger));
}

TEST_F(UnderreplicatedQueueTest, AFinishedTaskIsRemovedWithItsDirectory) {
  Mark(kLedger, {a_});
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  EXPECT_TRUE(*Run(queue_.Finish(Find(kLedger))));
  EXPECT_FALSE(Exists("/ledgers/underreplication/ledgers/0000/0000/0000/002a"));
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  EXPECT_TRUE(*Run(queue_.Finish({.ledger = kLedger})));  // none: done
}

TEST_F(UnderreplicatedQueueTest, AFinishedTaskGoesWithItsDirectoryAndItsLockInOneStep) {
  Mark(kLedger, {a_});
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  const RepairTask task = Find(kLedger);
  EXPECT_TRUE(*Run(queue_.Finish(task)));
  EXPECT_EQ(store_.CountOf(Op::kDeleteTogether), 1);
  EXPECT_EQ(store_.CountOf(Op::kDelete), 0);
  EXPECT_FALSE(Exists("/ledgers/underreplication/ledgers/0000/0000/0000/002a"));
  EXPECT_FALSE(Exists(kLockPath));
  EXPECT_FALSE(queue_.Holds(kLedger));
  EXPECT_TRUE(*RunIn(other_process_, other_.Lock(kLedger)));
}

TEST_F(UnderreplicatedQueueTest, ATaskMarkedMeanwhileStaysAndTheLockWithIt) {
  Mark(kLedger, {a_});
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  const RepairTask task = Find(kLedger);
  Mark(kLedger, {b_});
  EXPECT_FALSE(*Run(queue_.Finish(task)));
  EXPECT_EQ(Find(kLedger).mark.replicas, (std::vector<BookieId>{a_, b_}));
  EXPECT_TRUE(queue_.Holds(kLedger));
  EXPECT_TRUE(Run(queue_.Unlock(kLedger)).ok());
  EXPECT_FALSE(Exists(kLockPath));
}

// Somebody has removed a part by hand, or put something beside the task.
TEST_F(UnderreplicatedQueueTest, WhatCannotGoInOneStepGoesInSeveral) {
  const std::string directory = "/ledgers/underreplication/ledgers/0000/0000/0000/002a";
  const auto finish_after = [&](const std::string& removed) {
    Mark(kLedger, {a_});
    EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
    const RepairTask task = Find(kLedger);
    if (!removed.empty()) EXPECT_TRUE(Run(rival_session_->Delete(removed, kAnyVersion)).ok());
    EXPECT_TRUE(*Run(queue_.Finish(task)));
    EXPECT_TRUE(Run(queue_.Unlock(kLedger)).ok());
    EXPECT_FALSE(Exists(kTaskPath));
    EXPECT_FALSE(Exists(kLockPath));
    EXPECT_FALSE(queue_.Holds(kLedger));
  };
  finish_after(kTaskPath);
  finish_after(kLockPath);
  EXPECT_FALSE(Exists(directory));
  Put(directory + "/strange");
  finish_after("");
  EXPECT_TRUE(Exists(directory + "/strange"));
}

TEST_F(UnderreplicatedQueueTest, AFinishWhoseAnswerIsLostIsKnownByItsLock) {
  Mark(kLedger, {a_});
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  const RepairTask task = Find(kLedger);
  store_.Fail(Op::kDeleteTogether, "urL", Fault::kLostAnswer);
  // Marked anew and locked by another behind it: neither is ours to remove.
  store_.Before(Op::kGet, "locks", [this]() -> Task<void> {
    return [](UnderreplicatedQueue* other, MetadataStore* store, BookieId bookie) -> Task<void> {
      EXPECT_TRUE((co_await other->Mark(kLedger, {bookie})).ok());
      EXPECT_TRUE((co_await store->Create(kLockPath, "theirs", NodeKind::kEphemeral)).ok());
    }(&other_, rival_session_.get(), a_);
  });
  EXPECT_TRUE(*Run(queue_.Finish(task)));
  EXPECT_TRUE(Run(queue_.Unlock(kLedger)).ok());
  EXPECT_EQ(Find(kLedger).version, task.version);
  EXPECT_EQ(ValueOf(kLockPath), "theirs");
}

TEST_F(UnderreplicatedQueueTest, ALockThatMayHaveGoneIsLookedAtBeforeItIsLetGo) {
  Mark(kLedger, {a_});
  UnderreplicatedQueue hasty(env_, &store_, paths_, "hasty", {.give_up_at = MonotonicTime()});
  EXPECT_TRUE(*Run(hasty.Lock(kLedger)));
  const RepairTask task = Find(kLedger);
  store_.Fail(Op::kDeleteTogether, "urL", Fault::kLostAnswer);
  store_.Fail(Op::kGet, "locks", Fault::kNotSent);
  EXPECT_EQ(CodeOf(Run(hasty.Finish(task)).status()), ErrorCode::kMetadataUnavailable);
  EXPECT_TRUE(*RunIn(other_process_, other_.Lock(kLedger)));
  EXPECT_TRUE(Run(hasty.Unlock(kLedger)).ok());
  EXPECT_EQ(ValueOf(kLockPath), "bookieId: \"other\"\n");
}

// Its first request counts, after a second one was on its way already.
TEST_F(UnderreplicatedQueueTest, ALockThatGoesLateIsNotThatOfAnother) {
  Mark(kLedger, {a_});
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  const RepairTask task = Find(kLedger);
  world_.metadata().LoseRequests(process_, 1);
  store_.Before(
      Op::kDeleteTogether, "urL",
      [this, task]() -> Task<void> {
        return
            [](MetadataStore* ours, UnderreplicatedQueue* other,
               std::vector<Deletion> nodes) -> Task<void> {
              EXPECT_TRUE((co_await ours->DeleteTogether(nodes)).ok());
              EXPECT_TRUE(*(co_await other->Lock(kLedger)));
            }(session_.get(), &other_,
                                            {{kTaskPath, task.version},
                                             {queue_.paths().TaskDirectory(kLedger), kAnyVersion},
                                             {kLockPath, kAnyVersion}});
      },
      1);
  EXPECT_TRUE(*Run(queue_.Finish(task)));
  EXPECT_TRUE(Run(queue_.Unlock(kLedger)).ok());
  EXPECT_EQ(ValueOf(kLockPath), "bookieId: \"other\"\n");
}

TEST_F(UnderreplicatedQueueTest, AFinishThatWasNotAppliedIsTriedAgain) {
  Mark(kLedger, {a_});
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  const RepairTask task = Find(kLedger);
  world_.metadata().LoseRequests(process_, 1);
  EXPECT_TRUE(*Run(queue_.Finish(task)));
  EXPECT_EQ(store_.CountOf(Op::kDeleteTogether), 2);
  EXPECT_FALSE(Exists(kTaskPath));
  EXPECT_FALSE(Exists(kLockPath));
}

TEST_F(UnderreplicatedQueueTest, AFinishDoesNotTakeTheLockThatAnotherHasSinceTheSessionEnded) {
  Mark(kLedger, {a_});
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  const RepairTask task = Find(kLedger);
  world_.metadata().Expire(process_);
  RunFor(absl::Seconds(1));
  EXPECT_TRUE(*RunIn(other_process_, other_.Lock(kLedger)));
  EXPECT_FALSE(*Run(queue_.Finish(task)));
  EXPECT_EQ(ValueOf(kLockPath), "bookieId: \"other\"\n");
  EXPECT_TRUE(Exists(kTaskPath));
}

// Another worker repairs it then, and the auditor finds a loss once more.
TEST_F(UnderreplicatedQueueTest, AFinishAfterTheSessionDoesNotRemoveANewTask) {
  Mark(kLedger, {a_});
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  const RepairTask task = Find(kLedger);
  store_.Before(Op::kDeleteTogether, "urL", [this, task]() -> Task<void> {
    world_.metadata().Expire(process_);
    return
        [](Env env, UnderreplicatedQueue* other, RepairTask first, BookieId bookie) -> Task<void> {
          co_await SleepFor(env.executor, env.clock, absl::Seconds(1));
          EXPECT_TRUE(*(co_await other->Lock(kLedger)));
          EXPECT_TRUE(*(co_await other->Finish(first)));
          EXPECT_TRUE(*(co_await other->Mark(kLedger, {bookie})));
        }(env_, &other_, task, b_);
  });
  EXPECT_FALSE(*Run(queue_.Finish(task)));
  EXPECT_EQ(Find(kLedger).mark.replicas, std::vector<BookieId>{b_});
  EXPECT_EQ(Find(kLedger).version, task.version);
}

TEST_F(UnderreplicatedQueueTest, ATaskThatGoesAloneStaysWhenTheSessionEndsMeanwhile) {
  Mark(kLedger, {a_});
  Put(kBeside);
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  const RepairTask task = Find(kLedger);
  store_.Fail(Op::kDelete, "urL", Fault::kNotSent, 6);  // for most of a second
  const auto finished = Start(queue_.Finish(task));
  while (store_.CountOf(Op::kDelete) == 0) RunFor(absl::Milliseconds(1));
  world_.metadata().Expire(process_);
  RunFor(absl::Seconds(5));
  ASSERT_TRUE(finished->has_value());
  EXPECT_FALSE(***finished);
  EXPECT_TRUE(Exists(kTaskPath));
}

// T15
TEST_F(UnderreplicatedQueueTest, ATaskMarkedMeanwhileStays) {
  Mark(kLedger, {a_});
  Put(kBeside);
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  const RepairTask task = Find(kLedger);
  store_.Before(Op::kDelete, "urL", [this]() -> Task<void> {
    return [](UnderreplicatedQueue* other, BookieId bookie) -> Task<void> {
      EXPECT_TRUE((co_await other->Mark(kLedger, {bookie})).ok());
    }(&other_, b_);
  });
  EXPECT_FALSE(*Run(queue_.Finish(task)));
  EXPECT_EQ(Find(kLedger).mark.replicas, (std::vector<BookieId>{a_, b_}));
}

TEST_F(UnderreplicatedQueueTest, AFinishWhoseAnswerIsLostDoesNotRemoveANewTask) {
  Mark(kLedger, {a_});
  Put(kBeside);
  EXPECT_TRUE(*Run(queue_.Lock(kLedger)));
  const RepairTask task = Find(kLedger);
  store_.Fail(Op::kDelete, "urL", Fault::kLostAnswer);
  // Marked anew behind the deletion: the new node has the version of the old one.
  store_.Before(Op::kGet, "urL", [this]() -> Task<void> {
    return [](UnderreplicatedQueue* other, BookieId bookie) -> Task<void> {
      EXPECT_TRUE((co_await other->Mark(kLedger, {bookie})).ok());
    }(&other_, b_);
  });
  EXPECT_FALSE(*Run(queue_.Finish(task)));
  EXPECT_EQ(Find(kLedger).mark.replicas, std::vector<BookieId>{b_});
  EXPECT_EQ(Find(kLedger).version, task.version);
}

TEST_F(UnderreplicatedQueueTest, AnOutageIsWaitedFor) {
  Mark(kLedger, {a_});
  world_.metadata().Stop();
  const auto task = Start(queue_.Find(kLedger));
  const auto locked = Start(queue_.Lock(kLedger));
  const auto marked = Start(queue_.Mark(LedgerId(7), {b_}));
  RunFor(absl::Minutes(2));
  EXPECT_FALSE(task->has_value() || locked->has_value() || marked->has_value());
  world_.metadata().Start();
  RunFor(absl::Seconds(30));
  ASSERT_TRUE(task->has_value() && locked->has_value() && marked->has_value());
  EXPECT_TRUE((*task)->ok());
  EXPECT_TRUE(***locked);
  EXPECT_EQ(List(), (std::vector<LedgerId>{LedgerId(7), kLedger}));
}

}  // namespace
}  // namespace stele::metadata
