#include "common/wire/request_codec.h"

#include <utility>

#include "common/base/errors.h"
#include "common/wire/codec_internal.h"
#include "common/wire/v2_layout.h"

namespace stele::wire {
namespace internal {

Verdict CheckLedger(LedgerId ledger) {
  return ledger.IsValid() ? Verdict{} : BadRequest("negative_ledger_id");
}

Verdict CheckAdd(const AddRequest& add) {
  const auto ids = ParseEntryIds(add.body.view());
  if (!ids.ok()) return BadRequest("entry_too_short");
  // The ids inside are stored and read back; others outside would file it under a wrong name.
  if (ids->ledger != add.ledger || ids->entry != add.entry) return BadRequest("ids_differ");
  // Negative entry ids mark the journal's own records: such an entry would poison the next replay.
  if (add.entry.IsNone()) return BadRequest("negative_entry_id");
  return CheckLedger(add.ledger);
}

Verdict CheckRead(const ReadRequest& read) {
  if (read.entry < kNoEntry) return BadRequest("negative_entry_id");
  if (read.piggyback_entry && read.entry != kNoEntry) return BadRequest("piggyback_of_an_entry");
  return CheckLedger(read.ledger);
}

DecodedRequest Judge(const RequestHeader& header, RequestBody body, const Verdict& verdict) {
  Request request{header, std::move(body)};
  if (verdict.ok()) return request;
  auto reply = EncodeError(request, verdict.code);
  if (!reply.has_value()) return UnreadableFrame{verdict.reason};
  return RefusedRequest{*std::move(reply), header, verdict.code, verdict.reason};
}

}  // namespace internal

namespace {

// The tag of a v3 message's first field, the header. As a v2 version it would be 10.
constexpr char kV3FirstByte = 0x0a;

}  // namespace

DecodedRequest DecodeRequest(const Buffer& frame) {
  if (frame.empty()) return UnreadableFrame{"empty_frame"};
  const char first = frame.data()[0];
  // The versions of v2 are field number 0 to protobuf: no v3 message begins so.
  if (static_cast<uint8_t>(first) > v2::kVersionMax) {
    if (auto request = internal::DecodeV3Request(frame); request.has_value()) {
      return *std::move(request);
    }
    // A v2 reply of version 10 would be taken for v3 by whoever reads it.
    if (first == kV3FirstByte) return UnreadableFrame{"malformed_v3"};
  }
  return internal::DecodeV2Request(frame);
}

absl::StatusOr<OutgoingFrame> EncodeRequest(const Request& request) {
  return request.header.version == ProtocolVersion::kV2 ? internal::EncodeV2Request(request)
                                                        : internal::EncodeV3Request(request);
}

absl::StatusOr<OutgoingFrame> EncodeAdd(const RequestHeader& header, const EntryToAdd& add) {
  if (header.version == ProtocolVersion::kV3) return internal::EncodeV3Add(header, add);
  if (add.deferred_sync) {
    return MakeError(ErrorCode::kUnsupported, "protocol v2 has no deferred sync");
  }
  return internal::EncodeV2Add(header, add);
}

}  // namespace stele::wire
