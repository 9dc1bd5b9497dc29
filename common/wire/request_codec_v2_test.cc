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

TEST(RequestCodecV2Test, WorkedAdd) {
  const std::string frame = Compact(Cat("00000047 02010000", kKeyHex, kHelloPacketHex));
  EXPECT_EQ(Encode(V2(), HelloAdd()), frame);

  const Buffer bytes = FrameOf(frame);
  const Request request = Decode(bytes);
  EXPECT_EQ(request.header.version, ProtocolVersion::kV2);
  EXPECT_EQ(request.header.v2_version, 2);
  EXPECT_EQ(request.header.operation, Operation::kAdd);
  EXPECT_FALSE(request.header.high_priority);
  const auto& add = std::get<AddRequest>(request.body);
  EXPECT_EQ(add.ledger, LedgerId(1));
  EXPECT_EQ(add.entry, EntryId(0));
  EXPECT_EQ(add.master_key, TestKey());
  EXPECT_FALSE(add.recovery);
  EXPECT_EQ(add.body, HelloPacket());
  EXPECT_EQ(add.body.data(), bytes.data() + 24) << "the body is a view, not a copy";
}

TEST(RequestCodecV2Test, AddInTwoPiecesIsTheSameFrame) {
  const Digester digester(DigestType::kCrc32c);
  const Buffer payload = Buffer::CopyOf("hello world");
  EntryToAdd add;
  add.ledger = LedgerId(1);
  add.entry = EntryId(0);
  add.master_key = TestKey();
  add.head = EntryHead({.ledger = LedgerId(1),
                        .entry = EntryId(0),
                        .last_add_confirmed = kNoEntry,
                        .length_bytes = 11},
                       payload.view(), digester);
  add.payload = payload;
  for (const RequestHeader& header : {V2(), V3(1)}) {
    const auto frame = EncodeAdd(header, add);
    ASSERT_TRUE(frame.ok());
    EXPECT_EQ(HexOnTheWire(*frame), Encode(header, HelloAdd()));
    EXPECT_EQ(frame->body.data(), payload.data()) << "the payload is not copied";
  }
}

TEST(RequestCodecV2Test, WorkedReads) {
  const std::string plain = Compact("00000014 02020000 0000000000000001 0000000000000000");
  EXPECT_EQ(Encode(V2(), ReadOf(0)), plain);
  const auto decoded = DecodeAs<ReadRequest>(FrameOf(plain));
  EXPECT_EQ(decoded.ledger, LedgerId(1));
  EXPECT_EQ(decoded.entry, EntryId(0));
  EXPECT_FALSE(decoded.fence_key.has_value());

  const std::string fencing =
      Compact(Cat("00000028 02020001 0000000000000001 ffffffffffffffff", kKeyHex));
  ReadRequest fence = ReadOf(-1);
  fence.fence_key = TestKey();
  EXPECT_EQ(Encode(V2(), fence), fencing);
  EXPECT_EQ(DecodeAs<ReadRequest>(FrameOf(fencing)).fence_key, TestKey());
  EXPECT_EQ(DecodeAs<ReadRequest>(FrameOf(fencing)).entry, kNoEntry);

  const std::string recovery =
      Compact(Cat("00000028 02020005 0000000000000001 0000000000000003", kKeyHex));
  fence.entry = EntryId(3);
  RequestHeader header = V2();
  header.high_priority = true;
  EXPECT_EQ(Encode(header, fence), recovery);
  EXPECT_TRUE(Decode(FrameOf(recovery)).header.high_priority);
}

TEST(RequestCodecV2Test, WorkedBatchRead) {
  const std::string frame = Compact(
      "00000028 02070000 0000000000000001 0000000000000000 0000000000000009 00000064"
      "0000000000100000");
  BatchReadRequest batch;
  batch.ledger = LedgerId(1);
  batch.first_entry = EntryId(0);
  batch.request_id = 9;
  batch.count_max = 100;
  batch.size_max_bytes = 1 << 20;
  EXPECT_EQ(Encode(V2(), batch), frame);
  const auto decoded = DecodeAs<BatchReadRequest>(FrameOf(frame));
  EXPECT_EQ(decoded.ledger, LedgerId(1));
  EXPECT_EQ(decoded.first_entry, EntryId(0));
  EXPECT_EQ(decoded.request_id, 9);
  EXPECT_EQ(decoded.count_max, 100);
  EXPECT_EQ(decoded.size_max_bytes, 1 << 20);
  EXPECT_FALSE(decoded.fence_key.has_value());

  batch.fence_key = TestKey();
  EXPECT_EQ(DecodeAs<BatchReadRequest>(FrameOf(Encode(V2(), batch))).fence_key, TestKey());
}

// Limits of a batch are the bookie's to clamp; the codec hands over whatever they are.
TEST(RequestCodecV2Test, BatchReadWithExtremeLimits) {
  BatchReadRequest batch;
  batch.ledger = LedgerId(std::numeric_limits<int64_t>::max());
  batch.first_entry = kNoEntry;
  batch.count_max = std::numeric_limits<int32_t>::min();
  batch.size_max_bytes = -1;
  const auto decoded = DecodeAs<BatchReadRequest>(FrameOf(Encode(V2(), batch)));
  EXPECT_EQ(decoded.count_max, batch.count_max);
  EXPECT_EQ(decoded.size_max_bytes, -1);
  EXPECT_EQ(decoded.first_entry, kNoEntry);
}

