// Peers that take too much or never finish, against a live bookie with short deadlines. The numbers
// are the rows of the list of bad inputs that this project keeps itself to.
#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include "bookie/testing/wire_client.h"
#include "common/base/endian.h"
#include "common/base/strings.h"
#include "common/real/process_limits.h"
#include "common/real/unique_fd.h"
#include "integration_tests/bad_input_test.h"

namespace stele::integration {
namespace {

using bookie::LedgerRequests;
using real::RawPeer;
using real::UniqueFd;
using wire::ProtocolVersion;
using wire::ReplyCode;

constexpr int kConnectionsMax = 1'500;
constexpr int kConnectionsPerAddressMax = 512;
constexpr int64_t kPartialFramesMaxBytes = 32 << 20;
constexpr uint32_t kFrameMaxBytes = 5 << 20;
constexpr int kPatienceMilliseconds = 30'000;

const LedgerRequests kRequests{LedgerId(1)};

std::string Prefix(uint32_t length) {
  std::string bytes;
  AppendBigEndian(bytes, length);
  return bytes;
}

// A non-blocking connection from 127.0.0.<address>; not open when the other side refuses at once.
UniqueFd ConnectFrom(int address, uint16_t port) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in from = {};
  from.sin_family = AF_INET;
  from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + static_cast<uint32_t>(address) - 1);
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&from), sizeof(from)), 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(port);
  if (connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof(to)) != 0) fd.Close();
  return fd;
}

