#include "metadata/bookie_registration.h"

#include <gtest/gtest.h>

#include "common/async/task_scope.h"
#include "common/base/errors.h"
#include "metadata/bookie_registry.h"
#include "metadata/testing/metadata_test.h"

namespace stele::metadata {
namespace {

constexpr char kWritablePath[] = "/ledgers/available/b1";
constexpr char kReadOnlyPath[] = "/ledgers/available/readonly/b1";

BookieServiceInfo InfoAt(std::string host, int32_t port = 3181) {
  return {.endpoints = {
              {.id = "bookie", .port = port, .host = std::move(host), .protocol = "bookie-rpc"}}};
}

class BookieRegistrationTest : public MetadataTest {
 protected:
  std::unique_ptr<BookieRegistration> NewRegistration(
      MetadataStore* store, std::string host = "10.0.0.1",
      OldRegistration old_registration = OldRegistration::kTakeOver) {
    return std::make_unique<BookieRegistration>(
        env_, store, ClusterPaths("/ledgers"), BookieId("b1"), InfoAt(std::move(host)),
        BookieRegistrationOptions{.wait_for_other = absl::Seconds(10),
                                  .old_registration = old_registration},
        [this](absl::Status status) { lost_.push_back(status); });
  }
  // A node of an old or foreign session.
  void RivalRegisters(const std::string& path, const BookieServiceInfo& info) {
    EXPECT_TRUE(RunIn(other_process_, other_session_->Create(path, SerializeBookieServiceInfo(info),
                                                             NodeKind::kEphemeral))
                    .ok());
  }
  EphemeralOwner OwnerOf(std::string path) {
    const auto node = Run(session_->Get(std::move(path)));
    return node.ok() ? node->owner : EphemeralOwner::kNone;
  }

