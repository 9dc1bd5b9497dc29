#include <limits>
#include <string>
#include <variant>

#include <gtest/gtest.h>

#include "common/base/errors.h"
#include "common/wire/request_codec.h"
#include "common/wire/request_test_support.h"
#include "common/wire/wire_test_bytes.h"

namespace stele::wire {
namespace {

TEST(RequestCodecV3Test, WorkedAdd) {
  const std::string frame = Compact(
      Cat("00000056 0a06080310021801 aa064b 0801 1000 1a14", kKeyHex, "222f", kHelloPacketHex));
  EXPECT_EQ(Encode(V3(1), HelloAdd()), frame);
  const Buffer bytes = FrameOf(frame);
  const Request request = Decode(bytes);
  EXPECT_EQ(request.header.version, ProtocolVersion::kV3);
  EXPECT_EQ(request.header.txn_id, 1u);
  EXPECT_EQ(request.header.operation, Operation::kAdd);
  const auto& add = std::get<AddRequest>(request.body);
  EXPECT_EQ(add.ledger, LedgerId(1));
  EXPECT_EQ(add.entry, EntryId(0));
  EXPECT_EQ(add.master_key, TestKey());
  EXPECT_FALSE(add.recovery);
  EXPECT_FALSE(add.deferred_sync);
  EXPECT_EQ(add.body, HelloPacket());
  EXPECT_EQ(add.body.data(), bytes.data() + bytes.size() - HelloPacket().size());
}

TEST(RequestCodecV3Test, WorkedReads) {
  const std::string plain = Compact("0000000f 0a06080310011804 a20604 0801 1000");
  EXPECT_EQ(Encode(V3(4), ReadOf(0)), plain);
  EXPECT_EQ(DecodeAs<ReadRequest>(FrameOf(plain)).entry, EntryId(0));

  const std::string fencing = Compact(
      Cat("00000031 0a06080310011802 a20626 0801 10ffffffffffffffffff01 1a14", kKeyHex, "a00601"));
  ReadRequest fence = ReadOf(-1);
  fence.fence_key = TestKey();
  EXPECT_EQ(Encode(V3(2), fence), fencing);
  EXPECT_EQ(DecodeAs<ReadRequest>(FrameOf(fencing)).fence_key, TestKey());

  const std::string polling =
      Compact("00000020 0a06080310011803 a20615 0801 10ffffffffffffffffff01 2004 28e807 a00602");
  ReadRequest poll = ReadOf(-1);
  poll.previous_lac = EntryId(4);
  poll.timeout_ms = 1000;
  poll.piggyback_entry = true;
  EXPECT_EQ(Encode(V3(3), poll), polling);
  const auto decoded = DecodeAs<ReadRequest>(FrameOf(polling));
  EXPECT_EQ(decoded.previous_lac, EntryId(4));
  EXPECT_EQ(decoded.timeout_ms, 1000);
  EXPECT_TRUE(decoded.piggyback_entry);
  EXPECT_FALSE(decoded.fence_key.has_value());
}

TEST(RequestCodecV3Test, WorkedSmallRequests) {
  const std::string read_lac = Compact("0000000d 0a06080310071805 c20602 0801");
  EXPECT_EQ(Encode(V3(5), ReadLacRequest{LedgerId(1)}), read_lac);
  EXPECT_EQ(DecodeAs<ReadLacRequest>(FrameOf(read_lac)).ledger, LedgerId(1));

  const std::string info = Compact("0000000d 0a06080310081806 ca0602 0803");
  EXPECT_EQ(Encode(V3(6), GetBookieInfoRequest{true, true}), info);
  EXPECT_TRUE(DecodeAs<GetBookieInfoRequest>(FrameOf(info)).total_disk_capacity);
  EXPECT_TRUE(DecodeAs<GetBookieInfoRequest>(FrameOf(info)).free_disk_space);

  const std::string force = Compact("0000000d 0a060803100a1808 da0602 0801");
  EXPECT_EQ(Encode(V3(8), ForceLedgerRequest{LedgerId(1)}), force);
  EXPECT_EQ(DecodeAs<ForceLedgerRequest>(FrameOf(force)).ledger, LedgerId(1));

  const std::string start_tls = Compact("0000000b 0a06080310091801 d20600");
  EXPECT_EQ(Encode(V3(1), StartTlsRequest{}), start_tls);
  DecodeAs<StartTlsRequest>(FrameOf(start_tls));
}

TEST(RequestCodecV3Test, ListWriteLacAndAuthRoundTrip) {
  EXPECT_EQ(
      DecodeAs<ListEntriesRequest>(FrameOf(Encode(V3(1), ListEntriesRequest{LedgerId(77)}))).ledger,
      LedgerId(77));
  WriteLacRequest write{
      LedgerId(1), EntryId(5), TestKey(),
      MakeExplicitLacPacket(LedgerId(1), EntryId(5), Digester(DigestType::kMac, kTestPassword))};
  const auto decoded = DecodeAs<WriteLacRequest>(FrameOf(Encode(V3(1), write)));
  EXPECT_EQ(decoded.ledger, LedgerId(1));
  EXPECT_EQ(decoded.lac, EntryId(5));
  EXPECT_EQ(decoded.master_key, TestKey());
  EXPECT_EQ(decoded.body, write.body);
  const auto auth = DecodeAs<AuthRequest>(FrameOf(Encode(V3(1), AuthRequest{"sasl", ""})));
  EXPECT_EQ(auth.plugin_name, "sasl");
  EXPECT_EQ(auth.payload, "");
}

TEST(RequestCodecV3Test, FlagsOfAddAndPriority) {
  AddRequest add = HelloAdd();
  add.recovery = true;
  add.deferred_sync = true;
  RequestHeader header = V3(std::numeric_limits<uint64_t>::max());
  header.high_priority = true;
  const Request decoded = Decode(FrameOf(Encode(header, add)));
  EXPECT_EQ(decoded.header.txn_id, std::numeric_limits<uint64_t>::max());
  EXPECT_TRUE(decoded.header.high_priority);
  EXPECT_EQ(decoded.header.v3_priority, 100u);
  EXPECT_TRUE(std::get<AddRequest>(decoded.body).recovery);
  EXPECT_TRUE(std::get<AddRequest>(decoded.body).deferred_sync);
  EXPECT_EQ(std::get<AddRequest>(decoded.body).body, HelloPacket());
}

// Java 4.18 writes the flag before the ids.
TEST(RequestCodecV3Test, FieldsInAnyOrder) {
  const auto read = DecodeAs<ReadRequest>(Buffer::CopyOf(
      FromHex(Cat("0a06080310011802 a20626 a00601 0801 10ffffffffffffffffff01 1a14", kKeyHex))));
  EXPECT_EQ(read.fence_key, TestKey());
  // Even the header may come last.
  const auto last =
      DecodeAs<ReadRequest>(Buffer::CopyOf(FromHex("a20604 0801 1000 0a06080310011804")));
  EXPECT_EQ(last.ledger, LedgerId(1));
}

// Bad-input row 14: the operation names the message that counts.
TEST(RequestCodecV3Test, TwoMessages) {
  const auto read =
      DecodeAs<ReadLacRequest>(Buffer::CopyOf(FromHex("0a06080310071805 da0602 0802 c20602 0801")));
  EXPECT_EQ(read.ledger, LedgerId(1));
  // The message that does not count may even be malformed.
  DecodeAs<ReadLacRequest>(Buffer::CopyOf(FromHex("0a06080310071805 da0602 08ff c20602 0801")));
}

// As protobuf: pieces of a message are merged, and of a number the last value counts.
TEST(RequestCodecV3Test, RepeatedMessagesAndFieldsMerge) {
  const auto read = DecodeAs<ReadRequest>(
      Buffer::CopyOf(FromHex("0a06080310011804 a20604 0801 0802 a20602 1003")));
  EXPECT_EQ(read.ledger, LedgerId(2));
  EXPECT_EQ(read.entry, EntryId(3));
}

TEST(RequestCodecV3Test, ContextAndUnknownFieldsAreSkipped) {
  std::string frame = FromHex("0a06080310071805 c20602 0801");
  for (int i = 0; i < 10000; ++i) frame += FromHex("c20c06 0a0161 120162 d80c01");
  EXPECT_EQ(DecodeAs<ReadLacRequest>(Buffer::CopyOf(frame)).ledger, LedgerId(1));
}

// Bad-input rows 7 and 13.
TEST(RequestCodecV3Test, UnknownOperationsAreRefusedWithTheirHeader) {
  for (const std::string_view op : {"03", "04", "0c", "0d", "63", "00"}) {
    EXPECT_EQ(OutcomeOf(Cat("0a0808 0310", op, "1807 2005 a20604 08011000")),
              Compact(Cat("0000000d 0a0808 0310", op, "1807 2005 109403")));
  }
  // -1
  EXPECT_EQ(OutcomeOf("0a0f080310ffffffffffffffffff011807"),
            Compact("00000014 0a0f080310ffffffffffffffffff011807 109403"));
}

TEST(RequestCodecV3Test, AHeaderThatCannotBeReadCloses) {
  for (const std::string_view frame :
       {"0a", "0a06", "0a060803", "0a00", "0a0408031007",         // cut off, empty, no txn id
        "0a0410071805", "0a0408031805",                           // no version, no operation
        "0a06080310071805 c206", "0a06080310071805 c20603 0801",  // the rest is cut off
        "0a06080310071805 00", "0a06080310071805 0f",             // field 0, wire type 7
        "0a06080310071805 08ffffffffffffffffffff01",              // a varint of 11 bytes
        "0a06080310071805 0c", "0a06080310071805 0b", "0a06080310071805 0b14"}) {  // odd groups
    EXPECT_EQ(OutcomeOf(frame), "close") << frame;
  }
}

TEST(RequestCodecV3Test, GroupsAreSkippedToADepth) {
  const std::string request = FromHex("0a06080310071805 c20602 0801");
  const auto nested = [&](size_t depth) {
    return Buffer::CopyOf(request + std::string(depth, '\x63') + std::string(depth, '\x64'));
  };
  EXPECT_EQ(Outcome(nested(1)), "served");
  EXPECT_EQ(Outcome(nested(100)), "served");
  EXPECT_EQ(Outcome(nested(101)), "close");
  EXPECT_EQ(Outcome(nested(100000)), "close");
}

TEST(RequestCodecV3Test, OtherVersionsGetEbadversionWithIds) {
  EXPECT_EQ(OutcomeOf("0a06080210011804 a20604 0801 1007"),
            Compact("00000015 0a06080310011804 10f703 a20607 08f703 1001 1807"));
  EXPECT_EQ(ReasonFor("0a06080910071805 c20602 0801"), "EBADVERSION unknown_v3_version");
  EXPECT_EQ(OutcomeOf("0a06080210091801 d20600"), "served") << "START_TLS does not check";
}

// Row 12 of what was observed of Java; bad-input row 14.
TEST(RequestCodecV3Test, AMissingMessageIsABadRequest) {
  EXPECT_EQ(OutcomeOf("0a06080310021801"),
            Compact("00000027 0a06080310021801 109403 aa0619 089403 10ffffffffffffffffff01"
                    "18ffffffffffffffffff01"));
  for (const std::string_view op : {"01", "02", "05", "06", "07", "08", "09", "0a", "0b"}) {
    EXPECT_EQ(ReasonFor(Cat("0a060803 10", op, "1801")), "EBADREQ message_missing") << op;
  }
  // Wrong wire type: an unknown field, so it is missing too.
  EXPECT_EQ(ReasonFor("0a06080310071801 c00601"), "EBADREQ message_missing");
}

TEST(RequestCodecV3Test, AMissingFieldIsABadRequestWithTheIdsThatAreThere) {
  EXPECT_EQ(OutcomeOf("0a06080310011804 a20602 1007"),
            Compact("0000001e 0a06080310011804 109403 a20610 089403 10ffffffffffffffffff01 1807"));
  EXPECT_EQ(ReasonFor("0a06080310011804 a20602 0801"), "EBADREQ field_missing");
  EXPECT_EQ(ReasonFor("0a06080310071804 c20600"), "EBADREQ field_missing");
  EXPECT_EQ(ReasonFor("0a06080310071804 c20602 0a00"), "EBADREQ field_missing") << "wire type";
  EXPECT_EQ(ReasonFor("0a06080310051804 b20603 0a0161"), "EBADREQ field_missing");
  EXPECT_EQ(ReasonFor("0a06080310071804 c20602 08ff"), "EBADREQ malformed_message");
  EXPECT_EQ(ReasonFor(Cat("0a06080310021801 aa0635 0801 1000 222f", kHelloPacketHex, "2801")),
            "EBADREQ field_missing")
      << "no key";
}

std::string AddFrame(std::string_view fields_hex) {
  const std::string fields = FromHex(fields_hex);
  std::string frame = FromHex("0a06080310021801 aa06");
  STELE_CHECK(fields.size() < 128);
  frame += static_cast<char>(fields.size());
  return ToHex(frame + fields);
}

// Bad-input row 12.
TEST(RequestCodecV3Test, OuterIdsMustBeThoseOfTheBody) {
  EXPECT_EQ(ReasonFor(AddFrame(Cat("0802 1000 1a14", kKeyHex, "222f", kHelloPacketHex))),
            "EBADREQ ids_differ");
  EXPECT_EQ(ReasonFor(AddFrame(Cat("0801 1001 1a14", kKeyHex, "222f", kHelloPacketHex))),
            "EBADREQ ids_differ");
}

// Bad-input row 9.
TEST(RequestCodecV3Test, ShortBodies) {
  EXPECT_EQ(ReasonFor(AddFrame(Cat("0801 1000 1a14", kKeyHex, "2200"))), "EBADREQ entry_too_short");
  EXPECT_EQ(ReasonFor(AddFrame(Cat("0801 1000 1a14", kKeyHex,
                                   "2217 0000000000000001 0000000000000000 ffffffffffffff"))),
            "EBADREQ entry_too_short");
  EXPECT_EQ(ReasonFor(AddFrame(Cat("0801 1000 1a14", kKeyHex,
                                   "2218 0000000000000001 0000000000000000 ffffffffffffffff"))),
            "served");
}

// Bad-input rows 10 and 11.
TEST(RequestCodecV3Test, NegativeIds) {
  EXPECT_EQ(ReasonFor(AddFrame(Cat("0801 10ffffffffffffffffff01 1a14", kKeyHex,
                                   "2218 0000000000000001 ffffffffffffffff ffffffffffffffff"))),
            "EBADREQ negative_entry_id");
  EXPECT_EQ(ReasonFor(AddFrame(Cat("08ffffffffffffffffff01 1001 1a14", kKeyHex,
                                   "2218 ffffffffffffffff 0000000000000001 ffffffffffffffff"))),
            "EBADREQ negative_ledger_id");
  for (const std::string_view op : {"07 1801 c206", "0a 1801 da06", "0b 1801 e206"}) {
    EXPECT_EQ(ReasonFor(Cat("0a060803 10", op, "0b 0880808080808080808001")),
              "EBADREQ negative_ledger_id");
  }
  EXPECT_EQ(ReasonFor("0a06080310011804 a2060d 0801 10feffffffffffffffff01"),
            "EBADREQ negative_entry_id");
}

// Bad-input row 16.
TEST(RequestCodecV3Test, UnknownFlags) {
  const std::string_view body = "222f";
  const std::string start = Cat("0801 1000 1a14", kKeyHex, body, kHelloPacketHex);
  EXPECT_EQ(ReasonFor(AddFrame(Cat(start, "2800"))), "served");
  EXPECT_EQ(ReasonFor(AddFrame(Cat(start, "2801"))), "served");
  EXPECT_EQ(ReasonFor(AddFrame(Cat(start, "2802"))), "EBADREQ unknown_write_flags");
  EXPECT_EQ(ReasonFor(AddFrame(Cat(start, "28ffffffffffffffffff01"))),
            "EBADREQ unknown_write_flags");
  EXPECT_EQ(ReasonFor(AddFrame(Cat(start, "a00601"))), "served");
  EXPECT_EQ(ReasonFor(AddFrame(Cat(start, "a00602"))), "EBADREQ unknown_add_flags");
  const auto read =
      DecodeAs<ReadRequest>(Buffer::CopyOf(FromHex("0a06080310011804 a20607 0801 1000 a00607")));
  EXPECT_FALSE(read.fence_key.has_value());
}

// Bad-input row 17.
TEST(RequestCodecV3Test, KeysOfOtherSizes) {
  for (const size_t size : {size_t{0}, size_t{19}, size_t{21}, size_t{1} << 20}) {
    std::string key;
    AppendBigEndian(key, int8_t{0});
    key.assign(size, 'k');
    // The frames are built by hand, since the encoder only knows keys of the right size.
    const auto varint = [](size_t value) {
      std::string bytes;
      for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(value | 0x80);
      return bytes + static_cast<char>(value);
    };
    const std::string key_field = "\x1a" + varint(size) + key;
    const std::string add =
        FromHex("0801 1000") + key_field + FromHex(Cat("222f", kHelloPacketHex));
    const DecodedRequest decoded =
        DecodeRequest(Buffer::CopyOf(FromHex("0a06080310021801 aa06") + varint(add.size()) + add));
    ASSERT_TRUE(std::holds_alternative<RefusedRequest>(decoded)) << size;
    EXPECT_EQ(std::get<RefusedRequest>(decoded).reason, "bad_key_size");

    const std::string read = FromHex("0801 1000") + key_field + FromHex("a00601");
    const DecodedRequest fence = DecodeRequest(
        Buffer::CopyOf(FromHex("0a06080310011801 a206") + varint(read.size()) + read));
    ASSERT_TRUE(std::holds_alternative<RefusedRequest>(fence)) << size;
    EXPECT_EQ(std::get<RefusedRequest>(fence).reason, "bad_key_size");
  }
  EXPECT_EQ(ReasonFor("0a06080310011801 a20607 0801 1000 a00601"), "EUA fence_without_key");
}

// Bad-input row 25, as far as one frame can tell.
TEST(RequestCodecV3Test, LongPollsAreClamped) {
  const auto poll = DecodeAs<ReadRequest>(Buffer::CopyOf(
      FromHex("0a06080310011803 a20623 0801 10ffffffffffffffffff01 20feffffffffffffffff01"
              "28ffffffffffffffffff01")));
  EXPECT_EQ(poll.previous_lac, kNoEntry);
  EXPECT_EQ(poll.timeout_ms, 0);
  EXPECT_EQ(ReasonFor("0a06080310011803 a20609 0801 1000 2004 a00602"),
            "EBADREQ piggyback_of_an_entry");
}

// Trap 9: one flag only; fencing wins over a long poll, and piggyback needs one.
TEST(RequestCodecV3Test, FencingIsNoLongPoll) {
  const auto fence = DecodeAs<ReadRequest>(Buffer::CopyOf(
      FromHex(Cat("0a06080310011803 a2061f 0801 1000 1a14", kKeyHex, "2004 a00601"))));
  EXPECT_EQ(fence.fence_key, TestKey());
  EXPECT_FALSE(fence.previous_lac.has_value());
  const auto plain =
      DecodeAs<ReadRequest>(Buffer::CopyOf(FromHex("0a06080310011803 a20607 0801 1000 a00602")));
  EXPECT_FALSE(plain.piggyback_entry);

  ReadRequest both = ReadOf(-1);
  both.fence_key = TestKey();
  both.previous_lac = EntryId(1);
  EXPECT_EQ(CodeOf(EncodeRequest({V3(1), both}).status()), ErrorCode::kUnsupported);
}

// Bad-input row 26.
TEST(RequestCodecV3Test, WriteLacBodies) {
  const auto frame = [](std::string_view ids, std::string_view body) {
    const std::string inner = FromHex(Cat(ids, "1a14", kKeyHex)) + "\x22" +
                              static_cast<char>(FromHex(body).size()) + FromHex(body);
    return ToHex(FromHex("0a06080310061801 ba06") + static_cast<char>(inner.size()) + inner);
  };
  EXPECT_EQ(ReasonFor(frame("0801 1005", "0000000000000001 0000000000000005")), "served");
  EXPECT_EQ(ReasonFor(frame("0801 1005", "0000000000000001 0000000000000005 00")),
            "EBADREQ bad_explicit_lac_size");
  EXPECT_EQ(ReasonFor(frame("0801 1005", "0000000000000001 00000000000005")),
            "EBADREQ bad_explicit_lac_size");
  EXPECT_EQ(ReasonFor(frame("0802 1005", "0000000000000001 0000000000000005")),
            "EBADREQ ids_differ");
  EXPECT_EQ(ReasonFor(frame("0801 1006", "0000000000000001 0000000000000005")),
            "EBADREQ ids_differ");
}

TEST(RequestCodecV3Test, BatchReadIsV2Only) {
  EXPECT_EQ(CodeOf(EncodeRequest({V3(1), BatchReadRequest{}}).status()), ErrorCode::kUnsupported);
}

// START_TLS and AUTH may come as v3 before v2 frames of the same connection, and the reverse.
TEST(RequestCodecTest, TheVersionIsToldPerFrame) {
  EXPECT_EQ(Decode(FrameOf("0000000b 0a06080310091801 d20600")).header.version,
            ProtocolVersion::kV3);
  EXPECT_EQ(Decode(FrameOf("00000014 02020000 0000000000000001 0000000000000000")).header.version,
            ProtocolVersion::kV2);
  EXPECT_EQ(Decode(FrameOf("0000000d 0a06080310071805 c20602 0801")).header.version,
            ProtocolVersion::kV3);
}

}  // namespace
}  // namespace stele::wire