// Has the other side closed it? Waits up to `milliseconds` to see.
bool IsClosed(int fd, int milliseconds) {
  pollfd waiting{.fd = fd, .events = POLLIN, .revents = 0};
  if (poll(&waiting, 1, milliseconds) <= 0) return false;
  char byte;
  return recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

class BadInputLimitsTest : public BadInputTest {
 protected:
  static void SetUpTestSuite() {
    real::RaiseDescriptorLimit();
    StartBookie({.settings = {"stele.frameDeadlineMs=1000", "stele.sendStallMs=1000",
                              "stele.firstByteMs=600000", "stele.acceptsPerSecondMax=1000000",
                              StrCat("stele.connectionsMax=", kConnectionsMax),
                              StrCat("stele.connectionsPerAddressMax=", kConnectionsPerAddressMax),
                              StrCat("stele.partialFramesMaxBytes=", kPartialFramesMaxBytes)}});
  }
};

TEST_F(BadInputLimitsTest, Row03AFrameThatIsNotFinishedInTimeCloses) {
  ExpectClosed(Prefix(kFrameMaxBytes - 4) + "\x02", "deadline");
}

TEST_F(BadInputLimitsTest, Row04AFrameThatDripsCloses) {
  const UniqueFd fd = ConnectFrom(2, bookie_->endpoint().port);
  const std::string bytes = Prefix(100'000) + std::string(10'000, 'x');
  bool closed = false;
  for (size_t i = 0; i < bytes.size() && !closed; ++i) {
    send(fd.get(), &bytes[i], 1, MSG_NOSIGNAL);
    closed = IsClosed(fd.get(), 20);
  }
  EXPECT_TRUE(closed);
  Counts("deadline");
}

TEST_F(BadInputLimitsTest, Row31PeersThatVanishLeaveNothing) {
  const int64_t before = bookie_->descriptors();
  ASSERT_EQ(CallOnce(bookie_->endpoint(), kRequests.Add(0, "zero")).code, ReplyCode::kOk);
  for (int i = 0; i < 100; ++i) {
    RawPeer in_frame(bookie_->endpoint());
    in_frame.Send(Prefix(1'000'000) + std::string(100'000, 'x'));
    in_frame.Reset();
    RawPeer in_reply(bookie_->endpoint());
    in_reply.Send(FrameOf(kRequests.Read(0)));
    in_reply.Reset();
  }
  ExpectDescriptorsFall(before);
}

// Once connections that were closed here are closed there too.
int64_t SettledDescriptors(const LiveBookie& bookie, HealthyWriter& writer) {
  int64_t descriptors = bookie.descriptors();
  for (int same = 0; same < 20; ++same) {
    EXPECT_TRUE(writer.AwaitProgress());
    const int64_t now = bookie.descriptors();
    if (now != descriptors) same = 0;
    descriptors = now;
  }
  return descriptors;
}

TEST_F(BadInputLimitsTest, Row32APeerThatTakesNoRepliesIsClosedAndCostsLittle) {
  const LedgerRequests large{LedgerId(2)};
  const std::string payload(1 << 20, 'x');
  for (int64_t entry = 0; entry < 4; ++entry) {
    ASSERT_EQ(CallOnce(bookie_->endpoint(), large.Add(entry, payload, entry - 1)).code,
              ReplyCode::kOk);
  }
  const int64_t without_it = SettledDescriptors(*bookie_, *writer_);
  RawPeer peer(bookie_->endpoint());
  std::string stream;
  for (int i = 0; i < 2'000; ++i) stream += FrameOf(large.Read(i % 4));
  peer.Send(stream);
  for (int i = 0; i < 1'000 && bookie_->descriptors() <= without_it; ++i) {
    EXPECT_TRUE(writer_->AwaitProgress());
  }
  EXPECT_GT(bookie_->descriptors(), without_it);
  int64_t most = 0;
  for (int i = 0; i < 1'000 && bookie_->descriptors() > without_it; ++i) {
    most = std::max(most, bookie_->resident_bytes());
    EXPECT_TRUE(writer_->AwaitProgress());
  }
  EXPECT_LT(most, kResidentMaxBytes);
  EXPECT_LT(peer.ReceiveAll().size(), size_t{64} << 20);
  Counts("deadline");
}

TEST_F(BadInputLimitsTest, Row33AHalfClosedPeerGetsItsReplies) {
  ASSERT_EQ(CallOnce(bookie_->endpoint(), kRequests.Add(0, "zero")).code, ReplyCode::kOk);
  RawPeer peer(bookie_->endpoint());
  std::string stream;
  for (int i = 0; i < 500; ++i) stream += FrameOf(kRequests.Read(0));
  peer.Send(stream);
  peer.Finish();
  EXPECT_EQ(real::SplitFrames(peer.ReceiveAll()).size(), 500u);
}

TEST_F(BadInputLimitsTest, Row34EntriesOfAnySize) {
  const LedgerRequests requests{LedgerId(3)};
  EXPECT_EQ(CallOnce(bookie_->endpoint(), requests.Add(0, "")).code, ReplyCode::kOk);
  // As much as a frame of v2 holds beside its fields.
  const size_t around = FrameOf(requests.Add(1, ""), ProtocolVersion::kV2).size();
  const std::string largest(kFrameMaxBytes - around, 'x');
  EXPECT_EQ(CallOnce(bookie_->endpoint(), requests.Add(1, largest, 0), ProtocolVersion::kV2).code,
            ReplyCode::kOk);
  EXPECT_EQ(CallOnce(bookie_->endpoint(), requests.Read(1), ProtocolVersion::kV2).code,
            ReplyCode::kOk);
  RawPeer peer(bookie_->endpoint());
  peer.Send(FrameOf(requests.Add(2, largest + "x", 1), ProtocolVersion::kV2).substr(0, 1'000));
  EXPECT_EQ(peer.ReceiveAll(), "");
  Counts("frame_length");
}

TEST_F(BadInputLimitsTest, Row41IdleConnectionsAreLimitedPerAddressAndInAll) {
  const int64_t before = bookie_->descriptors();
  std::vector<UniqueFd> strangers;
  const auto open_from = [&](int address) {
    for (int i = 0; i < kConnectionsPerAddressMax + 50; ++i) {
      UniqueFd fd = ConnectFrom(address, bookie_->endpoint().port);
      if (fd.IsOpen()) strangers.push_back(std::move(fd));
    }
  };
  const auto open_now = [&] {
    return std::count_if(strangers.begin(), strangers.end(),
                         [](const UniqueFd& fd) { return !IsClosed(fd.get(), 0); });
  };
  const auto await_at_most = [&](int64_t count) {
    for (int i = 0; i < 1'000 && open_now() > count; ++i) EXPECT_TRUE(writer_->AwaitProgress());
    EXPECT_LE(open_now(), count);
  };
  open_from(2);
  await_at_most(kConnectionsPerAddressMax);
  EXPECT_GE(open_now(), kConnectionsPerAddressMax - 1);
  Counts("too_many_connections_of_address", 50);
  for (int address = 3; address <= 5; ++address) open_from(address);
  await_at_most(kConnectionsMax);
  Counts("too_many_connections", 50);
  EXPECT_TRUE(writer_->AwaitProgress());
  strangers.clear();
  ExpectDescriptorsFall(before);
  EXPECT_EQ(CallOnce(bookie_->endpoint(), kRequests.Read(0)).code, ReplyCode::kOk);
}

TEST_F(BadInputLimitsTest, Row42FramesThatLackTheirLastByteShareABudget) {
  constexpr int kStrangers = 100;
  constexpr size_t kBodyBytes = kFrameMaxBytes - 4;
  std::vector<UniqueFd> strangers;
  for (int i = 0; i < kStrangers; ++i) {
    strangers.push_back(ConnectFrom(2, bookie_->endpoint().port));
    ASSERT_TRUE(strangers.back().IsOpen());
    const std::string prefix = Prefix(kBodyBytes);
    ASSERT_EQ(send(strangers.back().get(), prefix.data(), prefix.size(), 0), 4);
  }
  // Each sends what the bookie takes; those that it does not read any more wait.
  const std::string block(256 << 10, 'x');
  std::vector<size_t> left(kStrangers, kBodyBytes - 1);
  int64_t most = 0;
  for (bool some = true; some;) {
    some = false;
    for (int i = 0; i < kStrangers; ++i) {
      const ssize_t sent =
          send(strangers[static_cast<size_t>(i)].get(), block.data(),
               std::min(block.size(), left[static_cast<size_t>(i)]), MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent <= 0) continue;
      left[static_cast<size_t>(i)] -= static_cast<size_t>(sent);
      some = true;
    }
    EXPECT_TRUE(writer_->AwaitProgress());
    most = std::max(most, bookie_->resident_bytes());
  }
  EXPECT_LT(most, kResidentMaxBytes);
  for (const UniqueFd& fd : strangers) EXPECT_TRUE(IsClosed(fd.get(), kPatienceMilliseconds));
  Counts("deadline", kStrangers);
  // An entry of an honest peer comes through.
  const LedgerRequests requests{LedgerId(4)};
  EXPECT_EQ(CallOnce(bookie_->endpoint(), requests.Add(0, std::string(4 << 20, 'h'))).code,
            ReplyCode::kOk);
}

TEST_F(BadInputLimitsTest, Row43AStormOfConnectionsLeavesNothing) {
  const int64_t before = bookie_->descriptors();
  const size_t log_before = bookie_->log().size();
  for (int i = 0; i < 3'000; ++i) ConnectFrom(2, bookie_->endpoint().port);
  ExpectDescriptorsFall(before);
  EXPECT_LT(bookie_->log().size() - log_before, 4'096u);
}

// A bookie of its own, with few descriptors.
TEST(BadInputDescriptorsTest, Row46HalfOfTheDescriptorsAreForFiles) {
  LiveBookie bookie({.settings = {"logSizeLimit=1048576"}, .descriptors = 512});
  HealthyWriter writer(bookie.endpoint());
  RawPeer peer(bookie.endpoint());
  EXPECT_TRUE(writer.AwaitProgress());
  std::vector<UniqueFd> strangers;
  for (int i = 0; i < 700; ++i) {
    UniqueFd fd = ConnectFrom(2 + i % 3, bookie.endpoint().port);
    if (fd.IsOpen()) strangers.push_back(std::move(fd));
  }
  const auto closed = [](const UniqueFd& fd) { return IsClosed(fd.get(), 0); };
  for (int i = 0; i < 100 && std::count_if(strangers.begin(), strangers.end(), closed) < 400; ++i) {
    EXPECT_TRUE(writer.AwaitProgress());
  }
  EXPECT_GE(std::count_if(strangers.begin(), strangers.end(), closed), 400);
  // Files are still made: index files, entry logs.
  for (int64_t ledger = 10; ledger < 20; ++ledger) {
    const LedgerRequests requests{LedgerId(ledger)};
    peer.Send(FrameOf(requests.Add(0, std::string(300'000, 'x'))));
    EXPECT_EQ(ReceiveReply(peer).code, ReplyCode::kOk);
  }
  strangers.clear();
  EXPECT_TRUE(writer.AwaitProgress());
  EXPECT_EQ(bookie.Stop(), 0);
  EXPECT_GE(bookie.BadInputs("too_many_connections"), 400);
}

}  // namespace
}  // namespace stele::integration
