// The deadlines of a begun frame and of a peer that takes nothing, on real sockets and a clock that
// the test moves.
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/real/accept_rate.h"
#include "common/real/manual_clock.h"
#include "common/real/raw_peer.h"
#include "common/real/tcp_transport.h"

namespace stele::real {
namespace {

constexpr absl::Duration kDeadline = absl::Seconds(30);

class FrameDeadlineTest : public testing::Test, public AcceptHandler, public ConnectionHandler {
 protected:
  FrameDeadlineTest()
      : listener_(*transport_.Listen({"127.0.0.1", 0}, {.frame_deadline = kDeadline}, this)),
        peer_(listener_->endpoint()) {
    loop_.RunUntil([this] { return connection_ != nullptr; });
  }
  void OnAccept(std::unique_ptr<Connection> connection) override {
    connection_ = std::move(connection);
    connection_->Start(this);
  }
  void OnFrames(std::span<Buffer> frames) override {
    for (const Buffer& frame : frames) frames_.push_back(frame.ToString());
  }
  void OnPeerFinished() override { ADD_FAILURE(); }
  void OnClosed(absl::Status why) override { closed_ = CodeOf(why); }

  void WaitForFrames(size_t count) {
    loop_.RunUntil([&] { return frames_.size() >= count; });
  }
  // A frame is begun, and the link watches its deadline.
  void WaitForBegin() {
    loop_.RunUntil([this] { return clock_.pending() > 0; });
  }
  // Some turns, in which nothing needs to happen.
  void RunSomeTurns() {
    int turns = 0;
    loop_.RunUntil([&] {
      loop_.Post([] {});
      return ++turns > 10;
    });
  }

  EventLoop loop_;
  ManualClock clock_;
  TcpTransport transport_{&loop_, &clock_};
  std::unique_ptr<Listener> listener_;
  RawPeer peer_;
  std::unique_ptr<Connection> connection_;
  std::vector<std::string> frames_;
  ErrorCode closed_ = ErrorCode::kOk;
};

TEST_F(FrameDeadlineTest, ABegunFrameMustEndInTime) {
  peer_.Send(Framed("whole") + Framed("never whole").substr(0, 2));
  WaitForBegin();
  EXPECT_EQ(frames_, std::vector<std::string>{"whole"});
  clock_.Advance(kDeadline - absl::Nanoseconds(1));
  RunSomeTurns();
  EXPECT_EQ(closed_, ErrorCode::kOk);
  clock_.Advance(absl::Nanoseconds(1));
  loop_.RunUntil([this] { return closed_ != ErrorCode::kOk; });
  EXPECT_EQ(closed_, ErrorCode::kDeadline);
  EXPECT_EQ(peer_.ReceiveAll(), "");
}

TEST_F(FrameDeadlineTest, ATrickleOfBytesDoesNotExtendIt) {
  peer_.Send(Framed(std::string(90, 'x')).substr(0, 10));
  WaitForBegin();
  for (int i = 0; i < 9; ++i) {
    clock_.Advance(kDeadline / 10);
    peer_.Send("x");
    RunSomeTurns();
    EXPECT_EQ(closed_, ErrorCode::kOk);
  }
  clock_.Advance(kDeadline / 10);
  loop_.RunUntil([this] { return closed_ != ErrorCode::kOk; });
  EXPECT_EQ(closed_, ErrorCode::kDeadline);
}

TEST_F(FrameDeadlineTest, EachFrameHasItsOwn) {
  // Every read ends inside a frame.
  peer_.Send(std::string("\0\0\0\3a", 5));
  WaitForBegin();
  for (size_t i = 1; i <= 20; ++i) {
    clock_.Advance(kDeadline * 6 / 10);
    peer_.Send(std::string("bc\0\0\0\3a", 7));
    WaitForFrames(i);
    RunSomeTurns();
  }
  EXPECT_EQ(closed_, ErrorCode::kOk);
}

TEST_F(FrameDeadlineTest, AFrameThatBeginsAfterAPauseBetweenFramesHasAllItsTime) {
  peer_.Send(Framed("one").substr(0, 5));
  WaitForBegin();
  clock_.Advance(kDeadline * 9 / 10);
  peer_.Send(Framed("one").substr(5));
  WaitForFrames(1);
  peer_.Send(Framed("two").substr(0, 5));
  RunSomeTurns();
  clock_.Advance(kDeadline * 9 / 10);
  RunSomeTurns();
  EXPECT_EQ(closed_, ErrorCode::kOk);
}

TEST_F(FrameDeadlineTest, WhileReadingIsPausedNoneIsMissed) {
  peer_.Send(Framed("one") + Framed("two").substr(0, 5));
  WaitForBegin();
  connection_->PauseReading();
  peer_.Send(Framed("two").substr(5));
  clock_.Advance(kDeadline * 3);
  RunSomeTurns();
  connection_->ResumeReading();
  WaitForFrames(2);
  EXPECT_EQ(closed_, ErrorCode::kOk);
}

TEST_F(FrameDeadlineTest, AfterAPauseItBeginsAnew) {
  peer_.Send(Framed("one") + Framed("two").substr(0, 5));
  WaitForBegin();
  connection_->PauseReading();
  clock_.Advance(kDeadline * 3);
  RunSomeTurns();
  connection_->ResumeReading();
  clock_.Advance(kDeadline - absl::Nanoseconds(1));
  RunSomeTurns();
  EXPECT_EQ(closed_, ErrorCode::kOk);
  clock_.Advance(absl::Nanoseconds(1));
  loop_.RunUntil([this] { return closed_ != ErrorCode::kOk; });
  EXPECT_EQ(closed_, ErrorCode::kDeadline);
}

class FirstByteTest : public FrameDeadlineTest {
 protected:
  static constexpr absl::Duration kFirstByteMax = absl::Seconds(10);

