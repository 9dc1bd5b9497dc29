// What the tests of request decoding share.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include <gtest/gtest.h>

#include "common/wire/request_codec.h"
#include "common/wire/wire_test_bytes.h"

namespace stele::wire {

inline constexpr std::string_view kKeyHex = "2e2a69d870796fe05c0e77c52a29ce5e4222b758";

inline std::string Cat(std::string_view a, std::string_view b = {}, std::string_view c = {},
                       std::string_view d = {}) {
  return std::string(a) + std::string(b) + std::string(c) + std::string(d);
}

inline RequestHeader V2() {
  RequestHeader header;
  header.version = ProtocolVersion::kV2;
  return header;
}
inline RequestHeader V3(uint64_t txn_id) {
  RequestHeader header;
  header.txn_id = txn_id;
  return header;
}

inline AddRequest HelloAdd() {
  AddRequest add;
  add.ledger = LedgerId(1);
  add.entry = EntryId(0);
  add.master_key = TestKey();
  add.body = HelloPacket();
  return add;
}

inline ReadRequest ReadOf(int64_t entry) {
  ReadRequest read;
  read.ledger = LedgerId(1);
  read.entry = EntryId(entry);
  return read;
}

inline std::string Encode(const RequestHeader& header, RequestBody body) {
  const auto frame = EncodeRequest({header, std::move(body)});
  EXPECT_TRUE(frame.ok()) << frame.status();
  return frame.ok() ? HexOnTheWire(*frame) : "";
}

// The request that a frame holds; a default one and a failed test when it holds none.
inline Request Decode(const Buffer& frame) {
  DecodedRequest decoded = DecodeRequest(frame);
  if (const auto* refused = std::get_if<RefusedRequest>(&decoded)) {
    ADD_FAILURE() << "refused: " << refused->reason;
  } else if (const auto* unreadable = std::get_if<UnreadableFrame>(&decoded)) {
    ADD_FAILURE() << "unreadable: " << unreadable->reason;
  } else {
    return std::get<Request>(std::move(decoded));
  }
  return {};
}
template <typename Body>
Body DecodeAs(const Buffer& frame) {
  Request request = Decode(frame);
  if (auto* body = std::get_if<Body>(&request.body)) return std::move(*body);
  ADD_FAILURE() << "another request";
  return {};
}

// "reply bytes" of a refusal, "close" for an unreadable frame, "served" for a request.
inline std::string Outcome(const Buffer& frame) {
  const DecodedRequest decoded = DecodeRequest(frame);
  if (const auto* refused = std::get_if<RefusedRequest>(&decoded)) {
    return HexOnTheWire(refused->reply);
  }
  return std::holds_alternative<UnreadableFrame>(decoded) ? "close" : "served";
}
inline std::string OutcomeOf(std::string_view message_hex) {
  return Outcome(Buffer::CopyOf(FromHex(message_hex)));
}
inline std::string ReasonFor(std::string_view message_hex) {
  const DecodedRequest decoded = DecodeRequest(Buffer::CopyOf(FromHex(message_hex)));
  if (const auto* refused = std::get_if<RefusedRequest>(&decoded)) {
    return Cat(NameOf(refused->code), " ", refused->reason);
  }
  if (const auto* unreadable = std::get_if<UnreadableFrame>(&decoded)) {
    return Cat("close ", unreadable->reason);
  }
  return "served";
}

}  // namespace stele::wire