TEST(RequestCodecV2Test, AuthRoundTrip) {
  const std::string frame = Encode(V2(), AuthRequest{"sasl", std::string("a\0b", 3)});
  EXPECT_EQ(frame.substr(8, 8), "02030000");
  const auto decoded = DecodeAs<AuthRequest>(FrameOf(frame));
  EXPECT_EQ(decoded.plugin_name, "sasl");
  EXPECT_EQ(decoded.payload, std::string("a\0b", 3));
}

TEST(RequestCodecV2Test, RecoveryAddAndPriority) {
  AddRequest add = HelloAdd();
  add.recovery = true;
  RequestHeader header = V2();
  header.high_priority = true;
  const std::string frame = Encode(header, add);
  EXPECT_EQ(frame.substr(8, 8), "02010006");
  EXPECT_TRUE(DecodeAs<AddRequest>(FrameOf(frame)).recovery);
  EXPECT_TRUE(Decode(FrameOf(frame)).header.high_priority);
}

// Bad-input row 6.
TEST(RequestCodecV2Test, VersionsZeroToTwoAreServed) {
  const std::string rest = Cat(kKeyHex, kHelloPacketHex);
  const Request v0 = Decode(Buffer::CopyOf(FromHex(Cat("00000001", rest))));
  EXPECT_EQ(v0.header.v2_version, 0);
  EXPECT_EQ(v0.header.operation, Operation::kAdd);
  EXPECT_EQ(Decode(Buffer::CopyOf(FromHex(Cat("01010000", rest)))).header.v2_version, 1);
  // In version 0 there are no flags: this is a plain read of operation 2.
  EXPECT_FALSE(
      DecodeAs<ReadRequest>(Buffer::CopyOf(FromHex("00000002 0000000000000001 0000000000000000")))
          .fence_key.has_value());
}

TEST(RequestCodecV2Test, OtherVersionsOfAKnownOpcodeGetEbadversion) {
  for (const std::string_view version : {"03", "0b", "7f", "80", "ff"}) {
    EXPECT_EQ(
        OutcomeOf(Cat(version, "010000", kKeyHex, kHelloPacketHex)),
        Compact(Cat("00000018", version, "010000 00000067 0000000000000001 0000000000000000")));
    EXPECT_EQ(
        OutcomeOf(Cat(version, "020000 0000000000000001 0000000000000003")),
        Compact(Cat("00000018", version, "020000 00000067 0000000000000001 0000000000000003")));
    EXPECT_EQ(OutcomeOf(Cat(version,
                            "070000 0000000000000001 0000000000000000 0000000000000009 00000064"
                            "0000000000100000")),
              Compact(Cat("00000020", version,
                          "070000 00000067 0000000000000001 0000000000000000 0000000000000009")));
    EXPECT_EQ(OutcomeOf(Cat(version, "030000 0a0161 1200")), "close");
    EXPECT_EQ(OutcomeOf(Cat(version, "090000 0000000000000001 0000000000000003")), "close");
  }
}

// A misread v3 frame would be version 10 of v2; a reply that starts with 0x0a would be read as v3.
TEST(RequestCodecV2Test, ThereIsNoVersionTen) {
  EXPECT_EQ(OutcomeOf(Cat("0a010000", kKeyHex, kHelloPacketHex)), "close");
  EXPECT_EQ(OutcomeOf("0a070000 0000000000000001 0000000000000000 0000000000000009 00000064"
                      "0000000000100000"),
            "close");
}

// Bad-input row 7.
TEST(RequestCodecV2Test, UnknownOpcodesClose) {
  for (const std::string_view opcode : {"00", "04", "05", "06", "08", "ff"}) {
    EXPECT_EQ(OutcomeOf(Cat("02", opcode, "0000 0000000000000001 0000000000000000")), "close");
  }
  EXPECT_EQ(OutcomeOf("00000000"), "close");
  EXPECT_EQ(OutcomeOf("00000009"), "close");
}

