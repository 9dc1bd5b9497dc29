// What the files of the codecs share; nobody else includes it.
#pragma once

#include <optional>
#include <string_view>

#include "absl/status/statusor.h"
#include "common/base/buffer.h"
#include "common/wire/bookie_messages.h"
#include "common/wire/reply_codec.h"
#include "common/wire/request_codec.h"

namespace stele::wire::internal {

// Why a request is refused; kOk: it is not.
struct Verdict {
  ReplyCode code = ReplyCode::kOk;
  std::string_view reason;

  bool ok() const { return code == ReplyCode::kOk; }
};

inline Verdict BadRequest(std::string_view reason) { return {ReplyCode::kBadRequest, reason}; }

// The checks that need no state and are the same in both versions.
Verdict CheckAdd(const AddRequest& add);
Verdict CheckRead(const ReadRequest& read);
Verdict CheckLedger(LedgerId ledger);

// The request, or its refusal with the ids of `body`.
DecodedRequest Judge(const RequestHeader& header, RequestBody body, const Verdict& verdict);

// Nothing when the frame is no v3 request with a readable header.
std::optional<DecodedRequest> DecodeV3Request(const Buffer& frame);
DecodedRequest DecodeV2Request(const Buffer& frame);

absl::StatusOr<OutgoingFrame> EncodeV2Request(const Request& request);
absl::StatusOr<OutgoingFrame> EncodeV3Request(const Request& request);
OutgoingFrame EncodeV2Add(const RequestHeader& header, const EntryToAdd& add);
OutgoingFrame EncodeV3Add(const RequestHeader& header, const EntryToAdd& add);

OutgoingFrame EncodeV2AddReply(const RequestHeader& header, ReplyCode code, LedgerId ledger,
                               EntryId entry);
OutgoingFrame EncodeV3AddReply(const RequestHeader& header, ReplyCode code, LedgerId ledger,
                               EntryId entry);
OutgoingFrame EncodeV2Reply(const RequestHeader& header, ReplyCode code, const ReplyBody& body);
OutgoingFrame EncodeV3Reply(const RequestHeader& header, ReplyCode code, const ReplyBody& body);

absl::StatusOr<Reply> DecodeV2Reply(const Buffer& frame);
absl::StatusOr<Reply> DecodeV3Reply(const Buffer& frame);

// AuthMessage is the same message in both versions and directions: 1 plugin name, 2 payload.
std::string EncodeAuthMessage(std::string_view plugin_name, std::string_view payload);
struct AuthMessage {
  std::string_view plugin_name;
  std::string_view payload;
};
// Nothing when it is malformed or a field is missing.
std::optional<AuthMessage> DecodeAuthMessage(std::string_view bytes);

// The part of `frame` that `bytes`, a view into it, covers.
inline Buffer SliceOf(const Buffer& frame, std::string_view bytes) {
  return frame.Slice(static_cast<size_t>(bytes.data() - frame.data()), bytes.size());
}

}  // namespace stele::wire::internal
