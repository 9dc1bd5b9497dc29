// Compares our v3 codecs with protobuf's generated code, both ways, on random messages: what
// protobuf writes we must read alike, and what we write protobuf must read alike.
#include <string>
#include <variant>

#include <gtest/gtest.h>

#include "common/wire/reply_codec.h"
#include "common/wire/request_codec.h"
#include "common/wire/wire_test_bytes.h"
#include "proto/bookkeeper.pb.h"

namespace stele::wire {
namespace {

namespace pb = bookkeeper_v3;

constexpr int kRounds = 400;

Buffer Serialize(const google::protobuf::Message& message) {
  std::string bytes;
  EXPECT_TRUE(message.SerializeToString(&bytes));
  return Buffer::FromString(std::move(bytes));
}

template <typename Message>
Message Parse(const OutgoingFrame& frame) {
  Message message;
  EXPECT_TRUE(message.ParseFromString(Flatten(frame).ToString()));
  EXPECT_TRUE(message.unknown_fields().empty());
  return message;
}

std::string RandomKey(TestRandom& random) {
  std::string key(kMasterKeySize, '\0');
  for (char& c : key) c = static_cast<char>(random.Next());
  return key;
}
std::string ToString(const MasterKey& key) { return {key.data(), key.size()}; }

int64_t RandomId(TestRandom& random) { return random.Int64() & INT64_MAX; }

std::string RandomPacket(TestRandom& random, int64_t ledger, int64_t entry) {
  std::string packet;
  AppendBigEndian(packet, ledger);
  AppendBigEndian(packet, entry);
  AppendBigEndian(packet, random.Int64());
  return packet + random.Bytes(300);
}

void FillHeader(TestRandom& random, pb::OperationType operation, pb::BKPacketHeader* header) {
  header->set_version(pb::VERSION_THREE);
  header->set_operation(operation);
  header->set_txnid(static_cast<uint64_t>(random.Int64()));
  // An explicit 0 means the same as none, which is what we write.
  if (random.Chance()) header->set_priority(static_cast<uint32_t>(random.Int64()) | 1);
}

void ExpectHeader(const pb::BKPacketHeader& expected, const RequestHeader& header) {
  EXPECT_EQ(header.version, ProtocolVersion::kV3);
  EXPECT_EQ(header.v3_version, expected.version());
  EXPECT_EQ(static_cast<int>(header.operation), expected.operation());
  EXPECT_EQ(header.txn_id, expected.txnid());
  EXPECT_EQ(header.v3_priority, expected.priority());
  EXPECT_EQ(header.high_priority, expected.priority() > 0);
}

// Decodes what protobuf wrote, and encodes the result again for protobuf to read.
Request DecodeOurs(const pb::Request& message, pb::Request* again) {
  const Buffer frame = Serialize(message);
  DecodedRequest decoded = DecodeRequest(frame);
  auto* request = std::get_if<Request>(&decoded);
  EXPECT_NE(request, nullptr) << message.ShortDebugString();
  if (request == nullptr) return {};
  ExpectHeader(message.header(), request->header);
  const auto encoded = EncodeRequest(*request);
  EXPECT_TRUE(encoded.ok());
  if (encoded.ok()) *again = Parse<pb::Request>(*encoded);
  return std::move(*request);
}

void ExpectSame(const google::protobuf::Message& a, const google::protobuf::Message& b) {
  EXPECT_EQ(Serialize(a), Serialize(b)) << a.ShortDebugString() << "\n" << b.ShortDebugString();
}

TEST(V3OracleTest, AddRequests) {
  TestRandom random(1);
  for (int round = 0; round < kRounds; ++round) {
    pb::Request message;
    FillHeader(random, pb::ADD_ENTRY, message.mutable_header());
    pb::AddRequest& add = *message.mutable_addrequest();
    add.set_ledgerid(RandomId(random));
    add.set_entryid(RandomId(random));
    add.set_masterkey(RandomKey(random));
    add.set_body(RandomPacket(random, add.ledgerid(), add.entryid()));
    if (random.Chance()) add.set_writeflags(1);
    if (random.Chance()) add.set_flag(pb::AddRequest::RECOVERY_ADD);
    pb::Request again;
    const Request request = DecodeOurs(message, &again);
    const auto& ours = std::get<AddRequest>(request.body);
    EXPECT_EQ(ours.ledger.value(), add.ledgerid());
    EXPECT_EQ(ours.entry.value(), add.entryid());
    EXPECT_EQ(ToString(ours.master_key), add.masterkey());
    EXPECT_EQ(ours.body.view(), add.body());
    EXPECT_EQ(ours.deferred_sync, add.writeflags() == 1);
    EXPECT_EQ(ours.recovery, add.has_flag());
    ExpectSame(message, again);
  }
}

TEST(V3OracleTest, ReadRequests) {
  TestRandom random(2);
  for (int round = 0; round < kRounds; ++round) {
    pb::Request message;
    FillHeader(random, pb::READ_ENTRY, message.mutable_header());
    pb::ReadRequest& read = *message.mutable_readrequest();
    read.set_ledgerid(RandomId(random));
    read.set_entryid(random.Chance() ? -1 : RandomId(random));
    switch (random.Below(3)) {
      case 0: break;
      case 1:
        read.set_flag(pb::ReadRequest::FENCE_LEDGER);
        read.set_masterkey(RandomKey(random));
        break;
      case 2:
        read.set_previouslac(random.Chance() ? -1 : RandomId(random));
        if (random.Chance()) read.set_timeout(RandomId(random));
        if (random.Chance()) {
          read.set_entryid(-1);
          read.set_flag(pb::ReadRequest::ENTRY_PIGGYBACK);
        }
        break;
    }
    pb::Request again;
    const Request request = DecodeOurs(message, &again);
    const auto& ours = std::get<ReadRequest>(request.body);
    EXPECT_EQ(ours.ledger.value(), read.ledgerid());
    EXPECT_EQ(ours.entry.value(), read.entryid());
    EXPECT_EQ(ours.fence_key.has_value(), read.has_masterkey());
    if (ours.fence_key.has_value()) EXPECT_EQ(ToString(*ours.fence_key), read.masterkey());
    EXPECT_EQ(ours.previous_lac.has_value(), read.has_previouslac());
    EXPECT_EQ(ours.timeout_ms.has_value(), read.has_timeout());
    EXPECT_EQ(ours.piggyback_entry, read.flag() == pb::ReadRequest::ENTRY_PIGGYBACK);
    ExpectSame(message, again);
  }
}

TEST(V3OracleTest, SmallRequests) {
  TestRandom random(3);
  for (int round = 0; round < kRounds; ++round) {
    pb::Request message;
    switch (random.Below(7)) {
      case 0:
        FillHeader(random, pb::READ_LAC, message.mutable_header());
        message.mutable_readlacrequest()->set_ledgerid(RandomId(random));
        break;
      case 1:
        FillHeader(random, pb::FORCE_LEDGER, message.mutable_header());
        message.mutable_forceledgerrequest()->set_ledgerid(RandomId(random));
        break;
      case 2:
        FillHeader(random, pb::GET_LIST_OF_ENTRIES_OF_LEDGER, message.mutable_header());
        message.mutable_getlistofentriesofledgerrequest()->set_ledgerid(RandomId(random));
        break;
      case 3:
        FillHeader(random, pb::GET_BOOKIE_INFO, message.mutable_header());
        message.mutable_getbookieinforequest()->set_requested(
            static_cast<int64_t>(random.Below(4)));
        break;
      case 4:
        FillHeader(random, pb::START_TLS, message.mutable_header());
        message.mutable_starttlsrequest();
        break;
      case 5:
        FillHeader(random, pb::AUTH, message.mutable_header());
        message.mutable_authrequest()->set_authpluginname("plugin");
        message.mutable_authrequest()->set_payload(random.Bytes(200));
        break;
      case 6: {
        FillHeader(random, pb::WRITE_LAC, message.mutable_header());
        pb::WriteLacRequest& write = *message.mutable_writelacrequest();
        write.set_ledgerid(RandomId(random));
        write.set_lac(RandomId(random));
        write.set_masterkey(RandomKey(random));
        write.set_body(MakeExplicitLacPacket(LedgerId(write.ledgerid()), EntryId(write.lac()),
                                             Digester(DigestType::kCrc32))
                           .ToString());
        break;
      }
    }
    pb::Request again;
    DecodeOurs(message, &again);
    ExpectSame(message, again);
  }
}

ReplyCode RandomCode(TestRandom& random) {
  constexpr ReplyCode kCodes[] = {ReplyCode::kOk, ReplyCode::kNoSuchEntry, ReplyCode::kIoError,
                                  ReplyCode::kUnknownLedgerState, ReplyCode::kTooManyRequests};
  return kCodes[random.Below(std::size(kCodes))];
}

pb::StatusCode StatusOf(ReplyCode code) { return static_cast<pb::StatusCode>(code); }

// Encodes, lets protobuf read it, and compares what protobuf writes of it as seen by our decoder.
pb::Response EncodeOurs(const RequestHeader& header, ReplyCode code, const ReplyBody& body,
                        Reply* again) {
  const auto message = Parse<pb::Response>(EncodeReply(header, code, body));
  EXPECT_EQ(message.header().version(), pb::VERSION_THREE);
  EXPECT_EQ(message.header().operation(), static_cast<int>(header.operation));
  EXPECT_EQ(message.header().txnid(), header.txn_id);
  EXPECT_EQ(message.status(), StatusOf(code));
  auto decoded = DecodeReply(ProtocolVersion::kV3, Serialize(message));
  EXPECT_TRUE(decoded.ok()) << decoded.status();
  if (decoded.ok()) {
    *again = *std::move(decoded);
    EXPECT_EQ(again->code, code);
    EXPECT_EQ(again->txn_id, header.txn_id);
    EXPECT_EQ(again->operation, header.operation);
  }
  return message;
}

TEST(V3OracleTest, AddAndReadReplies) {
  TestRandom random(4);
  for (int round = 0; round < kRounds; ++round) {
    RequestHeader header;
    header.txn_id = random.Next();
    const ReplyCode code = RandomCode(random);
    Reply again;
    header.operation = Operation::kAdd;
    const AddReply add{LedgerId(random.Int64()), EntryId(random.Int64())};
    const pb::Response add_message = EncodeOurs(header, code, add, &again);
    EXPECT_EQ(add_message.addresponse().status(), StatusOf(code));
    EXPECT_EQ(add_message.addresponse().ledgerid(), add.ledger.value());
    EXPECT_EQ(add_message.addresponse().entryid(), add.entry.value());
    EXPECT_EQ(std::get<AddReply>(again.body).entry, add.entry);

    header.operation = Operation::kRead;
    ReadReply read;
    read.ledger = LedgerId(random.Int64());
    read.entry = EntryId(random.Int64());
    read.body = Buffer::FromString(random.Bytes(300));
    if (random.Chance()) read.max_lac = EntryId(RandomId(random));
    if (random.Chance()) read.lac_update_timestamp_ms = random.Int64();
    const pb::Response read_message = EncodeOurs(header, code, read, &again);
    const auto& response = read_message.readresponse();
    const auto& decoded = std::get<ReadReply>(again.body);
    EXPECT_EQ(response.status(), StatusOf(code));
    EXPECT_EQ(response.ledgerid(), read.ledger.value());
    EXPECT_EQ(response.entryid(), read.entry.value());
    EXPECT_EQ(decoded.ledger, read.ledger);
    EXPECT_EQ(decoded.entry, read.entry);
    if (code != ReplyCode::kOk) continue;
    EXPECT_EQ(response.body(), read.body.view());
    EXPECT_EQ(decoded.body, read.body);
    EXPECT_EQ(response.has_maxlac(), read.max_lac.has_value());
    EXPECT_EQ(decoded.max_lac, read.max_lac);
    EXPECT_EQ(response.has_lacupdatetimestamp(), read.lac_update_timestamp_ms.has_value());
    EXPECT_EQ(decoded.lac_update_timestamp_ms, read.lac_update_timestamp_ms);
  }
}

TEST(V3OracleTest, OtherReplies) {
  TestRandom random(5);
  for (int round = 0; round < kRounds; ++round) {
    RequestHeader header;
    header.txn_id = random.Next();
    const LedgerId ledger(random.Int64());
    Reply again;
    header.operation = Operation::kReadLac;
    ReadLacReply lac{ledger, {}, {}};
    if (random.Chance()) lac.lac_body = Buffer::FromString(random.Bytes(40));
    if (random.Chance()) lac.last_entry_body = Buffer::FromString("x" + random.Bytes(300));
    const auto lac_message = EncodeOurs(header, ReplyCode::kOk, lac, &again).readlacresponse();
    EXPECT_EQ(lac_message.has_lacbody(), lac.lac_body.has_value());
    EXPECT_EQ(lac_message.has_lastentrybody(), lac.last_entry_body.has_value());
    EXPECT_EQ(std::get<ReadLacReply>(again.body).lac_body, lac.lac_body);
    EXPECT_EQ(std::get<ReadLacReply>(again.body).last_entry_body, lac.last_entry_body);

    header.operation = Operation::kGetBookieInfo;
    GetBookieInfoReply info;
    if (random.Chance()) info.free_disk_space_bytes = random.Int64();
    if (random.Chance()) info.total_disk_capacity_bytes = random.Int64();
    EncodeOurs(header, ReplyCode::kOk, info, &again);
    EXPECT_EQ(std::get<GetBookieInfoReply>(again.body).free_disk_space_bytes,
              info.free_disk_space_bytes);
    EXPECT_EQ(std::get<GetBookieInfoReply>(again.body).total_disk_capacity_bytes,
              info.total_disk_capacity_bytes);

    header.operation = Operation::kListEntries;
    const ListEntriesReply list{ledger, Buffer::FromString("b" + random.Bytes(100))};
    EncodeOurs(header, ReplyCode::kOk, list, &again);
    EXPECT_EQ(std::get<ListEntriesReply>(again.body).availability, list.availability);

    header.operation = Operation::kWriteLac;
    EncodeOurs(header, ReplyCode::kFenced, WriteLacReply{ledger}, &again);
    EXPECT_EQ(std::get<WriteLacReply>(again.body).ledger, ledger);

    header.operation = Operation::kForceLedger;
    EncodeOurs(header, ReplyCode::kOk, ForceLedgerReply{ledger}, &again);
    EXPECT_EQ(std::get<ForceLedgerReply>(again.body).ledger, ledger);

    header.operation = Operation::kAuth;
    const AuthReply auth{"plugin", random.Bytes(100)};
    EncodeOurs(header, ReplyCode::kOk, auth, &again);
    EXPECT_EQ(std::get<AuthReply>(again.body).payload, auth.payload);
  }
}

// Requests of a client that leaves out, repeats or damages things: where protobuf's parser takes a
// message as complete, ours sees the same header.
TEST(V3OracleTest, DamagedRequestsAreReadAlike) {
  TestRandom random(6);
  pb::Request message;
  FillHeader(random, pb::READ_ENTRY, message.mutable_header());
  message.mutable_readrequest()->set_ledgerid(300);
  message.mutable_readrequest()->set_entryid(-1);
  message.add_requestcontext()->set_key("k");
  message.mutable_requestcontext(0)->set_value("v");
  const std::string bytes = Serialize(message).ToString();
  int complete = 0;
  const google::protobuf::LogSilencer silencer;  // it complains of strings that are not UTF-8
  for (int round = 0; round < 20000; ++round) {
    std::string damaged = bytes;
    for (uint64_t i = random.Below(3) + 1; i > 0; --i) {
      damaged[2 + random.Below(damaged.size() - 2)] = static_cast<char>(random.Next());
    }
    pb::Request oracle;
    if (!oracle.ParsePartialFromString(damaged) || !oracle.IsInitialized()) continue;
    const DecodedRequest decoded = DecodeRequest(Buffer::CopyOf(damaged));
    ASSERT_FALSE(std::holds_alternative<UnreadableFrame>(decoded)) << ToHex(damaged);
    const auto* request = std::get_if<Request>(&decoded);
    ExpectHeader(oracle.header(),
                 request != nullptr ? request->header : std::get<RefusedRequest>(decoded).header);
    if (request == nullptr) continue;
    ++complete;
    if (const auto* read = std::get_if<ReadRequest>(&request->body)) {
      EXPECT_EQ(read->ledger.value(), oracle.readrequest().ledgerid());
      EXPECT_EQ(read->entry.value(), oracle.readrequest().entryid());
    }
  }
  EXPECT_GT(complete, 1000);
}

}  // namespace
}  // namespace stele::wire