// Bad-input rows 2, 8 and 9.
TEST(RequestCodecV2Test, ShortFrames) {
  const std::string add = FromHex(Cat("02010000", kKeyHex, kHelloPacketHex));
  for (size_t size = 0; size <= add.size(); ++size) {
    const std::string outcome = Outcome(Buffer::CopyOf(std::string_view(add).substr(0, size)));
    const std::string ledger = size >= 32 ? "0000000000000001" : "ffffffffffffffff";
    const std::string entry = size >= 40 ? "0000000000000000" : "ffffffffffffffff";
    const std::string bad_request = Compact(Cat("00000018 02010000 00000064", ledger, entry));
    EXPECT_EQ(outcome, size < 4 ? "close" : size < 48 ? bad_request : "served") << size;
  }
  const std::string read = FromHex("02020000 0000000000000001 0000000000000000");
  for (size_t size = 0; size <= read.size(); ++size) {
    const std::string outcome = Outcome(Buffer::CopyOf(std::string_view(read).substr(0, size)));
    EXPECT_EQ(outcome, size < 20 ? "close" : "served") << size;
  }
  const std::string fence = FromHex(Cat("02020001 0000000000000001 0000000000000003", kKeyHex));
  for (size_t size = 20; size <= fence.size(); ++size) {
    const std::string outcome = Outcome(Buffer::CopyOf(std::string_view(fence).substr(0, size)));
    EXPECT_EQ(outcome, size < 40
                           ? Compact("00000018 02020000 00000064 0000000000000001 0000000000000003")
                           : "served")
        << size;
  }
  const std::string batch = FromHex(
      "02070000 0000000000000001 0000000000000000 0000000000000009 00000064 0000000000100000");
  for (size_t size = 0; size <= batch.size(); ++size) {
    const std::string outcome = Outcome(Buffer::CopyOf(std::string_view(batch).substr(0, size)));
    EXPECT_EQ(outcome, size < 40 ? "close" : "served") << size;
  }
}

TEST(RequestCodecV2Test, TrailingBytesOfAReadAreIgnored) {
  EXPECT_EQ(OutcomeOf("02020000 0000000000000001 0000000000000000 00"), "served");
}

// Version 1 knows the fence flag and has no key.
TEST(RequestCodecV2Test, FencingWithoutAKeyIsUnauthorized) {
  EXPECT_EQ(OutcomeOf(Cat("01020001 0000000000000001 ffffffffffffffff", kKeyHex)),
            Compact("00000018 01020000 00000066 0000000000000001 ffffffffffffffff"));
}

// Bad-input rows 10 and 11.
TEST(RequestCodecV2Test, NegativeIdsAreRefused) {
  const std::string_view rest = "ffffffffffffffff 0000000000000000 00000000";
  const std::string_view negatives[] = {"ffffffffffffffff", "fffffffffffffffe", "fffffffffffff000",
                                        "ffffffffffffe000", "ffffffffffffc000", "ffffffffffff8000",
                                        "8000000000000000"};
  for (const std::string_view id : negatives) {
    EXPECT_EQ(OutcomeOf(Cat(Cat("02010000", kKeyHex, "0000000000000001"), id, rest)),
              Compact(Cat("00000018 02010000 00000064 0000000000000001", id)));
    EXPECT_EQ(OutcomeOf(Cat(Cat("02010000", kKeyHex, id), "0000000000000001", rest)),
              Compact(Cat("00000018 02010000 00000064", id, "0000000000000001")));
    EXPECT_EQ(OutcomeOf(Cat("02020000", id, "0000000000000001")),
              Compact(Cat("00000018 02020000 00000064", id, "0000000000000001")));
    const bool is_none = id == "ffffffffffffffff";
    EXPECT_EQ(OutcomeOf(Cat("02020000 0000000000000001", id)),
              is_none ? "served" : Compact(Cat("00000018 02020000 00000064 0000000000000001", id)));
  }
  EXPECT_EQ(OutcomeOf(Cat(Cat("02010000", kKeyHex, "7fffffffffffffff"), "7fffffffffffffff", rest)),
            "served");
}

// Bad-input row 16.
TEST(RequestCodecV2Test, UnknownFlagsAreRefusedForAddAndIgnoredForRead) {
  for (const std::string_view flags : {"0001", "0008", "8000", "fff9"}) {
    EXPECT_EQ(ReasonFor(Cat(Cat("0201", flags), kKeyHex, kHelloPacketHex)),
              "EBADREQ unknown_add_flags");
  }
  EXPECT_EQ(OutcomeOf("0202fff8 0000000000000001 0000000000000000"), "served");
}

// Bad-input row 5.
TEST(RequestCodecV2Test, OtherProtocolsClose) {
  for (const std::string_view text :
       {"GET / HTTP/1.1\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "\x16\x03\x01\x02\x20\x01",
        "\x50RI * HTTP/2.0", "\xff\xff\xff\xff\xff"}) {
    EXPECT_EQ(Outcome(Buffer::CopyOf(text)), "close") << text;
  }
}

TEST(RequestCodecV2Test, WhatV2DoesNotHave) {
  ReadRequest poll = ReadOf(-1);
  poll.previous_lac = EntryId(4);
  AddRequest deferred = HelloAdd();
  deferred.deferred_sync = true;
  const RequestBody bodies[] = {poll,
                                deferred,
                                WriteLacRequest{},
                                ReadLacRequest{},
                                ForceLedgerRequest{},
                                GetBookieInfoRequest{},
                                ListEntriesRequest{},
                                StartTlsRequest{}};
  for (const RequestBody& body : bodies) {
    EXPECT_EQ(CodeOf(EncodeRequest({V2(), body}).status()), ErrorCode::kUnsupported)
        << body.index();
  }
  EntryToAdd add;
  add.deferred_sync = true;
  EXPECT_EQ(CodeOf(EncodeAdd(V2(), add).status()), ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace stele::wire
