#include "client/internal/wire_bookie_client.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "client/testing/fake_bookie.h"
#include "common/wire/entry_packet.h"
#include "common/wire/reply_codec.h"
#include "simulation/sim_tls.h"
#include "simulation/world.h"

namespace stele::client {
namespace {

constexpr LedgerId kLedger(7);

Task<absl::StatusOr<Endpoint>> AddressOf(BookieId bookie) {
  co_return Endpoint{bookie.value(), 3181};
}

// Writes down what adds come to: "3:Ok".
class Sink : public AddSink {
 public:
  void OnAddReply(const AddTag& tag, ErrorCode code) override {
    replies.push_back(std::to_string(tag.entry.value()) + ":" + std::string(NameOf(code)));
  }
  void OnRoom() override { ++rooms; }
  std::vector<std::string> replies;
  int rooms = 0;
};
using Replies = std::vector<std::string>;

class WireBookieClientTest : public testing::Test {
 protected:
  WireBookieClientTest() : world_({.seed = 5}) {
    bookie_process_ = world_.AddProcess(world_.AddMachine("b1"), "b1");
    bookie_ = std::make_unique<FakeBookie>(world_.env(bookie_process_), Endpoint{"b1", 3181});
    process_ = world_.AddProcess(world_.AddMachine("client"), "client");
    Connect({});
  }

  void Connect(WireOptions options) {
    client_ = std::make_unique<WireBookieClient>(
        world_.env(process_), options,
        BookieAddresses{.resolve = AddressOf,
                        .on_unreachable = [this](const BookieId&) { ++unreachable_; }});
    to_ = client_->Get(BookieId("b1"));
  }

  enum class Kind { kNormal, kRecovery };
  void Add(int64_t entry, Sink* sink, Kind kind = Kind::kNormal,
           std::string_view payload = "hello") {
    const wire::EntryHeader header{kLedger, EntryId(entry), EntryId(entry - 1), 5};
    const OutgoingAdd add({.ledger = kLedger,
                           .entry = EntryId(entry),
                           .master_key = wire::MakeMasterKey(""),
                           .recovery = kind == Kind::kRecovery,
                           .head = wire::EntryHead(header, payload, digester_),
                           .payload = Buffer::Borrow(payload)});
    to_->Add(add, sink, {.entry = EntryId(entry)});
  }
  // `size_bytes` of payload. Good as long as the test.
  void AddLarge(int64_t entry, size_t size_bytes, Sink* sink, Kind kind = Kind::kNormal) {
    Add(entry, sink, kind, std::string_view(zeroes_).substr(0, size_bytes));
  }
  void Call(wire::RequestBody request, CallOptions options = {}) {
    to_->Call(std::move(request), options,
              [this](Answer answer) { answers_.push_back(std::string(NameOf(answer.code))); });
  }
  void Read(int64_t entry) { Call(wire::ReadRequest{.ledger = kLedger, .entry = EntryId(entry)}); }
  void RunFor(absl::Duration duration) { ASSERT_TRUE(world_.scheduler().RunFor(duration).ok()); }
  std::vector<std::string> TakeAnswers() { return std::exchange(answers_, {}); }
  size_t CountVersion(wire::ProtocolVersion version) {
    return bookie_->CountRequests(
        [&](const wire::Request& request) { return request.header.version == version; });
  }
  static FakeBookie::Action Ignore(const wire::Request&) { return FakeBookie::kIgnore; }