  std::vector<absl::Status> lost_;
};

TEST_F(BookieRegistrationTest, RegistersWithItsServiceInfoAndUnregisters) {
  const auto registration = NewRegistration(&store_);
  EXPECT_TRUE(Run(registration->Register(BookieMode::kWritable)).ok());
  EXPECT_EQ(ValueOf(kWritablePath), SerializeBookieServiceInfo(InfoAt("10.0.0.1")));
  EXPECT_EQ(OwnerOf(kWritablePath), EphemeralOwner::kThisSession);
  EXPECT_TRUE(Run(registration->Unregister()).ok());
  EXPECT_FALSE(Exists(kWritablePath));
  RunFor(absl::Minutes(1));
  EXPECT_FALSE(Exists(kWritablePath));
}

// Counts how often a client sees the bookie go from up to down.
Task<void> CountFalls(BookieRegistry* registry, int* falls) {
  bool was_up = false;
  for (;;) {
    const bool up = registry->bookies().IsUp(BookieId("b1"));
    if (was_up && !up) ++*falls;
    was_up = up;
    co_await registry->WaitForChange(registry->bookies().generation);
  }
}

TEST_F(BookieRegistrationTest, ASwitchingBookieIsNeverDown) {
  Put("/ledgers/available/readonly");
  BookieRegistry registry(env_, rival_session_.get(), ClusterPaths("/ledgers"));
  EXPECT_TRUE(Run(registry.Start()).ok());
  int falls = 0;
  TaskScope observer(env_.executor);
  observer.Spawn(CountFalls(&registry, &falls));
  const auto registration = NewRegistration(&store_);
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(Run(registration->Register(BookieMode::kWritable)).ok());
    EXPECT_TRUE(Exists(kWritablePath));
    EXPECT_FALSE(Exists(kReadOnlyPath));
    EXPECT_TRUE(Run(registration->Register(BookieMode::kReadOnly)).ok());
    EXPECT_TRUE(Exists(kReadOnlyPath));
    EXPECT_FALSE(Exists(kWritablePath));
    RunFor(absl::Milliseconds(i % 4));
  }
  EXPECT_EQ(falls, 0);
  EXPECT_TRUE(Run(registration->Unregister()).ok());
  Settle();
  EXPECT_EQ(falls, 1);
}

TEST_F(BookieRegistrationTest, ItsOwnOldRegistrationIsTakenOverAtOnce) {
  RivalRegisters(kReadOnlyPath, InfoAt("10.0.0.1"));
  const MonotonicTime begin = env_.clock->Now();
  const auto registration = NewRegistration(&store_);
  EXPECT_TRUE(Run(registration->Register(BookieMode::kReadOnly)).ok());
  EXPECT_EQ(OwnerOf(kReadOnlyPath), EphemeralOwner::kThisSession);
  // In the other mode too.
  EXPECT_TRUE(Run(registration->Unregister()).ok());
  RivalRegisters(kWritablePath, InfoAt("10.0.0.1"));
  EXPECT_TRUE(Run(registration->Register(BookieMode::kReadOnly)).ok());
  EXPECT_FALSE(Exists(kWritablePath));
  EXPECT_LT(env_.clock->Now() - begin, absl::Milliseconds(500));
}

TEST_F(BookieRegistrationTest, AnotherAddressOrNoProofIsWaitedForAndRefused) {
  RivalRegisters(kWritablePath, InfoAt("10.0.0.2"));
  const MonotonicTime begin = env_.clock->Now();
  const auto registration = NewRegistration(&store_);
  EXPECT_EQ(CodeOf(Run(registration->Register(BookieMode::kWritable))), ErrorCode::kKeyExists);
  EXPECT_GE(env_.clock->Now() - begin, absl::Seconds(10));
  EXPECT_LT(env_.clock->Now() - begin, absl::Seconds(11));
  EXPECT_EQ(OwnerOf(kWritablePath), EphemeralOwner::kOther);

  world_.metadata().Expire(other_process_);
  Settle();
  RivalRegisters(kWritablePath, InfoAt("10.0.0.1"));
  const auto careful = NewRegistration(&store_, "10.0.0.1", OldRegistration::kWait);
  EXPECT_EQ(CodeOf(Run(careful->Register(BookieMode::kWritable))), ErrorCode::kKeyExists);
  EXPECT_TRUE(lost_.empty());
}

TEST_F(BookieRegistrationTest, WhenTheOtherSessionEndsInTimeItRegisters) {
  RivalRegisters(kWritablePath, InfoAt("10.0.0.2"));
  const auto registration = NewRegistration(&store_);
  const auto result = Start(registration->Register(BookieMode::kWritable));
  RunFor(absl::Seconds(5));
  EXPECT_FALSE(result->has_value());
  world_.metadata().Expire(other_process_);
  Settle();
  ASSERT_TRUE(result->has_value());
  EXPECT_TRUE((*result)->ok());
  EXPECT_EQ(OwnerOf(kWritablePath), EphemeralOwner::kThisSession);
}

TEST_F(BookieRegistrationTest, ALostAnswerToCreateIsFoundToBeOurs) {
  store_.Fail(Op::kCreate, "b1", Fault::kLostAnswer);
  store_.Fail(Op::kGet, "b1", Fault::kNotSent, 3);
  const auto registration = NewRegistration(&store_);
  EXPECT_TRUE(Run(registration->Register(BookieMode::kWritable)).ok());
  EXPECT_EQ(OwnerOf(kWritablePath), EphemeralOwner::kThisSession);
}

TEST_F(BookieRegistrationTest, AfterAnExpiryItRegistersAgainInItsMode) {
  const auto registration = NewRegistration(&store_);
  EXPECT_TRUE(Run(registration->Register(BookieMode::kReadOnly)).ok());
  store_.Fail(Op::kCreate, "b1", Fault::kNotSent, 4);
  world_.metadata().Expire(process_);
  RunFor(absl::Seconds(30));
  EXPECT_EQ(OwnerOf(kReadOnlyPath), EphemeralOwner::kThisSession);
  EXPECT_TRUE(lost_.empty());
}

TEST_F(BookieRegistrationTest, ARegistrationThatSomebodyDeletedComesBack) {
  const auto registration = NewRegistration(&store_);
  EXPECT_TRUE(Run(registration->Register(BookieMode::kWritable)).ok());
  EXPECT_TRUE(Run(rival_session_->Delete(kWritablePath, kAnyVersion)).ok());
  Settle();
  EXPECT_EQ(OwnerOf(kWritablePath), EphemeralOwner::kThisSession);
}

TEST_F(BookieRegistrationTest, OneThatSomebodyTookIsLostAndNotTakenBack) {
  const auto registration = NewRegistration(&store_);
  EXPECT_TRUE(Run(registration->Register(BookieMode::kWritable)).ok());
  const auto theft = [](MetadataStore* store, std::string payload) -> Task<absl::Status> {
    (co_await store->Delete(kWritablePath, kAnyVersion)).IgnoreError();
    co_return co_await store->Create(kWritablePath, payload, NodeKind::kEphemeral);
  };
  // The thief's create comes before we notice.
  store_.Before(Op::kCreate, "b1", [&]() -> Task<void> {
    return [](Task<absl::Status> task) -> Task<void> {
      EXPECT_TRUE((co_await std::move(task)).ok());
    }(theft(rival_session_.get(), SerializeBookieServiceInfo(InfoAt("10.0.0.1"))));
  });
  EXPECT_TRUE(Run(rival_session_->Delete(kWritablePath, kAnyVersion)).ok());
  RunFor(absl::Minutes(1));
  ASSERT_EQ(lost_.size(), 1u);
  EXPECT_EQ(CodeOf(lost_[0]), ErrorCode::kKeyExists);
  EXPECT_EQ(OwnerOf(kWritablePath), EphemeralOwner::kOther);
}

// The last request of a killed process may reach the store after the next one has registered.
TEST_F(BookieRegistrationTest, AnOldRegistrationThatArrivesLateIsRemoved) {
  const auto registration = NewRegistration(&store_);
  EXPECT_TRUE(Run(registration->Register(BookieMode::kWritable)).ok());
  RivalRegisters(kReadOnlyPath, InfoAt("10.0.0.1"));
  Settle();
  EXPECT_FALSE(Exists(kReadOnlyPath));
  RivalRegisters(kReadOnlyPath, InfoAt("10.0.0.1"));
  EXPECT_TRUE(Run(registration->Register(BookieMode::kReadOnly)).ok());
  EXPECT_EQ(OwnerOf(kReadOnlyPath), EphemeralOwner::kThisSession);
  EXPECT_TRUE(lost_.empty());
}

TEST_F(BookieRegistrationTest, ALaterCallSupersedesAnEarlierOne) {
  const auto registration = NewRegistration(&store_);
  const auto first = Start(registration->Register(BookieMode::kWritable));
  const auto second = Start(registration->Register(BookieMode::kReadOnly));
  const auto third = Start(registration->Unregister());
  RunFor(absl::Seconds(1));
  for (const auto& one : {first, second, third}) {
    ASSERT_TRUE(one->has_value());
    EXPECT_TRUE((*one)->ok());
  }
}

TEST_F(BookieRegistrationTest, WhatTheStoreRefusesIsAnError) {
  store_.Fail(Op::kCreate, "b1", Fault::kRefused);
  const auto registration = NewRegistration(&store_);
  EXPECT_EQ(CodeOf(Run(registration->Register(BookieMode::kWritable))), ErrorCode::kUnauthorized);
}

TEST_F(BookieRegistrationTest, ItCanBeDestroyedWhileItWaits) {
  RivalRegisters(kWritablePath, InfoAt("10.0.0.2"));
  auto registration = NewRegistration(&store_);
  {
    TaskScope scope(env_.executor);
    const auto drop = [](Task<absl::Status> task) -> Task<void> {
      (co_await std::move(task)).IgnoreError();
    };
    scope.Spawn(drop(registration->Register(BookieMode::kWritable)));
    RunFor(absl::Seconds(1));
  }
  registration.reset();
  world_.metadata().Expire(other_process_);
  RunFor(absl::Minutes(1));
  EXPECT_FALSE(Exists(kWritablePath));
}

}  // namespace
}  // namespace stele::metadata
