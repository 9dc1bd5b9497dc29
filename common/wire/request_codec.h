// Requests: what a bookie makes of a frame, and the frames that a client sends.
#pragma once

#include <string_view>
#include <variant>

#include "absl/status/statusor.h"
#include "common/wire/bookie_messages.h"
#include "common/wire/entry_packet.h"

namespace stele::wire {

// A request that cannot be served, and the reply that says so. The connection stays open.
struct RefusedRequest {
  OutgoingFrame reply;
  RequestHeader header;
  ReplyCode code = ReplyCode::kBadRequest;
  std::string_view reason;  // a constant in snake_case: the label of a metric
};

// A frame that no reply can be given to: close the connection.
struct UnreadableFrame {
  std::string_view reason;  // a constant in snake_case: the label of a metric
};

using DecodedRequest = std::variant<Request, RefusedRequest, UnreadableFrame>;

// Decodes one frame (without its length prefix). The version is told by the first byte, per frame.
// The Buffers of the request are views into the frame; nothing else refers to it. Time and memory
// are linear in the frame's size, whatever its bytes.
//
// A Request has passed every check that needs no state: version, flags, key sizes, ids (never below
// 0; a read may ask for kNoEntry), ids outside and inside the body equal.
//   source   docs/PROTOCOL.md "What a bookie refuses"
DecodedRequest DecodeRequest(const Buffer& frame);

// Encodes a request; header.operation is taken from the body.
//   errors   kUnsupported   this version of the protocol has no such request (v2: everything but
//   ADD,
//                           READ, BATCH_READ and AUTH, long polls, deferred sync; v3: BATCH_READ)
absl::StatusOr<OutgoingFrame> EncodeRequest(const Request& request);

// An ADD whose packet is in two pieces, so that the payload is not copied. In v2 the frame is the
// same for every bookie of the write set.
struct EntryToAdd {
  LedgerId ledger;
  EntryId entry;
  MasterKey master_key{};
  bool recovery = false;
  bool deferred_sync = false;
  EntryHead head;
  Buffer payload;
};
//   errors   kUnsupported   deferred_sync in v2
absl::StatusOr<OutgoingFrame> EncodeAdd(const RequestHeader& header, const EntryToAdd& add);

}  // namespace stele::wire
