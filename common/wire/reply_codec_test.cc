#include "common/wire/reply_codec.h"

#include <limits>
#include <string>
#include <utility>
#include <variant>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/wire/wire_test_bytes.h"

namespace stele::wire {
namespace {

constexpr ReplyCode kAllCodes[] = {ReplyCode::kOk,
                                   ReplyCode::kNoSuchLedger,
                                   ReplyCode::kNoSuchEntry,
                                   ReplyCode::kBadRequest,
                                   ReplyCode::kIoError,
                                   ReplyCode::kUnauthorized,
                                   ReplyCode::kBadVersion,
                                   ReplyCode::kFenced,
                                   ReplyCode::kReadOnly,
                                   ReplyCode::kTooManyRequests,
                                   ReplyCode::kUnknownLedgerState};

RequestHeader V2(Operation operation, uint8_t version = 2) {
  RequestHeader header;
  header.version = ProtocolVersion::kV2;
  header.v2_version = version;
  header.operation = operation;
  return header;
}
RequestHeader V3(Operation operation, uint64_t txn_id = 1) {
  RequestHeader header;
  header.operation = operation;
  header.txn_id = txn_id;
  return header;
}

ReadReply ReadOf(int64_t entry, Buffer body) {
  ReadReply read;
  read.ledger = LedgerId(1);
  read.entry = EntryId(entry);
  read.body = std::move(body);
  return read;
}

Reply Decode(ProtocolVersion version, const Buffer& frame) {
  auto reply = DecodeReply(version, frame);
  EXPECT_TRUE(reply.ok()) << reply.status() << " " << ToHex(frame.view());
  return reply.ok() ? *std::move(reply) : Reply();
}
Reply DecodeV2(std::string_view hex) {
  return Decode(ProtocolVersion::kV2, Buffer::CopyOf(FromHex(hex)));
}
Reply DecodeV3(std::string_view hex) {
  return Decode(ProtocolVersion::kV3, Buffer::CopyOf(FromHex(hex)));
}
ErrorCode FailureOf(ProtocolVersion version, std::string_view hex) {
  return CodeOf(DecodeReply(version, Buffer::CopyOf(FromHex(hex))).status());
}

// ---- v2 ----------------------------------------------------------------------------------------

TEST(ReplyCodecV2Test, WorkedReplies) {
  EXPECT_EQ(
      HexOnTheWire(EncodeAddReply(V2(Operation::kAdd), ReplyCode::kOk, LedgerId(1), EntryId(0))),
      Compact("00000018 02010000 00000000 0000000000000001 0000000000000000"));
  EXPECT_EQ(
      HexOnTheWire(EncodeAddReply(V2(Operation::kAdd, 0), ReplyCode::kOk, LedgerId(1), EntryId(0))),
      Compact("00000018 00000001 00000000 0000000000000001 0000000000000000"));
  EXPECT_EQ(
      HexOnTheWire(EncodeReply(V2(Operation::kRead), ReplyCode::kNoSuchEntry, ReadOf(-1, {}))),
      Compact("00000018 02020000 00000002 0000000000000001 ffffffffffffffff"));
  BatchReadReply batch{LedgerId(1), EntryId(0), 9, {Buffer::CopyOf("aa"), Buffer::CopyOf("bbb")}};
  EXPECT_EQ(HexOnTheWire(EncodeReply(V2(Operation::kBatchRead), ReplyCode::kOk, batch)),
            Compact("0000002d 02070000 00000000 0000000000000001 0000000000000000 0000000000000009"
                    "00000002 6161 00000003 626262"));
  EXPECT_EQ(HexOnTheWire(EncodeReply(V2(Operation::kBatchRead), ReplyCode::kNoSuchEntry, batch)),
            Compact("00000020 02070000 00000002 0000000000000001 0000000000000000"
                    "0000000000000009"));
  EXPECT_EQ(HexOnTheWire(EncodeReply(V2(Operation::kAuth), ReplyCode::kOk,
                                     AuthReply{std::string(kAuthDisabledPlugin), ""})),
            Compact("0000001a 02030000 0a124175746844697361626c6564506c7567696e 1200"));
}

TEST(ReplyCodecV2Test, WorkedRepliesAreUnderstood) {
  const Reply add = DecodeV2("02010000 00000000 0000000000000001 0000000000000000");
  EXPECT_EQ(add.operation, Operation::kAdd);
  EXPECT_EQ(add.code, ReplyCode::kOk);
  EXPECT_EQ(std::get<AddReply>(add.body).ledger, LedgerId(1));
  EXPECT_EQ(std::get<AddReply>(add.body).entry, EntryId(0));

  const Reply read = DecodeV2("02020000 00000002 0000000000000001 ffffffffffffffff");
  EXPECT_EQ(read.code, ReplyCode::kNoSuchEntry);
  EXPECT_EQ(std::get<ReadReply>(read.body).entry, kNoEntry);

  const Reply batch = DecodeV2(
      "02070000 00000000 0000000000000001 0000000000000000 0000000000000009 00000002 6161"
      "00000003 626262");
  const auto& bodies = std::get<BatchReadReply>(batch.body);
  EXPECT_EQ(bodies.request_id, 9);
  ASSERT_EQ(bodies.bodies.size(), 2u);
  EXPECT_EQ(bodies.bodies[0].view(), "aa");
  EXPECT_EQ(bodies.bodies[1].view(), "bbb");

  // Trap 20: no code and no ids.
  const Reply auth = DecodeV2("02030000 0a124175746844697361626c6564506c7567696e 1200");
  EXPECT_EQ(auth.operation, Operation::kAuth);
  EXPECT_EQ(std::get<AuthReply>(auth.body).plugin_name, kAuthDisabledPlugin);
}

TEST(ReplyCodecV2Test, ReadSendsTheStoredBytesUncopied) {
  const Buffer packet = HelloPacket();
  const OutgoingFrame frame = EncodeReply(V2(Operation::kRead), ReplyCode::kOk, ReadOf(0, packet));
  EXPECT_EQ(frame.head.size(), 24u);
  EXPECT_EQ(frame.body.data(), packet.data());
  const Buffer bytes = Flatten(frame);
  const Reply reply = Decode(ProtocolVersion::kV2, bytes);
  EXPECT_EQ(std::get<ReadReply>(reply.body).body, packet);
  EXPECT_EQ(std::get<ReadReply>(reply.body).body.data(), bytes.data() + 24);
}

TEST(ReplyCodecV2Test, BatchOfOneIsNotCopied) {
  const Buffer packet = HelloPacket();
  const OutgoingFrame frame = EncodeReply(V2(Operation::kBatchRead), ReplyCode::kOk,
                                          BatchReadReply{LedgerId(1), EntryId(4), 2, {packet}});
  EXPECT_EQ(frame.body.data(), packet.data());
  const Reply reply = Decode(ProtocolVersion::kV2, Flatten(frame));
  ASSERT_EQ(std::get<BatchReadReply>(reply.body).bodies.size(), 1u);
  EXPECT_EQ(std::get<BatchReadReply>(reply.body).bodies[0], packet);
}

TEST(ReplyCodecV2Test, EveryCodeTravels) {
  for (const ReplyCode code : kAllCodes) {
    const Reply reply =
        Decode(ProtocolVersion::kV2,
               Flatten(EncodeAddReply(V2(Operation::kAdd), code, LedgerId(1), EntryId(2))));
    // Trap 13: 107 closes the connection of every Java client.
    const ReplyCode expected = code == ReplyCode::kUnknownLedgerState ? ReplyCode::kIoError : code;
    EXPECT_EQ(reply.code, expected) << NameOf(code);
  }
}

TEST(ReplyCodecV2Test, UnknownCodesProveNothing) {
  for (const std::string_view number : {"0000006c", "00000003", "ffffffff", "00000192"}) {
    const Reply reply = DecodeV2(std::string("02020000") + std::string(number) +
                                 "00000000000000010000000000000000");
    EXPECT_EQ(reply.code, ReplyCode::kIoError);
    EXPECT_EQ(reply.wire_code, LoadBigEndian<int32_t>(FromHex(number).data()));
  }
  EXPECT_EQ(DecodeV2("02010000 0000006b 0000000000000001 0000000000000000").code,
            ReplyCode::kUnknownLedgerState);
  EXPECT_EQ(DecodeV2("02010000 0000006a 0000000000000001 0000000000000000").code,
            ReplyCode::kTooManyRequests);
}

TEST(ReplyCodecV2Test, AStrayV3ReplyIsReportedAsSuch) {
  EXPECT_EQ(FailureOf(ProtocolVersion::kV2, "0a06080310091801 10f503"),
            ErrorCode::kProtocolVersion);
}

TEST(ReplyCodecV2Test, DamagedReplies) {
  for (const std::string_view frame :
       {"", "02", "020100", "02010000", "02010000 00000000 0000000000000001 00000000000000",
        "02070000 00000000 0000000000000001 0000000000000000 00000000000000",
        "02070000 00000000 0000000000000001 0000000000000000 0000000000000009 000000",
        "02070000 00000000 0000000000000001 0000000000000000 0000000000000009 00000003 6161",
        "02070000 00000000 0000000000000001 0000000000000000 0000000000000009 ffffffff 6161",
        "02040000 00000000 0000000000000001 0000000000000000",
        "03010000 00000000 0000000000000001 0000000000000000",
        "ff010000 00000000 0000000000000001 0000000000000000", "02030000 0a05",
        "02030000 0a0161"}) {
    EXPECT_EQ(FailureOf(ProtocolVersion::kV2, frame), ErrorCode::kCorruptData) << frame;
  }
}

TEST(ReplyCodecV2Test, AuthDisabledAlwaysAnswersWithVersionTwo) {
  const auto start = [](std::string plugin) {
    return HexOnTheWire(EncodeReply(V2(Operation::kAuth, 1), ReplyCode::kOk,
                                    AuthReply{std::move(plugin), ""}))
        .substr(8, 8);
  };
  EXPECT_EQ(start(std::string(kAuthDisabledPlugin)), "02030000");
  EXPECT_EQ(start("sasl"), "01030000");
}

TEST(ReplyCodecV2Test, Refusals) {
  const auto error = [](RequestBody body, Operation operation) {
    const auto frame = EncodeError({V2(operation), std::move(body)}, ReplyCode::kReadOnly);
    return frame.has_value() ? HexOnTheWire(*frame) : "close";
  };
  AddRequest add;
  add.ledger = LedgerId(7);
  add.entry = EntryId(8);
  EXPECT_EQ(error(add, Operation::kAdd),
            Compact("00000018 02010000 00000069 0000000000000007 0000000000000008"));
  EXPECT_EQ(error(AuthRequest{}, Operation::kAuth), "close");

  const auto unauthenticated = [](RequestBody body, Operation operation) {
    const auto frame = EncodeUnauthenticated({V2(operation), std::move(body)});
    return frame.has_value() ? HexOnTheWire(*frame) : "close";
  };
  EXPECT_EQ(unauthenticated(add, Operation::kAdd),
            Compact("00000018 02010000 00000066 0000000000000007 0000000000000008"));
  ReadRequest read;
  read.ledger = LedgerId(7);
  EXPECT_EQ(unauthenticated(read, Operation::kRead),
            Compact("00000018 02020000 00000066 0000000000000007 ffffffffffffffff"));
  EXPECT_EQ(unauthenticated(BatchReadRequest{}, Operation::kBatchRead), "close");
}

// ---- v3 ----------------------------------------------------------------------------------------

TEST(ReplyCodecV3Test, WorkedReplies) {
  EXPECT_EQ(
      HexOnTheWire(EncodeAddReply(V3(Operation::kAdd), ReplyCode::kOk, LedgerId(1), EntryId(0))),
      Compact("00000013 0a060803100218011000 aa0606 0800 1001 1800"));
  EXPECT_EQ(HexOnTheWire(
                EncodeAddReply(V3(Operation::kAdd), ReplyCode::kFenced, LedgerId(1), EntryId(0))),
            Compact("00000015 0a0608031002180110f803 aa0607 08f803 1001 1800"));
  EXPECT_EQ(HexOnTheWire(EncodeReply(V3(Operation::kStartTls), ReplyCode::kOk, StartTlsReply{})),
            Compact("0000000d 0a060803100918011000 d20600"));
  EXPECT_EQ(HexOnTheWire(EncodeStatusOnly(V3(Operation::kAdd, 7), ReplyCode::kUnauthorized)),
            Compact("0000000b 0a0608031002180710f603"));
}

TEST(ReplyCodecV3Test, WorkedRepliesAreUnderstood) {
  const Reply ok = DecodeV3("0a060803100218011000 aa0606 0800 1001 1800");
  EXPECT_EQ(ok.operation, Operation::kAdd);
  EXPECT_EQ(ok.txn_id, 1u);
  EXPECT_EQ(ok.code, ReplyCode::kOk);
  EXPECT_EQ(std::get<AddReply>(ok.body).ledger, LedgerId(1));
  const Reply fenced = DecodeV3("0a0608031002180110f803 aa0607 08f803 1001 1800");
  EXPECT_EQ(fenced.code, ReplyCode::kFenced);
  EXPECT_EQ(fenced.wire_code, 504);
  const Reply tls = DecodeV3("0a060803100918011000 d20600");
  EXPECT_EQ(tls.code, ReplyCode::kOk);
  EXPECT_TRUE(std::holds_alternative<StartTlsReply>(tls.body));
}

// Trap 17: authentication's refusals are header and status, for any operation.
TEST(ReplyCodecV3Test, HeaderOnlyRefusals) {
  for (const std::string_view op : {"01", "02", "05", "06", "07", "08", "09", "0a", "0b"}) {
    const Reply reply = DecodeV3("0a06080310" + std::string(op) + "180710f603");
    EXPECT_EQ(reply.code, ReplyCode::kUnauthorized) << op;
    EXPECT_EQ(reply.txn_id, 7u);
    EXPECT_TRUE(std::holds_alternative<std::monostate>(reply.body));
  }
}

// Replies rebuild the header; refusals copy it.
TEST(ReplyCodecV3Test, PriorityIsEchoedOnlyWhereTheHeaderIsCopied) {
  RequestHeader header = V3(Operation::kRead, 3);
  header.high_priority = true;
  header.v3_priority = 100;
  EXPECT_EQ(EncodeReply(header, ReplyCode::kOk, ReadOf(1, {})).head.substr(0, 8),
            FromHex("0a06080310011803"));
  EXPECT_EQ(EncodeStatusOnly(header, ReplyCode::kUnauthorized).head,
            FromHex("0a080803100118032064 10f603"));
  header.operation = Operation::kAuth;
  EXPECT_EQ(EncodeReply(header, ReplyCode::kOk, AuthReply{"p", "q"}).head,
            FromHex("0a080803100518032064 1000 b20606 0a0170 120171"));
}

TEST(ReplyCodecV3Test, ReadSendsTheStoredBytesUncopied) {
  const Buffer packet = HelloPacket();
  ReadReply read = ReadOf(-1, packet);
  read.max_lac = EntryId(41);
  read.lac_update_timestamp_ms = 1700000000000;
  const OutgoingFrame frame = EncodeReply(V3(Operation::kRead), ReplyCode::kOk, read);
  EXPECT_EQ(frame.body.data(), packet.data());
  const Buffer bytes = Flatten(frame);
  const Reply reply = Decode(ProtocolVersion::kV3, bytes);
  const auto& decoded = std::get<ReadReply>(reply.body);
  EXPECT_EQ(decoded.ledger, LedgerId(1));
  EXPECT_EQ(decoded.entry, kNoEntry);
  EXPECT_EQ(decoded.max_lac, EntryId(41));
  EXPECT_EQ(decoded.lac_update_timestamp_ms, 1700000000000);
  EXPECT_EQ(decoded.body, packet);
  EXPECT_EQ(decoded.body.data(), bytes.data() + bytes.size() - packet.size());
}

// Trap 11: the end of a long poll.
TEST(ReplyCodecV3Test, LongPollWithoutAnEntry) {
  ReadReply read = ReadOf(-1, {});
  read.max_lac = EntryId(4);
  const Reply reply = Decode(ProtocolVersion::kV3,
                             Flatten(EncodeReply(V3(Operation::kRead), ReplyCode::kOk, read)));
  EXPECT_EQ(reply.code, ReplyCode::kOk);
  EXPECT_EQ(std::get<ReadReply>(reply.body).entry, kNoEntry);
  EXPECT_TRUE(std::get<ReadReply>(reply.body).body.empty());
}

TEST(ReplyCodecV3Test, NegativeMaxLacIsNone) {
  const Reply reply =
      DecodeV3("0a06080310011804 1000 a20611 0800 1001 1800 28ffffffffffffffffff01");
  EXPECT_FALSE(std::get<ReadReply>(reply.body).max_lac.has_value());
}

TEST(ReplyCodecV3Test, OtherRepliesRoundTrip) {
  const auto round_trip = [](Operation operation, const ReplyBody& body) {
    return Decode(ProtocolVersion::kV3, Flatten(EncodeReply(V3(operation), ReplyCode::kOk, body)));
  };
  const Reply lac = round_trip(
      Operation::kReadLac, ReadLacReply{LedgerId(1), Buffer::CopyOf("explicit"), HelloPacket()});
  EXPECT_EQ(std::get<ReadLacReply>(lac.body).lac_body->view(), "explicit");
  EXPECT_EQ(*std::get<ReadLacReply>(lac.body).last_entry_body, HelloPacket());
  const Reply no_lac = round_trip(Operation::kReadLac, ReadLacReply{LedgerId(1), {}, {}});
  EXPECT_FALSE(std::get<ReadLacReply>(no_lac.body).lac_body.has_value());
  EXPECT_FALSE(std::get<ReadLacReply>(no_lac.body).last_entry_body.has_value());
  const Reply info = round_trip(Operation::kGetBookieInfo, GetBookieInfoReply{{}, 5});
  EXPECT_FALSE(std::get<GetBookieInfoReply>(info.body).total_disk_capacity_bytes.has_value());
  EXPECT_EQ(std::get<GetBookieInfoReply>(info.body).free_disk_space_bytes, 5);
  const Reply list =
      round_trip(Operation::kListEntries, ListEntriesReply{LedgerId(3), Buffer::CopyOf("blob")});
  EXPECT_EQ(std::get<ListEntriesReply>(list.body).availability.view(), "blob");
  EXPECT_EQ(
      std::get<WriteLacReply>(round_trip(Operation::kWriteLac, WriteLacReply{LedgerId(3)}).body)
          .ledger,
      LedgerId(3));
  EXPECT_EQ(std::get<ForceLedgerReply>(
                round_trip(Operation::kForceLedger, ForceLedgerReply{LedgerId(3)}).body)
                .ledger,
            LedgerId(3));
  EXPECT_EQ(
      std::get<AuthReply>(round_trip(Operation::kAuth, AuthReply{"sasl", "token"}).body).payload,
      "token");
}

// Trap 17: status in both places, and the message with its ids on errors, too.
TEST(ReplyCodecV3Test, EveryCodeTravelsTwice) {
  for (const ReplyCode code : kAllCodes) {
    const Reply reply =
        Decode(ProtocolVersion::kV3,
               Flatten(EncodeReply(V3(Operation::kRead), code, ReadOf(6, HelloPacket()))));
    EXPECT_EQ(reply.code, code);
    const auto& read = std::get<ReadReply>(reply.body);
    EXPECT_EQ(read.ledger, LedgerId(1));
    EXPECT_EQ(read.entry, EntryId(6));
    EXPECT_EQ(read.body.empty(), code != ReplyCode::kOk) << "an error carries no entry";
  }
}

TEST(ReplyCodecV3Test, EitherStatusCounts) {
  EXPECT_EQ(DecodeV3("0a06080310021801 1000 aa0607 08f803 1001 1800").code, ReplyCode::kFenced);
  EXPECT_EQ(DecodeV3("0a06080310021801 10f803 aa0606 0800 1001 1800").code, ReplyCode::kFenced);
  EXPECT_EQ(DecodeV3("0a06080310021801 aa0607 08f803 1001 1800").code, ReplyCode::kFenced);
  EXPECT_EQ(DecodeV3("0a06080310021801 1000 aa0604 1001 1800").code, ReplyCode::kOk);
}

TEST(ReplyCodecV3Test, UnknownStatusProvesNothing) {
  const Reply reply = DecodeV3("0a06080310011801 10fc03 a20607 08fc03 1001 1800");
  EXPECT_EQ(reply.code, ReplyCode::kIoError);
  EXPECT_EQ(reply.wire_code, 508);
}

// Java 4.18 may leave the message out; the transaction id says which request it was.
TEST(ReplyCodecV3Test, ASuccessWithoutMessage) {
  const Reply add = DecodeV3("0a06080310021801 1000");
  EXPECT_EQ(add.code, ReplyCode::kOk);
  EXPECT_FALSE(std::get<AddReply>(add.body).ledger.IsValid());
  // What should bring something and does not is no success.
  for (const std::string_view op : {"01", "05", "07", "08", "0b", "0c", "63"}) {
    EXPECT_EQ(DecodeV3("0a06080310" + std::string(op) + "1801 1000").code, ReplyCode::kIoError);
  }
  EXPECT_EQ(DecodeV3("0a060803100b1801 1000 e20604 0800 1001").code, ReplyCode::kIoError)
      << "a list without the list";
}

TEST(ReplyCodecV3Test, DamagedReplies) {
  for (const std::string_view frame :
       {"", "00", "0a", "02010000 00000000 0000000000000001 0000000000000000", "1000",
        "0a06080310021801", "0a0408031002 1000", "0a04080318011000", "0a06080310021801 1000 aa06",
        "0a06080310021801 1000 aa0606 0800 1001", "0a06080310021801 1000 aa0601 08"}) {
    EXPECT_EQ(FailureOf(ProtocolVersion::kV3, frame), ErrorCode::kCorruptData) << frame;
  }
}

TEST(ReplyCodecV3Test, RefusalsCarryTheIdsOfTheRequest) {
  ReadRequest read;
  read.ledger = LedgerId(1);
  read.entry = EntryId(7);
  const auto frame = EncodeError({V3(Operation::kRead, 4), read}, ReplyCode::kBadVersion);
  ASSERT_TRUE(frame.has_value());
  EXPECT_EQ(HexOnTheWire(*frame),
            Compact("00000015 0a06080310011804 10f703 a20607 08f703 1001 1807"));
  // 7.3: a bookie without TLS.
  EXPECT_EQ(HexOnTheWire(*EncodeError({V3(Operation::kStartTls), StartTlsRequest{}},
                                      ReplyCode::kBadRequest)),
            Compact("0000000b 0a06080310091801 109403"));
  EXPECT_EQ(HexOnTheWire(*EncodeUnauthenticated({V3(Operation::kRead, 4), read})),
            Compact("0000000b 0a06080310011804 10f603"));
}

TEST(ReplyCodecV3Test, EveryRequestHasAnError) {
  const RequestBody bodies[] = {AddRequest{},         ReadRequest{},        WriteLacRequest{},
                                ReadLacRequest{},     ForceLedgerRequest{}, GetBookieInfoRequest{},
                                ListEntriesRequest{}, AuthRequest{},        StartTlsRequest{}};
  const Operation operations[] = {
      Operation::kAdd,         Operation::kRead,        Operation::kWriteLac,
      Operation::kReadLac,     Operation::kForceLedger, Operation::kGetBookieInfo,
      Operation::kListEntries, Operation::kAuth,        Operation::kStartTls};
  for (size_t i = 0; i < std::size(bodies); ++i) {
    const auto frame = EncodeError({V3(operations[i], 9), bodies[i]}, ReplyCode::kTooManyRequests);
    ASSERT_TRUE(frame.has_value());
    const Reply reply = Decode(ProtocolVersion::kV3, Flatten(*frame));
    EXPECT_EQ(reply.code, ReplyCode::kTooManyRequests);
    EXPECT_EQ(reply.operation, operations[i]);
    EXPECT_EQ(reply.txn_id, 9u);
  }
}

}  // namespace
}  // namespace stele::wire
