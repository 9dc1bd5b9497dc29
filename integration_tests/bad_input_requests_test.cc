// Requests that make no sense, or ask for too much, against a live bookie. The numbers are the rows
// of the list of bad inputs that this project keeps itself to.
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "bookie/testing/wire_client.h"
#include "common/base/strings.h"
#include "common/wire/entry_packet.h"
#include "common/wire/reply_codec.h"
#include "integration_tests/bad_input_test.h"

namespace stele::integration {
namespace {

using bookie::LedgerRequests;
using real::Framed;
using real::RawPeer;
using wire::ProtocolVersion;
using wire::ReplyCode;
using namespace std::string_literals;

constexpr int kLongPollsMax = 100;
constexpr ProtocolVersion kVersions[] = {ProtocolVersion::kV2, ProtocolVersion::kV3};
constexpr int64_t kFrameMaxBytes = 5 << 20;

class BadInputRequestsTest : public BadInputTest {
 protected:
  static void SetUpTestSuite() {
    StartBookie({.settings = {StrCat("stele.longPollsMax=", kLongPollsMax)}});
  }
  // A ledger that no other test has.
  static LedgerRequests NewLedger() { return LedgerRequests{LedgerId(++last_ledger_)}; }

  static wire::Reply Call(wire::Request request, ProtocolVersion version = ProtocolVersion::kV3) {
    return CallOnce(bookie_->endpoint(), std::move(request), version);
  }
  static ReplyCode CodeOf(wire::Request request, ProtocolVersion version = ProtocolVersion::kV3) {
    return Call(std::move(request), version).code;
  }
  // Of a request that is counted as bad input.
  static void ExpectBad(wire::Request request, ProtocolVersion version, const std::string& reason) {
    EXPECT_EQ(CodeOf(std::move(request), version), ReplyCode::kBadRequest) << reason;
    Counts(reason);
  }
  static std::string Read(const LedgerRequests& requests, int64_t entry) {
    const wire::Reply reply = Call(requests.Read(entry));
    const auto* read = std::get_if<wire::ReadReply>(&reply.body);
    return reply.code == ReplyCode::kOk && read != nullptr ? requests.PayloadOf(read->body, entry)
                                                           : std::string(NameOf(reply.code));
  }
  // A v3 request with more fields for the message of its operation: the last of a kind counts.
  static ReplyCode CodeWith(wire::Request request, std::string_view message_tag,
                            std::string_view fields) {
    std::string frame = FrameOf(std::move(request)).substr(4);
    frame += message_tag;
    for (size_t size = fields.size();; size >>= 7) {
      frame += static_cast<char>(size < 0x80 ? size : size | 0x80);
      if (size < 0x80) break;
    }
    frame += fields;
    RawPeer peer(bookie_->endpoint());
    peer.Send(Framed(frame));
    return ReceiveReply(peer).code;
  }

