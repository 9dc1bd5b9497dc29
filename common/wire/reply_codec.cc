#include "common/wire/reply_codec.h"

#include <utility>

#include "common/base/errors.h"
#include "common/wire/codec_internal.h"
#include "common/wire/protobuf_wire.h"
#include "common/wire/v3_fields.h"

namespace stele::wire {
namespace {

constexpr char kV3FirstByte = 0x0a;

// The reply of an operation with the ids of its request and nothing else.
struct EmptyReply {
  ReplyBody operator()(const AddRequest& r) const { return AddReply{r.ledger, r.entry}; }
  ReplyBody operator()(const ReadRequest& r) const {
    ReadReply reply;
    reply.ledger = r.ledger;
    reply.entry = r.entry;
    return reply;
  }
  ReplyBody operator()(const BatchReadRequest& r) const {
    return BatchReadReply{r.ledger, r.first_entry, r.request_id, {}};
  }
  ReplyBody operator()(const WriteLacRequest& r) const { return WriteLacReply{r.ledger}; }
  ReplyBody operator()(const ReadLacRequest& r) const { return ReadLacReply{r.ledger, {}, {}}; }
  ReplyBody operator()(const ForceLedgerRequest& r) const { return ForceLedgerReply{r.ledger}; }
  ReplyBody operator()(const GetBookieInfoRequest&) const { return GetBookieInfoReply{}; }
  ReplyBody operator()(const ListEntriesRequest& r) const { return ListEntriesReply{r.ledger, {}}; }
  // Their failures are told by header and status alone.
  ReplyBody operator()(const AuthRequest&) const { return std::monostate{}; }
  ReplyBody operator()(const StartTlsRequest&) const { return std::monostate{}; }
};

}  // namespace

namespace internal {

std::string EncodeAuthMessage(std::string_view plugin_name, std::string_view payload) {
  std::string message;
  message.reserve(plugin_name.size() + payload.size() + 16);
  ProtoWriter writer(message);
  writer.Bytes(v3::kPluginName, plugin_name);
  writer.Bytes(v3::kPayload, payload);
  return message;
}

std::optional<AuthMessage> DecodeAuthMessage(std::string_view bytes) {
  std::optional<std::string_view> name, payload;
  ProtoReader reader(bytes);
  while (reader.Next()) {
    if (reader.IsBytes(v3::kPluginName)) name = reader.bytes();
    if (reader.IsBytes(v3::kPayload)) payload = reader.bytes();
  }
  if (reader.malformed() || !name.has_value() || !payload.has_value()) return std::nullopt;
  return AuthMessage{*name, *payload};
}

}  // namespace internal

OutgoingFrame EncodeAddReply(const RequestHeader& header, ReplyCode code, LedgerId ledger,
                             EntryId entry) {
  return header.version == ProtocolVersion::kV2
             ? internal::EncodeV2AddReply(header, code, ledger, entry)
             : internal::EncodeV3AddReply(header, code, ledger, entry);
}

OutgoingFrame EncodeReply(const RequestHeader& header, ReplyCode code, const ReplyBody& body) {
  return header.version == ProtocolVersion::kV2 ? internal::EncodeV2Reply(header, code, body)
                                                : internal::EncodeV3Reply(header, code, body);
}

std::optional<OutgoingFrame> EncodeError(const Request& request, ReplyCode code) {
  const ReplyBody body = std::visit(EmptyReply{}, request.body);
  if (request.header.version == ProtocolVersion::kV2 &&
      std::holds_alternative<std::monostate>(body)) {
    return std::nullopt;
  }
  return EncodeReply(request.header, code, body);
}

std::optional<OutgoingFrame> EncodeUnauthenticated(const Request& request) {
  if (request.header.version == ProtocolVersion::kV3) {
    return EncodeStatusOnly(request.header, ReplyCode::kUnauthorized);
  }
  // Java closes the connection on a BATCH_READ here, and clients know what that means.
  if (std::holds_alternative<BatchReadRequest>(request.body)) return std::nullopt;
  return EncodeError(request, ReplyCode::kUnauthorized);
}

OutgoingFrame EncodeStatusOnly(const RequestHeader& header, ReplyCode code) {
  return internal::EncodeV3Reply(header, code, std::monostate{});
}

absl::StatusOr<Reply> DecodeReply(ProtocolVersion version, const Buffer& frame) {
  if (version == ProtocolVersion::kV3) return internal::DecodeV3Reply(frame);
  if (!frame.empty() && frame.data()[0] == kV3FirstByte) {
    return MakeError(ErrorCode::kProtocolVersion, "a v3 reply on a v2 connection");
  }
  return internal::DecodeV2Reply(frame);
}

}  // namespace stele::wire
