#include "autorecovery/internal/check_schedule.h"

#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/strings.h"
#include "metadata/testing/metadata_test.h"

namespace stele::autorecovery {
namespace {

constexpr metadata::CheckKind kKind = metadata::CheckKind::kAllLedgers;
constexpr absl::Duration kInterval = absl::Hours(1);
constexpr absl::Duration kCheckTakes = absl::Seconds(30);
constexpr char kDateNode[] = "checkallledgersctime";

class LastLine final : public observe::Log {
 public:
  void Write(observe::LogLevel, std::string_view message,
             std::initializer_list<observe::LogField> fields) override {
    text_ = message;
    for (const observe::LogField& field : fields) text_ += StrCat(" ", field.value);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

class CheckScheduleTest : public metadata::MetadataTest {
 protected:
  CheckScheduleTest() { Put("/ledgers/underreplication"); }
  void Begin() {
    process_->Spawn(CheckNowAndThen(env_, &store_, &settings_, kKind, kInterval, &log_,
                                    [this](metadata::CheckDate since) { return Check(since); }));
    Settle();
  }
  std::optional<absl::Time> Date() { return *Run(rival_.CheckTime(kKind)); }
  void SetDate(absl::Duration from_now) {
    EXPECT_TRUE(Run(rival_.SetCheckTime(kKind, env_.clock->WallNow() + from_now)).ok());
  }
  void Order() { SetDate(-absl::Hours(24 * 21)); }

  bool completes_ = true;
  int begun_ = 0;
  int completed_ = 0;
  std::vector<metadata::CheckDate> since_;
  LastLine log_;

 private:
  Task<absl::StatusOr<bool>> Check(metadata::CheckDate since) {
    ++begun_;
    since_.push_back(since);
    const bool completes = completes_;
    co_await SleepFor(env_.executor, env_.clock, kCheckTakes);
    completed_ += completes ? 1 : 0;
    co_return completes;
  }

  const metadata::ClusterPaths paths_{"/ledgers"};
  metadata::AutorecoverySettings settings_{&store_, paths_};
  metadata::AutorecoverySettings rival_{rival_session_.get(), paths_};
};

TEST_F(CheckScheduleTest, TheFirstIsMadeAtOnceAndTheNextOneIntervalAfterItsEnd) {
  Begin();
  EXPECT_EQ(begun_, 1);
  EXPECT_EQ(Date(), std::nullopt);
  RunFor(kCheckTakes);
  EXPECT_EQ(completed_, 1);
  const absl::Time end = *Date();
  EXPECT_LT(absl::AbsDuration(env_.clock->WallNow() - end), absl::Seconds(1));
  RunFor(kInterval - absl::Seconds(1));
  EXPECT_EQ(begun_, 1);
  RunFor(absl::Seconds(2));
  EXPECT_EQ(begun_, 2);
}

TEST_F(CheckScheduleTest, TheScheduleOfAnEarlierOneIsGoneOnWith) {
  SetDate(-kInterval / 2);
  Begin();
  RunFor(kInterval / 2 - absl::Seconds(5));
  EXPECT_EQ(begun_, 0);
  RunFor(absl::Seconds(10));
  EXPECT_EQ(begun_, 1);
}

TEST_F(CheckScheduleTest, ADateFarAheadIsNone) {
  SetDate(kInterval + absl::Minutes(1));
  Begin();
  EXPECT_EQ(begun_, 1);
  RunFor(absl::Minutes(5));
  EXPECT_LT(*Date(), env_.clock->WallNow());
  EXPECT_EQ(begun_, 1);
}

TEST_F(CheckScheduleTest, ADateInTheFuturePutsItOffByOneIntervalAtMost) {
  SetDate(kInterval - absl::Minutes(1));
  Begin();
  RunFor(kInterval / 2);
  world_.metadata().Expire(process_);  // what is watched is said once more
  RunFor(kInterval / 2 - absl::Seconds(5));
  EXPECT_EQ(begun_, 0);
  RunFor(absl::Seconds(10));
  EXPECT_EQ(begun_, 1);
}

TEST_F(CheckScheduleTest, OneWhoseDateIsTakenBackIsMadeAtOnce) {
  Begin();
  RunFor(absl::Minutes(5));
  ASSERT_EQ(completed_, 1);
  const absl::Time first = *Date();
  SetDate(-kInterval / 2);  // still within the interval
  RunFor(absl::Minutes(5));
  EXPECT_EQ(begun_, 1);
  Order();
  Settle();
  EXPECT_EQ(begun_, 2);
  RunFor(absl::Minutes(5));
  EXPECT_GT(Date(), first);
  EXPECT_EQ(begun_, 2);
}

TEST_F(CheckScheduleTest, OneThatIsOrderedWhileItRunsIsMadeOnceMore) {
  Begin();
  RunFor(kCheckTakes / 2);
  Order();
  RunFor(kCheckTakes / 2 + absl::Seconds(1));
  EXPECT_EQ(completed_, 1);
  EXPECT_EQ(begun_, 2);
  RunFor(absl::Minutes(5));
  EXPECT_EQ(begun_, 2);
}

TEST_F(CheckScheduleTest, OneThatGoesOnKnowsTheDateThatItBeganWith) {
  completes_ = false;
  SetDate(-2 * kInterval);
  const absl::Time before = *Date();
  Begin();
  RunFor(kCheckTakes + absl::Seconds(1));
  Order();
  RunFor(kCheckTakes);
  ASSERT_GE(begun_, 2);
  for (const metadata::CheckDate& since : since_) EXPECT_EQ(since.time, before);
}

// It goes on where it was; what it looked at before the order is to be looked at again.
TEST_F(CheckScheduleTest, OneThatIsOrderedWhileItIsBrokenOffIsMadeOnceMore) {
  completes_ = false;
  Begin();
  RunFor(kCheckTakes + absl::Seconds(1));
  EXPECT_EQ(begun_, 1);
  completes_ = true;
  Order();
  RunFor(absl::Minutes(5));
  EXPECT_EQ(completed_, 2);
}

TEST_F(CheckScheduleTest, OneThatIsBrokenOffDoesNotCount) {
  completes_ = false;
  Begin();
  RunFor(absl::Minutes(5));
  EXPECT_GT(begun_, 5);
  EXPECT_LT(begun_, 10);
  EXPECT_EQ(Date(), std::nullopt);
}

TEST_F(CheckScheduleTest, ADateThatTheStoreDidNotTakeIsWrittenAgain) {
  store_.Fail(Op::kCreate, kDateNode, Fault::kNotSent);
  Begin();
  RunFor(absl::Minutes(5));
  EXPECT_NE(Date(), std::nullopt);
  EXPECT_EQ(begun_, 1);
}

TEST_F(CheckScheduleTest, ADateThatTheStoreRefusesDoesNotHurryTheNext) {
  const std::string parent = "/ledgers/underreplication";
  EXPECT_TRUE(Run(rival_session_->Delete(parent, metadata::kAnyVersion)).ok());
  EXPECT_TRUE(Run(rival_session_->Create(parent, "", metadata::NodeKind::kEphemeral)).ok());
  Begin();
  RunFor(absl::Minutes(30));
  EXPECT_EQ(Date(), std::nullopt);
  EXPECT_EQ(begun_, 1);
  EXPECT_NE(log_.text().find(kDateNode), std::string::npos);
}

TEST_F(CheckScheduleTest, ADateWhoseAnswerIsLostCounts) {
  store_.Fail(Op::kCreate, kDateNode, Fault::kLostAnswer);
  store_.Fail(Op::kPut, kDateNode, Fault::kLostAnswer);
  Begin();
  RunFor(absl::Minutes(5));
  EXPECT_EQ(begun_, 1);
  Order();
  RunFor(absl::Minutes(5));
  EXPECT_EQ(begun_, 2);
  EXPECT_LT(env_.clock->WallNow() - *Date(), absl::Minutes(6));
}

TEST_F(CheckScheduleTest, OneThatRanBesideThatOfAnotherAuditorFollowsItsDate) {
  Begin();
  RunFor(kCheckTakes / 2);
  SetDate(absl::ZeroDuration());
  RunFor(absl::Minutes(5));
  EXPECT_EQ(begun_, 1);
  RunFor(kInterval);
  EXPECT_EQ(begun_, 2);
}

}  // namespace
}  // namespace stele::autorecovery