  simulation::World world_;
  simulation::SimProcess* bookie_process_;
  simulation::SimProcess* process_;
  std::unique_ptr<FakeBookie> bookie_;
  std::unique_ptr<WireBookieClient> client_;
  Bookie* to_ = nullptr;
  int unreachable_ = 0;
  std::vector<std::string> answers_;
  wire::Digester digester_{DigestType::kCrc32c};
  const std::string zeroes_ = std::string(3 * kLargeAddBytes, '\0');
};

TEST_F(WireBookieClientTest, AddsAndPlainReadsGoByV2WhatIsAVoteByV3) {
  Sink sink;
  Add(0, &sink);
  Add(1, &sink);
  EXPECT_TRUE(sink.replies.empty());
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(sink.replies, (Replies{"0:Ok", "1:Ok"}));
  Read(1);
  Read(9);
  Call(wire::BatchReadRequest{
      .ledger = kLedger, .first_entry = EntryId(0), .count_max = 2, .size_max_bytes = 1000});
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(TakeAnswers(), (std::vector<std::string>{"Ok", "NoSuchEntry", "Ok"}));
  EXPECT_EQ(CountVersion(wire::ProtocolVersion::kV3), 0u);
  Add(2, &sink, Kind::kRecovery);
  Call(wire::ReadRequest{
      .ledger = kLedger, .entry = EntryId(0), .fence_key = wire::MakeMasterKey("")});
  Call(wire::ReadRequest{.ledger = kLedger, .entry = kNoEntry});
  Call(wire::ReadLacRequest{.ledger = kLedger});
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(sink.replies.back(), "2:Ok");
  EXPECT_EQ(TakeAnswers(), (std::vector<std::string>{"Ok", "Ok", "Ok"}));
  EXPECT_EQ(CountVersion(wire::ProtocolVersion::kV3), 4u);
}

TEST_F(WireBookieClientTest, ASecondAddOfAnEntryCannotTakeTheFirstOnesReply) {
  Sink first;
  Sink second;
  bookie_->SetScript([](const wire::Request& request) {
    return request.header.version == wire::ProtocolVersion::kV2
               ? FakeBookie::Refuse(wire::ReplyCode::kFenced)
               : FakeBookie::kServe;
  });
  Add(0, &first);
  Add(0, &second);
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(first.replies, (Replies{"0:LedgerFenced"}));
  EXPECT_EQ(second.replies, (Replies{"0:Ok"}));
}

TEST_F(WireBookieClientTest, EveryRequestIsAnsweredAtItsDeadline) {
  Connect({.lane = {.add_timeout = absl::Seconds(2),
                    .read_timeout = absl::Seconds(1),
                    .silence_max = absl::Minutes(1)}});
  bookie_->SetScript(Ignore);
  Sink sink;
  Add(0, &sink);
  Read(0);
  Call(wire::ReadLacRequest{.ledger = kLedger});
  Call(wire::ReadLacRequest{.ledger = kLedger}, {.timeout = absl::Seconds(3)});
  RunFor(absl::Milliseconds(500));
  Add(1, &sink);
  RunFor(absl::Milliseconds(600));
  EXPECT_EQ(TakeAnswers(), (std::vector<std::string>{"Deadline", "Deadline"}));
  EXPECT_TRUE(sink.replies.empty());
  RunFor(absl::Seconds(1));
  EXPECT_EQ(sink.replies, (Replies{"0:Deadline"}));
  RunFor(absl::Seconds(1));
  EXPECT_EQ(sink.replies, (Replies{"0:Deadline", "1:Deadline"}));
  EXPECT_EQ(TakeAnswers(), (std::vector<std::string>{"Deadline"}));
  // What comes later answers nobody, and the next request is as good as any.
  bookie_->SetScript(nullptr);
  Add(2, &sink);
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(sink.replies.back(), "2:Ok");
}

TEST_F(WireBookieClientTest, ALostConnectionFailsWhatIsOutstandingAndTheNextRequestReconnects) {
  bookie_->SetScript([](const wire::Request& request) {
    return IsAddOf(request, EntryId(2)) ? FakeBookie::kHangUp : FakeBookie::kIgnore;
  });
  Sink sink;
  for (int64_t entry = 0; entry < 3; ++entry) Add(entry, &sink);
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(sink.replies, (Replies{"0:ConnectionLost", "1:ConnectionLost", "2:ConnectionLost"}));
  bookie_->SetScript(nullptr);
  Add(3, &sink);
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(sink.replies.back(), "3:Ok");
}

FakeBookie::Action HangUpOnMoreThan2MiB(const wire::Request& request) {
  const auto* add = std::get_if<wire::AddRequest>(&request.body);
  return add != nullptr && add->body.size() > 2 * kLargeAddBytes ? FakeBookie::kHangUp
                                                                 : FakeBookie::kServe;
}

TEST_F(WireBookieClientTest, AnAddThatIsTooLargeForTheBookieIsToldFromALostConnection) {
  bookie_->SetScript(HangUpOnMoreThan2MiB);
  for (Kind kind : {Kind::kNormal, Kind::kRecovery}) {
    Sink sink;
    Add(0, &sink);
    AddLarge(1, 2 * kLargeAddBytes + 100, &sink, kind);
    AddLarge(2, kLargeAddBytes, &sink, kind);
    Add(3, &sink);
    RunFor(absl::Seconds(1));
    std::sort(sink.replies.begin(), sink.replies.end());
    EXPECT_EQ(sink.replies, (Replies{"0:Ok", "1:InvalidArgument", "2:Ok", "3:Ok"}));
  }
}

TEST_F(WireBookieClientTest, ALargeAddOutlivesOneLostConnection) {
  int hang_ups = 0;
  bookie_->SetScript([&hang_ups](const wire::Request& request) {
    return IsAddOf(request, EntryId(0)) && hang_ups++ == 0 ? FakeBookie::kHangUp
                                                           : FakeBookie::kServe;
  });
  Sink sink;
  AddLarge(0, kLargeAddBytes, &sink);
  RunFor(absl::Seconds(1));
  EXPECT_EQ(sink.replies, (Replies{"0:Ok"}));
  EXPECT_EQ(hang_ups, 2);
}

TEST_F(WireBookieClientTest, ALargeAddToADeadBookieIsALostConnection) {
  bookie_->SetScript(Ignore);
  Sink sink;
  Sink dropped;
  AddLarge(0, kLargeAddBytes, &sink);
  AddLarge(1, kLargeAddBytes, &dropped);
  RunFor(absl::Milliseconds(100));
  client_->DropSink(&dropped);
  bookie_.reset();
  RunFor(absl::Seconds(1));
  EXPECT_EQ(sink.replies, (Replies{"0:ConnectionLost"}));
  EXPECT_TRUE(dropped.replies.empty());
}

TEST_F(WireBookieClientTest, AnUnreachableBookieFailsFastAndIsTriedAgainLater) {
  bookie_.reset();
  Sink sink;
  Add(0, &sink);
  RunFor(absl::Milliseconds(10));
  EXPECT_EQ(sink.replies, (Replies{"0:ConnectionLost"}));
  EXPECT_EQ(unreachable_, 1);
  Add(1, &sink);
  Add(2, &sink);
  EXPECT_EQ(sink.replies.size(), 1u);  // never from within the call
  RunFor(absl::Milliseconds(1));
  EXPECT_EQ(sink.replies.size(), 3u);
  EXPECT_EQ(unreachable_, 1);  // no new attempt so soon
  bookie_ = std::make_unique<FakeBookie>(world_.env(bookie_process_), Endpoint{"b1", 3181});
  RunFor(absl::Seconds(1));
  Add(3, &sink);
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(sink.replies.back(), "3:Ok");
}

TEST_F(WireBookieClientTest, BytesThatAreNoReplyEndTheConnection) {
  for (bool v3 : {false, true}) {
    bookie_->SetScript([](const wire::Request&) { return FakeBookie::kBabble; });
    if (v3) {
      Call(wire::ReadLacRequest{.ledger = kLedger});
    } else {
      Read(0);
    }
    RunFor(absl::Milliseconds(100));
    EXPECT_EQ(TakeAnswers(), (std::vector<std::string>{"ConnectionLost"}));
  }
}

// What Apache's bookies have been seen to send, and what their protocol allows.
TEST_F(WireBookieClientTest, AReplyThatNobodyAskedForIsPassedOver) {
  const LedgerId other(1'000);
  std::vector<wire::OutgoingFrame> strays;
  for (const uint8_t version : {0, 1, 2}) {
    const wire::RequestHeader v2{.version = wire::ProtocolVersion::kV2, .v2_version = version};
    strays.push_back(wire::EncodeAddReply(v2, wire::ReplyCode::kFenced, kLedger, EntryId(77)));
    wire::RequestHeader read = v2;
    read.operation = wire::Operation::kRead;
    for (const wire::ReplyCode code : {wire::ReplyCode::kOk, wire::ReplyCode::kNoSuchEntry}) {
      strays.push_back(wire::EncodeReply(
          read, code, wire::ReadReply{other, EntryId(0), Buffer::Borrow("no packet")}));
    }
    read.operation = wire::Operation::kBatchRead;
    for (const wire::ReplyCode code : {wire::ReplyCode::kOk, wire::ReplyCode::kNoSuchLedger}) {
      // The number of the plain read below, and of nothing.
      for (const int64_t number : {0, 1'000}) {
        strays.push_back(
            wire::EncodeReply(read, code, wire::BatchReadReply{kLedger, EntryId(0), number, {}}));
      }
    }
  }
  // A code that has no name, and a v3 frame that was refused as one of version 10.
  strays.push_back(strays.front());
  strays.back().head[7] = 107;
  strays.push_back(strays.front());
  strays.back().head.replace(0, 2, "\x0a\x07");
  Sink sink;
  Add(0, &sink);
  RunFor(absl::Milliseconds(100));
  bookie_->SetScript([](const wire::Request&) { return FakeBookie::kHoldReply; });
  Add(1, &sink);
  Read(0);
  RunFor(absl::Milliseconds(100));
  for (const wire::OutgoingFrame& stray : strays) bookie_->Interject(stray);
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(sink.replies, (Replies{"0:Ok"}));
  EXPECT_EQ(TakeAnswers(), (std::vector<std::string>{}));
  bookie_->Release();
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(sink.replies, (Replies{"0:Ok", "1:Ok"}));
  EXPECT_EQ(TakeAnswers(), (std::vector<std::string>{"Ok"}));
}

TEST_F(WireBookieClientTest, AV3ReplyOfAnotherTransactionOrOperationIsPassedOver) {
  bookie_->SetScript([](const wire::Request&) { return FakeBookie::kHoldReply; });
  Call(wire::ReadLacRequest{.ledger = kLedger});
  RunFor(absl::Milliseconds(100));
  wire::RequestHeader header = bookie_->requests().back().header;
  header.operation = wire::Operation::kRead;
  for (const uint64_t transaction : {header.txn_id, header.txn_id + 1'000}) {
    header.txn_id = transaction;
    bookie_->Interject(wire::EncodeStatusOnly(header, wire::ReplyCode::kUnauthorized));
    bookie_->Interject(wire::EncodeReply(header, wire::ReplyCode::kNoSuchEntry,
                                         wire::ReadReply{kLedger, EntryId(0)}));
  }
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(TakeAnswers(), (std::vector<std::string>{}));
  bookie_->Release();
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(TakeAnswers().size(), 1u);
}

TEST_F(WireBookieClientTest, ASilentConnectionIsGivenUp) {
  Connect({.lane = {.add_timeout = absl::Seconds(1), .silence_max = absl::Seconds(2)}});
  bookie_->SetScript(Ignore);
  Sink sink;
  for (int64_t entry = 0; entry < 5; ++entry) {
    Add(entry, &sink);
    RunFor(absl::Milliseconds(450));
  }
  RunFor(absl::Milliseconds(400));
  EXPECT_EQ(sink.replies,
            (Replies{"0:Deadline", "1:Deadline", "2:Deadline", "3:Deadline", "4:ConnectionLost"}));
}

TEST_F(WireBookieClientTest, ABookieMayOweOnlySoMuch) {
  Connect({.add_debt = {.adds_max = 4, .bytes_max = 1 << 20}});
  bookie_->SetScript([](const wire::Request&) { return FakeBookie::kHoldReply; });
  Sink sink;
  for (int64_t entry = 0; entry < 4; ++entry) {
    EXPECT_TRUE(to_->HasRoom());
    Add(entry, &sink);
  }
  EXPECT_FALSE(to_->HasRoom());
  to_->CallWhenRoom(&sink);
  to_->CallWhenRoom(&sink);
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(sink.rooms, 0);
  bookie_->Release();
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(sink.rooms, 1);
  EXPECT_TRUE(to_->HasRoom());
  Connect({.add_debt = {.adds_max = 100, .bytes_max = 100}});
  Add(10, &sink);
  EXPECT_TRUE(to_->HasRoom());
  Add(11, &sink);
  Add(12, &sink);
  EXPECT_FALSE(to_->HasRoom());
  client_->DropSink(&sink);  // its debts are still owed
  EXPECT_FALSE(to_->HasRoom());
}

TEST_F(WireBookieClientTest, ADroppedSinkHearsNothing) {
  auto sink = std::make_unique<Sink>();
  Add(0, sink.get());
  Add(1, sink.get(), Kind::kRecovery);
  client_->DropSink(sink.get());
  sink.reset();
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(bookie_->ledger(kLedger).entries.size(), 2u);
}

TEST_F(WireBookieClientTest, StopAnswersEverythingNowAndLater) {
  bookie_->SetScript(Ignore);
  Sink sink;
  Add(0, &sink);
  Read(0);
  Call(wire::ReadLacRequest{.ledger = kLedger});
  RunFor(absl::Milliseconds(100));
  client_->Stop();
  EXPECT_EQ(sink.replies, (Replies{"0:Stopped"}));
  EXPECT_EQ(TakeAnswers(), (std::vector<std::string>{"Stopped", "Stopped"}));
  Add(1, &sink);
  Read(1);
  RunFor(absl::Milliseconds(10));
  EXPECT_EQ(sink.replies.back(), "1:Stopped");
  EXPECT_EQ(TakeAnswers(), (std::vector<std::string>{"Stopped"}));
}

// ---- TLS

std::shared_ptr<const TlsCredentials> Credentials(std::string authority, std::string trusted) {
  return std::make_shared<const simulation::SimTlsCredentials>(
      simulation::SimTlsIdentity{.authority = std::move(authority), .hosts = {"b1"}},
      std::move(trusted), false);
}

WireOptions WithTls(std::shared_ptr<const TlsCredentials> credentials) {
  WireOptions options;
  options.lane.connection.tls = std::move(credentials);
  return options;
}

TEST_F(WireBookieClientTest, WithTlsNothingButTheWishForItGoesInClear) {
  bookie_->SetTls(Credentials("house", "house"));
  Connect(WithTls(Credentials("", "house")));
  Sink sink;
  Add(0, &sink);
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(sink.replies, (Replies{"0:Ok"}));
  Call(wire::ReadLacRequest{.ledger = kLedger});
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(TakeAnswers(), (std::vector<std::string>{"Ok"}));
  EXPECT_EQ(unreachable_, 0);
  // On each connection; the rest came in the version of its lane.
  EXPECT_EQ(bookie_->CountRequests([](const wire::Request& request) {
    return request.header.operation == wire::Operation::kStartTls;
  }),
            2u);
  EXPECT_EQ(CountVersion(wire::ProtocolVersion::kV2), 1u);
}

TEST_F(WireBookieClientTest, ABookieWithoutTlsOrOfAnotherAuthorityGetsNothing) {
  for (const auto& tls : {std::shared_ptr<const TlsCredentials>(), Credentials("thieves", "")}) {
    bookie_->SetTls(tls);
    Connect(WithTls(Credentials("", "house")));
    Sink sink;
    Add(0, &sink);
    RunFor(absl::Milliseconds(100));
    EXPECT_EQ(sink.replies, (Replies{"0:ConnectionLost"}));
    EXPECT_EQ(bookie_->ledger(kLedger).entries.size(), 0u);
  }
  EXPECT_EQ(unreachable_, 2);
  EXPECT_EQ(CountVersion(wire::ProtocolVersion::kV2), 0u);
}

TEST_F(WireBookieClientTest, ABookieThatIsSilentAboutTlsIsGivenUp) {
  bookie_->SetScript(Ignore);
  WireOptions options = WithTls(Credentials("", "house"));
  options.lane.connection.connect_timeout = absl::Seconds(1);
  options.lane.add_timeout = absl::Seconds(60);
  Connect(options);
  Sink sink;
  Add(0, &sink);
  RunFor(absl::Seconds(2));
  EXPECT_EQ(sink.replies, (Replies{"0:ConnectionLost"}));
  EXPECT_EQ(unreachable_, 1);
}

TEST_F(WireBookieClientTest, TheLateReplyOfJavasBookieToStartTlsIsPassedOver) {
  bookie_->SetTls(Credentials("house", "house"));
  bookie_->SetScript([&](const wire::Request& request) {
    const bool is_first = bookie_->requests().size() <= 2;
    if (is_first && request.header.operation != wire::Operation::kStartTls) {
      bookie_->Interject(wire::EncodeStatusOnly(
          {.version = wire::ProtocolVersion::kV3, .operation = wire::Operation::kStartTls},
          wire::ReplyCode::kIoError));
    }
    return FakeBookie::kServe;
  });
  Connect(WithTls(Credentials("", "house")));
  Sink sink;
  Add(0, &sink);
  RunFor(absl::Milliseconds(100));
  EXPECT_EQ(sink.replies, (Replies{"0:Ok"}));
}

TEST(CodeOfReplyTest, UnspecificRefusalsFollowTheOperation) {
  using wire::Operation;
  using wire::ReplyCode;
  EXPECT_EQ(CodeOfReply(Operation::kAdd, ReplyCode::kIoError), ErrorCode::kWriteFailed);
  EXPECT_EQ(CodeOfReply(Operation::kRead, ReplyCode::kIoError), ErrorCode::kReadFailed);
  EXPECT_EQ(CodeOfReply(Operation::kForceLedger, ReplyCode::kBadRequest), ErrorCode::kWriteFailed);
  EXPECT_EQ(CodeOfReply(Operation::kBatchRead, ReplyCode::kBadRequest), ErrorCode::kReadFailed);
  EXPECT_EQ(CodeOfReply(Operation::kAdd, ReplyCode::kFenced), ErrorCode::kLedgerFenced);
  EXPECT_EQ(CodeOfReply(Operation::kRead, ReplyCode::kUnknownLedgerState),
            ErrorCode::kUnknownLedgerState);
}

}  // namespace
}  // namespace stele::client