  // The first connection was made without the limit.
  FirstByteTest() {
    transport_.SetLinkLimits({.first_byte_max = kFirstByteMax});
    connection_.reset();
    peer_ = RawPeer(listener_->endpoint());
    loop_.RunUntil([this] { return connection_ != nullptr; });
  }
};

TEST_F(FirstByteTest, APeerThatSaysNothingIsClosed) {
  clock_.Advance(kFirstByteMax - absl::Nanoseconds(1));
  RunSomeTurns();
  EXPECT_EQ(closed_, ErrorCode::kOk);
  clock_.Advance(absl::Nanoseconds(1));
  loop_.RunUntil([this] { return closed_ != ErrorCode::kOk; });
  EXPECT_EQ(closed_, ErrorCode::kDeadline);
}

TEST_F(FirstByteTest, APeerThatHasSpokenMayBeIdle) {
  peer_.Send(Framed("one"));
  WaitForFrames(1);
  clock_.Advance(kFirstByteMax * 100);
  RunSomeTurns();
  EXPECT_EQ(closed_, ErrorCode::kOk);
}

TEST_F(FirstByteTest, WhileReadingIsPausedNoneIsMissed) {
  connection_->PauseReading();
  peer_.Send(Framed("one"));
  clock_.Advance(kFirstByteMax);
  RunSomeTurns();
  connection_->ResumeReading();
  WaitForFrames(1);
  clock_.Advance(kFirstByteMax);
  RunSomeTurns();
  EXPECT_EQ(closed_, ErrorCode::kOk);
}

TEST(AcceptRateTest, TakesSoManyPerSecondAndTwiceAsManyAfterQuiet) {
  AcceptRate rate;
  MonotonicTime now = MonotonicTime::FromNanoseconds(1);
  const auto take_all = [&] {
    int taken = 0;
    for (; rate.MayTake(now, 500); ++taken) rate.Spend(now, 500);
    return taken;
  };
  EXPECT_EQ(take_all(), 1'000);
  now = now + absl::Milliseconds(100);
  EXPECT_EQ(take_all(), 50);
  now = now + absl::Hours(1);
  EXPECT_EQ(take_all(), 1'000);
  EXPECT_TRUE(rate.MayTake(now, 0));
}

class SendStallTest : public FrameDeadlineTest {
 protected:
  static constexpr absl::Duration kStallMax = absl::Seconds(10);
  static constexpr size_t kMoreThanSocketsTake = 32 << 20;

  SendStallTest() { transport_.SetLinkLimits({.send_stall_max = kStallMax}); }

  // More than fits between the two; the peer does not read.
  void SendUntilBlocked() {
    connection_->Send("", MakeBody());
    WaitForBegin();
    RunSomeTurns();
    ASSERT_GT(connection_->queued_bytes(), 0u);
  }
  // The peer reads until nothing waits any more.
  void TakeAll() {
    while (connection_->queued_bytes() > 0) {
      peer_.Receive(256 << 10);
      RunSomeTurns();
    }
  }

 private:
  static Buffer MakeBody() { return Buffer::FromString(std::string(kMoreThanSocketsTake, 'x')); }
};

TEST_F(SendStallTest, APeerThatTakesNothingIsClosed) {
  SendUntilBlocked();
  clock_.Advance(kStallMax - absl::Nanoseconds(1));
  RunSomeTurns();
  EXPECT_EQ(closed_, ErrorCode::kOk);
  clock_.Advance(absl::Nanoseconds(1));
  loop_.RunUntil([this] { return closed_ != ErrorCode::kOk; });
  EXPECT_EQ(closed_, ErrorCode::kDeadline);
}

TEST_F(SendStallTest, APeerThatTakesSomethingStays) {
  SendUntilBlocked();
  for (int i = 0; i < 5; ++i) {
    clock_.Advance(kStallMax * 6 / 10);
    const size_t before = connection_->queued_bytes();
    while (connection_->queued_bytes() == before) {
      peer_.Receive(256 << 10);
      RunSomeTurns();
    }
  }
  EXPECT_EQ(closed_, ErrorCode::kOk);
}

TEST_F(SendStallTest, EachStallHasAllItsTime) {
  SendUntilBlocked();
  TakeAll();
  clock_.Advance(kStallMax * 9 / 10);
  SendUntilBlocked();
  clock_.Advance(kStallMax * 9 / 10);
  RunSomeTurns();
  EXPECT_EQ(closed_, ErrorCode::kOk);
  clock_.Advance(kStallMax / 10);
  loop_.RunUntil([this] { return closed_ != ErrorCode::kOk; });
  EXPECT_EQ(closed_, ErrorCode::kDeadline);
}

}  // namespace
}  // namespace stele::real
