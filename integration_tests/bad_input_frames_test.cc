// Frames that are none, against a live bookie. The numbers are the rows of the list of bad inputs
// that this project keeps itself to.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bookie/testing/wire_client.h"
#include "common/base/endian.h"
#include "common/wire/reply_codec.h"
#include "integration_tests/bad_input_test.h"
#include "simulation/sim_random.h"

namespace stele::integration {
namespace {

using bookie::LedgerRequests;
using real::Framed;
using real::RawPeer;
using wire::ProtocolVersion;
using wire::ReplyCode;
using namespace std::string_literals;

const LedgerRequests kRequests{LedgerId(1)};
constexpr uint32_t kFrameMaxBytes = 5 << 20;  // with its prefix

std::string Prefix(uint32_t length) {
  std::string bytes;
  AppendBigEndian(bytes, length);
  return bytes;
}

// ---- v2

std::string V2(uint8_t version, uint8_t opcode, uint16_t flags, std::string_view rest) {
  std::string frame;
  if (version == 0) {
    AppendBigEndian<uint32_t>(frame, opcode);
  } else {
    frame += {static_cast<char>(version), static_cast<char>(opcode)};
    AppendBigEndian(frame, flags);
  }
  frame += rest;
  return frame;
}

std::string Ids(int64_t ledger, int64_t entry) {
  std::string bytes;
  AppendBigEndian(bytes, ledger);
  AppendBigEndian(bytes, entry);
  return bytes;
}

int32_t V2CodeOf(const std::string& reply) {
  return reply.size() < 8 ? -1 : LoadBigEndian<int32_t>(reply.data() + 4);
}

// ---- v3, by hand: what no encoder makes

std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
  bytes += static_cast<char>(value);
  return bytes;
}
std::string Field(uint32_t number, std::string_view bytes) {
  return Varint(number << 3 | 2) + Varint(bytes.size()) + std::string(bytes);
}
std::string Field(uint32_t number, uint64_t value) { return Varint(number << 3) + Varint(value); }

constexpr uint32_t kHeader = 1;
constexpr uint32_t kReadMessage = 100;
constexpr uint32_t kAddMessage = 101;
constexpr uint32_t kContext = 200;

std::string V3(uint64_t operation, std::string_view rest) {
  return Field(kHeader, Field(1, 3) + Field(2, operation) + Field(3, uint64_t{7})) +
         std::string(rest);
}
const std::string kReadFields = Field(1, 1) + Field(2, uint64_t{0});

class BadInputFramesTest : public BadInputTest {
 protected:
  static void SetUpTestSuite() { StartBookie({.settings = {"stele.firstByteMs=2000"}}); }