 private:
  static inline int64_t last_ledger_ = 100;
};

constexpr std::string_view kReadMessage = "\xa2\x06";  // field 100
constexpr std::string_view kAddMessage = "\xaa\x06";   // field 101

TEST_F(BadInputRequestsTest, Row11LedgerIds) {
  for (const ProtocolVersion version : kVersions) {
    for (const int64_t ledger : {int64_t{-1}, int64_t{-0x1000}, INT64_MIN}) {
      const LedgerRequests requests{LedgerId(ledger)};
      ExpectBad(requests.Add(0, "x"), version, "negative_ledger_id");
      ExpectBad(requests.Read(0), version, "negative_ledger_id");
      ExpectBad(requests.FencingRead(0), version, "negative_ledger_id");
    }
  }
  const LedgerRequests largest{LedgerId(INT64_MAX)};
  EXPECT_EQ(CodeOf(largest.Add(0, "largest")), ReplyCode::kOk);
  EXPECT_EQ(Read(largest, 0), "largest");
}

TEST_F(BadInputRequestsTest, Row12IdsOutsideAndInsideTheBodyDiffer) {
  const LedgerRequests requests = NewLedger();
  wire::Request other_ledger = requests.Add(0, "x");
  std::get<wire::AddRequest>(other_ledger.body).ledger = LedgerId(4);
  ExpectBad(other_ledger, ProtocolVersion::kV3, "ids_differ");
  wire::Request other_entry = requests.Add(0, "x");
  std::get<wire::AddRequest>(other_entry.body).entry = EntryId(4);
  ExpectBad(other_entry, ProtocolVersion::kV3, "ids_differ");
  EXPECT_EQ(Read(requests, 0), NameOf(ReplyCode::kNoSuchLedger));
}

TEST_F(BadInputRequestsTest, Row16UnknownFlags) {
  const LedgerRequests requests = NewLedger();
  const auto add = [&] { return requests.Add(0, "x"); };
  EXPECT_EQ(CodeWith(add(), kAddMessage, "\x28\x02"), ReplyCode::kBadRequest);      // writeFlags 2
  EXPECT_EQ(CodeWith(add(), kAddMessage, "\xa0\x06\x05"), ReplyCode::kBadRequest);  // flag 5
  Counts("unknown_write_flags");
  Counts("unknown_add_flags");
  EXPECT_EQ(Read(requests, 0), NameOf(ReplyCode::kNoSuchLedger));
  EXPECT_EQ(CodeOf(add()), ReplyCode::kOk);
  EXPECT_EQ(CodeWith(requests.Read(0), kReadMessage, "\xa0\x06\x63"), ReplyCode::kOk);
  wire::Request urgent = requests.Read(0);
  urgent.header.v3_priority = UINT32_MAX;
  EXPECT_EQ(CodeOf(urgent), ReplyCode::kOk);
}

TEST_F(BadInputRequestsTest, Row17KeysOfAnotherSize) {
  const LedgerRequests requests = NewLedger();
  const auto with_key = [](size_t size) {
    std::string field = "\x1a";
    for (size_t left = size;; left >>= 7) {
      field += static_cast<char>(left < 0x80 ? left : left | 0x80);
      if (left < 0x80) break;
    }
    return field + std::string(size, 'k');
  };
  for (const size_t size : {0, 19, 21, 1 << 20}) {
    EXPECT_EQ(CodeWith(requests.Add(0, "x"), kAddMessage, with_key(size)), ReplyCode::kBadRequest);
    EXPECT_EQ(CodeWith(requests.FencingRead(0), kReadMessage, with_key(size)),
              ReplyCode::kBadRequest);
    Counts("bad_key_size", 2);
  }
  EXPECT_EQ(Read(requests, 0), NameOf(ReplyCode::kNoSuchLedger));
}

TEST_F(BadInputRequestsTest, Row18AWrongKeyChangesNothing) {
  const LedgerRequests requests = NewLedger();
  const LedgerRequests wrong{requests.ledger, "another password"};
  ASSERT_EQ(CodeOf(requests.Add(0, "zero")), ReplyCode::kOk);
  for (const ProtocolVersion version : kVersions) {
    EXPECT_EQ(CodeOf(wrong.Add(1, "x"), version), ReplyCode::kUnauthorized);
    EXPECT_EQ(CodeOf(wrong.RecoveryAdd(1, "x"), version), ReplyCode::kUnauthorized);
    EXPECT_EQ(CodeOf(wrong.FencingRead(0), version), ReplyCode::kUnauthorized);
  }
  EXPECT_EQ(CodeOf(wrong.WriteLac(7)), ReplyCode::kUnauthorized);
  EXPECT_EQ(CodeOf(requests.Add(1, "not fenced", 0)), ReplyCode::kOk);
  EXPECT_EQ(std::get<wire::ReadReply>(Call(requests.Read(1)).body).max_lac, EntryId(0));
}

TEST_F(BadInputRequestsTest, Row20TransactionIds) {
  const LedgerRequests requests = NewLedger();
  RawPeer peer(bookie_->endpoint());
  const std::vector<uint64_t> ids = {7, 7, 0, UINT64_MAX, 7};
  std::string stream;
  for (const uint64_t id : ids) stream += FrameOf(requests.Read(0), ProtocolVersion::kV3, id);
  peer.Send(stream);
  std::multiset<uint64_t> answered;
  for (size_t i = 0; i < ids.size(); ++i) answered.insert(ReceiveReply(peer).txn_id);
  EXPECT_EQ(answered, std::multiset<uint64_t>(ids.begin(), ids.end()));
}

TEST_F(BadInputRequestsTest, Row21EqualReadsOfV2GetAnAnswerEach) {
  const LedgerRequests requests = NewLedger();
  ASSERT_EQ(CodeOf(requests.Add(0, "zero")), ReplyCode::kOk);
  RawPeer peer(bookie_->endpoint());
  std::string stream;
  for (int i = 0; i < 100; ++i) {
    stream += FrameOf(requests.Read(0), ProtocolVersion::kV2);
    if (i % 10 == 0) stream += FrameOf(requests.FencingRead(-1), ProtocolVersion::kV2);
    if (i % 10 == 5) stream += FrameOf(requests.Read(-1), ProtocolVersion::kV2);
  }
  peer.Send(stream);
  int named = 0, last = 0;
  for (int i = 0; i < 120; ++i) {
    const wire::Reply reply = ReceiveReply(peer, ProtocolVersion::kV2);
    EXPECT_EQ(reply.code, ReplyCode::kOk);
    const auto& read = std::get<wire::ReadReply>(reply.body);
    EXPECT_EQ(requests.PayloadOf(read.body, 0), "zero");
    ++(read.entry.IsNone() ? last : named);
  }
  EXPECT_EQ(named, 100);
  EXPECT_EQ(last, 20);
}

TEST_F(BadInputRequestsTest, Row22TheFirstBytesOfAnEntryStay) {
  const LedgerRequests requests = NewLedger();
  for (const ProtocolVersion version : kVersions) {
    EXPECT_EQ(CodeOf(requests.Add(0, "first"), version), ReplyCode::kOk);
    EXPECT_EQ(CodeOf(requests.Add(0, "other"), version), ReplyCode::kBadRequest);
    EXPECT_EQ(CodeOf(requests.RecoveryAdd(0, "first", 9), version), ReplyCode::kOk);
  }
  EXPECT_EQ(Read(requests, 0), "first");
}

TEST_F(BadInputRequestsTest, Row23NothingIsAcknowledgedBehindAFence) {
  for (const ProtocolVersion version : kVersions) {
    const LedgerRequests requests = NewLedger();
    RawPeer peer(bookie_->endpoint());
    peer.Send(FrameOf(requests.Add(0, "zero"), version, 1) +
              FrameOf(requests.FencingRead(0), version, 2) +
              FrameOf(requests.Add(1, "late"), version, 3));
    bool fenced = false;
    for (int i = 0; i < 3; ++i) {
      const wire::Reply reply = ReceiveReply(peer, version);
      if (reply.operation == wire::Operation::kRead) {
        fenced = true;
        continue;
      }
      const bool late = std::get<wire::AddReply>(reply.body).entry == EntryId(1);
      EXPECT_EQ(reply.code, late ? ReplyCode::kFenced : ReplyCode::kOk);
    }
    EXPECT_TRUE(fenced);
    EXPECT_EQ(Read(requests, 1), NameOf(ReplyCode::kNoSuchEntry));
  }
}

TEST_F(BadInputRequestsTest, Row24BatchReadsAreClamped) {
  const LedgerRequests requests = NewLedger();
  const std::string payload(1 << 20, 'x');
  for (int64_t entry = 0; entry < 8; ++entry) {
    ASSERT_EQ(CodeOf(requests.Add(entry, payload, entry - 1)), ReplyCode::kOk);
  }
  for (const int32_t count : {-1, 0, INT32_MAX}) {
    for (const int64_t size : {int64_t{-1}, int64_t{0}, INT64_MAX}) {
      const wire::Reply reply = Call(requests.BatchRead(0, count, size), ProtocolVersion::kV2);
      ASSERT_EQ(reply.code, ReplyCode::kOk);
      const auto& batch = std::get<wire::BatchReadReply>(reply.body);
      int64_t bytes = 0;
      for (const Buffer& body : batch.bodies) bytes += static_cast<int64_t>(body.size());
      EXPECT_GE(batch.bodies.size(), 1u);
      EXPECT_LE(bytes, kFrameMaxBytes);
    }
  }
  EXPECT_EQ(CodeOf(requests.BatchRead(-1, 10, 100), ProtocolVersion::kV2), ReplyCode::kOk);
  ExpectBad(requests.BatchRead(-2, 10, 100), ProtocolVersion::kV2, "negative_entry_id");
}

TEST_F(BadInputRequestsTest, Row25LongPollsAreClampedAndTheirNumberIsLimited) {
  const LedgerRequests requests = NewLedger();
  ASSERT_EQ(CodeOf(requests.Add(0, "zero")), ReplyCode::kOk);
  ASSERT_EQ(CodeOf(requests.Add(1, "one", 0)), ReplyCode::kOk);
  EXPECT_EQ(CodeOf(requests.LongPoll(5, -1)), ReplyCode::kOk);
  EXPECT_EQ(CodeOf(requests.LongPoll(INT64_MAX, 0)), ReplyCode::kOk);
  EXPECT_EQ(CodeOf(requests.LongPoll(-2, INT64_MAX)), ReplyCode::kOk);
  {
    RawPeer peer(bookie_->endpoint());
    std::string stream;
    for (int i = 0; i < kLongPollsMax + 1; ++i) stream += FrameOf(requests.LongPoll(5, INT64_MAX));
    peer.Send(stream);
    // The others wait: this is the one too many.
    EXPECT_EQ(ReceiveReply(peer).code, ReplyCode::kTooManyRequests);
    EXPECT_EQ(CodeOf(requests.LongPoll(5, 1)), ReplyCode::kTooManyRequests);
  }
  // Their connection is closed, so they are over; the bookie hears of it a moment later.
  for (int i = 0; i < 1'000 && CodeOf(requests.LongPoll(5, 0)) != ReplyCode::kOk; ++i) {
  }
  EXPECT_EQ(CodeOf(requests.LongPoll(5, 0)), ReplyCode::kOk);
}

TEST_F(BadInputRequestsTest, Row26ExplicitLacs) {
  const LedgerRequests requests = NewLedger();
  ASSERT_EQ(CodeOf(requests.Add(0, "zero")), ReplyCode::kOk);
  EXPECT_EQ(CodeOf(requests.WriteLac(0)), ReplyCode::kOk);
  // Going back is ignored.
  EXPECT_EQ(CodeOf(requests.WriteLac(-1)), ReplyCode::kOk);
  const wire::Reply lac = Call(requests.ReadLac());
  ASSERT_TRUE(std::get<wire::ReadLacReply>(lac.body).lac_body.has_value());
  EXPECT_EQ(wire::ParseExplicitLac(std::get<wire::ReadLacReply>(lac.body).lac_body->view())->lac,
            EntryId(0));
  for (const size_t size : {size_t{0}, size_t{15}, size_t{17}, size_t{1} << 20}) {
    wire::Request bad = requests.WriteLac(0);
    std::get<wire::WriteLacRequest>(bad.body).body = Buffer::FromString(std::string(size, '\0'));
    ExpectBad(bad, ProtocolVersion::kV3, "bad_explicit_lac_size");
  }
}

// A bookie of its own: it is killed.
TEST(BadInputIdsTest, Row10EntriesBelowZeroAreNotJournalled) {
  LiveBookie bookie({});
  const LedgerRequests requests{LedgerId(1)};
  for (const ProtocolVersion version : kVersions) {
    for (const int64_t entry : {int64_t{-1}, int64_t{-2}, int64_t{-0x1000}, int64_t{-0x2000},
                                int64_t{-0x4000}, int64_t{-0x8000}, INT64_MIN}) {
      EXPECT_EQ(CallOnce(bookie.endpoint(), requests.Add(entry, "x"), version).code,
                ReplyCode::kBadRequest);
      EXPECT_EQ(CallOnce(bookie.endpoint(), requests.RecoveryAdd(entry, "x"), version).code,
                ReplyCode::kBadRequest);
    }
  }
  bookie.Kill();
  ASSERT_TRUE(bookie.Start()) << bookie.log();
  EXPECT_NE(bookie.log().find("records=0 bytes=0 torn_tails=0 skipped_records=0"),
            std::string::npos)
      << bookie.log();
  EXPECT_EQ(CallOnce(bookie.endpoint(), requests.Add(0, "x")).code, ReplyCode::kOk);
  EXPECT_EQ(bookie.Stop(), 0);
}

}  // namespace
}  // namespace stele::integration