  // What comes back: the code of the reply, or nullopt when the connection ends.
  static std::optional<ReplyCode> AnswerTo(const std::string& frame) {
    RawPeer peer(bookie_->endpoint());
    peer.Send(Framed(frame));
    // Another request behind it, to see whether the connection stays.
    peer.Send(FrameOf(kRequests.Read(0)));
    const std::string reply = ReceiveFrame(peer);
    if (reply.empty()) return std::nullopt;
    EXPECT_EQ(ReceiveReply(peer).code, ReplyCode::kNoSuchLedger);
    const auto decoded = wire::DecodeReply(ProtocolVersion::kV3, Buffer::CopyOf(reply));
    EXPECT_TRUE(decoded.ok()) << decoded.status();
    return decoded.ok() ? decoded->code : ReplyCode::kIoError;
  }
};

TEST_F(BadInputFramesTest, Row01LengthsAboveTheLimitClose) {
  for (const uint32_t length : {kFrameMaxBytes - 3, 0x7fffffffu, 0x80000000u, 0xffffffffu}) {
    ExpectClosed(Prefix(length), "frame_length");
  }
  // The largest length that is allowed waits for its bytes.
  RawPeer peer(bookie_->endpoint());
  peer.Send(Prefix(kFrameMaxBytes - 4));
  peer.Reset();
}

TEST_F(BadInputFramesTest, Row02LengthsOfNothingClose) {
  ExpectClosed(Prefix(0), "frame_length");
  ExpectClosed(Framed("\x02"), "short_v2_frame");
  ExpectClosed(Framed("\x02\x01\x00"s), "short_v2_frame");
}

TEST_F(BadInputFramesTest, Row03APeerThatSaysNothingAtFirstIsClosed) {
  ExpectClosed("", "deadline");
}

TEST_F(BadInputFramesTest, Row05OtherProtocolsClose) {
  for (const std::string& bytes :
       {"GET / HTTP/1.1\r\nHost: bookie\r\n\r\n"s, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"s,
        "SSH-2.0-OpenSSH_9.2\r\n"s}) {
    ExpectClosed(bytes, "frame_length");
  }
}

TEST_F(BadInputFramesTest, Row05RandomBytesAreAnsweredOrClose) {
  simulation::SimRandom random(20261127);
  for (int i = 0; i < 300; ++i) {
    std::string frame;
    // Some begin like frames, so that more than the first byte is looked at.
    if (i % 3 == 1) frame = "\x0a\x06\x08\x03\x10";
    if (i % 3 == 2) frame = "\x02";
    for (uint64_t left = 1 + random.Below(200); left > 0; --left) {
      frame += static_cast<char>(random.Below(256));
    }
    RawPeer peer(bookie_->endpoint());
    peer.Send(Framed(frame));
    peer.Finish();
    peer.ReceiveAll();
  }
}

TEST_F(BadInputFramesTest, Row06VersionsOfV2) {
  for (const int version : {0, 1, 2, 3, 127, 128, 255}) {
    RawPeer peer(bookie_->endpoint());
    peer.Send(Framed(V2(static_cast<uint8_t>(version), 2, 0, Ids(1, 0))));
    const std::string reply = ReceiveFrame(peer);
    EXPECT_EQ(V2CodeOf(reply), version <= 2 ? 1 : 103) << version;
    if (version > 2) Counts("unknown_v2_version");
  }
}

TEST_F(BadInputFramesTest, Row07UnknownOperations) {
  for (const int opcode : {0, 4, 5, 6, 8, 127, 255}) {
    ExpectClosed(Framed(V2(2, static_cast<uint8_t>(opcode), 0, Ids(1, 0))), "unknown_v2_opcode");
  }
  for (const uint64_t operation : {uint64_t{0}, uint64_t{3}, uint64_t{4}, uint64_t{12},
                                   uint64_t{99}, uint64_t{1} << 31, UINT64_MAX}) {
    EXPECT_EQ(AnswerTo(V3(operation, Field(kReadMessage, kReadFields))), ReplyCode::kBadRequest)
        << operation;
    Counts("unknown_v3_operation");
  }
}

TEST_F(BadInputFramesTest, Row08V2FramesOfAnotherSizeThanTheirType) {
  ExpectClosed(Framed(V2(2, 2, 0, Ids(1, 0).substr(1))), "short_v2_frame");
  const std::string batch = V2(2, 7, 0, Ids(1, 0) + std::string(20, '\1'));
  ExpectClosed(Framed(batch.substr(0, batch.size() - 1)), "short_v2_frame");
  // More than a READ has is ignored.
  RawPeer peer(bookie_->endpoint());
  peer.Send(Framed(V2(2, 2, 0, Ids(1, 0) + "x")));
  EXPECT_EQ(V2CodeOf(ReceiveFrame(peer)), 1);
}

TEST_F(BadInputFramesTest, Row09V2AddsThatAreTooShort) {
  const std::string key(20, 'k');
  for (const std::string& body : {""s, Ids(1, 0), Ids(1, 0) + "1234567"}) {
    RawPeer peer(bookie_->endpoint());
    peer.Send(Framed(V2(2, 1, 0, key + body)));
    EXPECT_EQ(V2CodeOf(ReceiveFrame(peer)), 100) << body.size();
    Counts("entry_too_short");
  }
  RawPeer peer(bookie_->endpoint());
  peer.Send(Framed(V2(2, 1, 0, key.substr(1))));
  EXPECT_EQ(V2CodeOf(ReceiveFrame(peer)), 100);
}

TEST_F(BadInputFramesTest, Row13MessagesThatAreNotWhatTheirOperationNeeds) {
  constexpr uint64_t kRead = 1;
  std::string many;
  for (int i = 0; i < 10'000; ++i) many += Field(1000 + i, "?");
  std::string nested;
  for (int i = 0; i < 100; ++i) nested = Field(5, nested);
  const std::string group = Varint(1000 << 3 | 3) + Field(1, 1) + Varint(1000 << 3 | 4);
  const std::string open_group = Varint(1000 << 3 | 3) + Field(1, 1);
  const std::string long_varint = Varint(1 << 3) + std::string(10, '\xff') + "\x01";
  const std::string packed = Field(1, Varint(1)) + Field(2, Varint(0));
  const std::string fixed = Varint(1 << 3 | 1) + std::string(8, '\1') + Field(2, uint64_t{0});

  struct Case {
    const char* name;
    std::string frame;
    std::optional<ReplyCode> answer;  // nullopt: closes
    const char* reason;               // nullptr: it is served
  };
  const Case cases[] = {
      {"no ids", V3(kRead, Field(kReadMessage, "")), ReplyCode::kBadRequest, "field_missing"},
      {"no entry", V3(kRead, Field(kReadMessage, Field(1, 1))), ReplyCode::kBadRequest,
       "field_missing"},
      {"fixed64 for a varint", V3(kRead, Field(kReadMessage, fixed)), ReplyCode::kBadRequest,
       "field_missing"},
      {"packed", V3(kRead, Field(kReadMessage, packed)), ReplyCode::kBadRequest, "field_missing"},
      {"a varint of 11 bytes", V3(kRead, Field(kReadMessage, long_varint)), ReplyCode::kBadRequest,
       "malformed_message"},
      {"a string for a message", V3(kRead, Field(kReadMessage, "no message")),
       ReplyCode::kBadRequest, "malformed_message"},
      {"10,000 unknown fields outside", V3(kRead, Field(kReadMessage, kReadFields) + many),
       ReplyCode::kNoSuchLedger, nullptr},
      {"10,000 unknown fields inside", V3(kRead, Field(kReadMessage, kReadFields + many)),
       ReplyCode::kNoSuchLedger, nullptr},
      {"100 messages in each other", V3(kRead, Field(kReadMessage, kReadFields) + nested),
       ReplyCode::kNoSuchLedger, nullptr},
      {"a group", V3(kRead, Field(kReadMessage, kReadFields) + group), ReplyCode::kNoSuchLedger,
       nullptr},
      {"a group without end", V3(kRead, Field(kReadMessage, kReadFields) + open_group),
       std::nullopt, "malformed_v3"},
      {"a length beyond the frame", V3(kRead, Varint(kReadMessage << 3 | 2) + Varint(1 << 20)),
       std::nullopt, "malformed_v3"},
      {"no header", "\x0a"s, std::nullopt, "malformed_v3"},
      {"an empty header", Field(kHeader, ""), std::nullopt, "malformed_v3"},
  };
  for (const Case& bad : cases) {
    SCOPED_TRACE(bad.name);
    EXPECT_EQ(AnswerTo(bad.frame), bad.answer);
    if (bad.reason != nullptr) Counts(bad.reason);
  }
}

TEST_F(BadInputFramesTest, Row14TheMessageNamedByTheOperationCounts) {
  for (const uint64_t operation : {1, 2, 6, 7, 8, 10, 11}) {
    EXPECT_EQ(AnswerTo(V3(operation, "")), ReplyCode::kBadRequest) << operation;
    Counts("message_missing");
  }
  EXPECT_EQ(AnswerTo(V3(1, Field(kAddMessage, "nonsense") + Field(kReadMessage, kReadFields))),
            ReplyCode::kNoSuchLedger);
  EXPECT_EQ(AnswerTo(V3(1, Field(kAddMessage, kReadFields))), ReplyCode::kBadRequest);
  Counts("message_missing");
}

TEST_F(BadInputFramesTest, Row15AMegabyteOfContextIsIgnoredAndNotLogged) {
  std::string context;
  while (context.size() < 1 << 20) {
    context += Field(kContext, Field(1, "key") + Field(2, "secret of somebody"));
  }
  EXPECT_EQ(AnswerTo(V3(1, Field(kReadMessage, kReadFields) + context)), ReplyCode::kNoSuchLedger);
  EXPECT_EQ(bookie_->log().find("secret"), std::string::npos);
}

// A bookie without authentication and TLS says so each time, and nothing changes.
TEST_F(BadInputFramesTest, Row28Row29HandshakesThatThereAreNot) {
  constexpr int kMany = 1'000;
  RawPeer peer(bookie_->endpoint());
  const auto send = [&](wire::Operation operation, wire::RequestBody body) {
    peer.Send(FrameOf({.header = {.operation = operation}, .body = std::move(body)}));
  };
  for (const size_t size : {size_t{0}, size_t{65'537}}) {
    send(wire::Operation::kAuth,
         wire::AuthRequest{.plugin_name = "nobody's", .payload = std::string(size, 'x')});
    EXPECT_EQ(ReceiveReply(peer).code, ReplyCode::kOk);
  }
  for (int i = 0; i < kMany; ++i) send(wire::Operation::kAuth, wire::AuthRequest{});
  for (int i = 0; i < kMany; ++i) EXPECT_EQ(ReceiveReply(peer).code, ReplyCode::kOk);
  send(wire::Operation::kStartTls, wire::StartTlsRequest{});
  send(wire::Operation::kStartTls, wire::StartTlsRequest{});
  peer.Send(FrameOf(kRequests.Read(0)));
  EXPECT_EQ(ReceiveReply(peer).code, ReplyCode::kBadRequest);
  EXPECT_EQ(ReceiveReply(peer).code, ReplyCode::kBadRequest);
  EXPECT_EQ(ReceiveReply(peer).code, ReplyCode::kNoSuchLedger);
}

}  // namespace
}  // namespace stele::integration
