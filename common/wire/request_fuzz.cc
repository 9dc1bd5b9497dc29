// Requests: any bytes are decoded without harm, what is served survives encoding, and where
// protobuf takes a frame as a complete request of known enum values, we read the same header.
#include <cstdint>
#include <string>
#include <variant>

#include "common/base/check.h"
#include "common/wire/reply_codec.h"
#include "common/wire/request_codec.h"
#include "common/wire/wire_test_bytes.h"
#include "proto/bookkeeper.pb.h"

namespace stele::wire {
namespace {

bool IsInside(const Buffer& frame, const Buffer& part) {
  return part.empty() ||
         (part.data() >= frame.data() && part.data() + part.size() <= frame.data() + frame.size());
}

void CheckServed(const Buffer& frame, const Request& request) {
  if (const auto* add = std::get_if<AddRequest>(&request.body)) {
    STELE_CHECK(IsInside(frame, add->body));
    STELE_CHECK(add->body.size() >= kEntryIdsSize);
    STELE_CHECK(add->ledger.IsValid() && !add->entry.IsNone());
  }
  if (const auto* write = std::get_if<WriteLacRequest>(&request.body)) {
    STELE_CHECK(IsInside(frame, write->body));
  }
  const auto once = EncodeRequest(request);
  STELE_CHECK(once.ok());
  const Buffer bytes = Flatten(*once);
  const DecodedRequest again = DecodeRequest(bytes);
  STELE_CHECK(std::holds_alternative<Request>(again));
  const auto twice = EncodeRequest(std::get<Request>(again));
  STELE_CHECK(twice.ok());
  STELE_CHECK(bytes == Flatten(*twice));
  const auto error = EncodeError(request, ReplyCode::kIoError);
  STELE_CHECK(error.has_value() || request.header.operation == Operation::kAuth);
}

void CheckRefused(const RefusedRequest& refused) {
  STELE_CHECK(refused.code != ReplyCode::kOk);
  const Buffer bytes = Flatten(refused.reply);
  const bool is_v3 = bytes.data()[0] == 0x0a;
  STELE_CHECK(is_v3 == (refused.header.version == ProtocolVersion::kV3));
  const auto reply = DecodeReply(refused.header.version, bytes);
  if (!is_v3 && refused.code == ReplyCode::kBadVersion) return;  // in a version that we cannot read
  STELE_CHECK(reply.ok());
  STELE_CHECK(reply->code == refused.code && reply->txn_id == refused.header.txn_id);
}

void CompareWithProtobuf(const Buffer& frame, const DecodedRequest& decoded) {
  bookkeeper_v3::Request oracle;
  if (!oracle.ParsePartialFromArray(frame.data(), static_cast<int>(frame.size()))) return;
  if (!oracle.IsInitialized()) return;
  // A number given twice, once with a value that the enum does not have: protobuf keeps the known
  // one, we take the last.
  if (!oracle.header().unknown_fields().empty()) return;
  if (!oracle.readrequest().unknown_fields().empty()) return;
  const auto* request = std::get_if<Request>(&decoded);
  const auto* refused = std::get_if<RefusedRequest>(&decoded);
  STELE_CHECK(request != nullptr || refused != nullptr);
  const RequestHeader& header = request != nullptr ? request->header : refused->header;
  STELE_CHECK(header.version == ProtocolVersion::kV3);
  STELE_CHECK(header.txn_id == oracle.header().txnid());
  STELE_CHECK_OP(static_cast<int>(header.operation), ==, oracle.header().operation());
  STELE_CHECK_OP(header.v3_version, ==, oracle.header().version());
  STELE_CHECK_OP(header.v3_priority, ==, oracle.header().priority());
  if (request == nullptr) return;
  if (const auto* add = std::get_if<AddRequest>(&request->body)) {
    STELE_CHECK(add->body.view() == oracle.addrequest().body());
    STELE_CHECK_OP(add->ledger.value(), ==, oracle.addrequest().ledgerid());
    STELE_CHECK_OP(add->entry.value(), ==, oracle.addrequest().entryid());
  }
  if (const auto* read = std::get_if<ReadRequest>(&request->body)) {
    STELE_CHECK_OP(read->ledger.value(), ==, oracle.readrequest().ledgerid());
    STELE_CHECK_OP(read->entry.value(), ==, oracle.readrequest().entryid());
    STELE_CHECK(read->fence_key.has_value() ==
                (oracle.readrequest().has_flag() &&
                 oracle.readrequest().flag() == bookkeeper_v3::ReadRequest::FENCE_LEDGER));
  }
}

}  // namespace
}  // namespace stele::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace stele::wire;
  static const google::protobuf::LogSilencer silencer;
  const stele::Buffer frame = stele::Buffer::Borrow({reinterpret_cast<const char*>(data), size});
  const DecodedRequest decoded = DecodeRequest(frame);
  if (const auto* request = std::get_if<Request>(&decoded)) CheckServed(frame, *request);
  if (const auto* refused = std::get_if<RefusedRequest>(&decoded)) CheckRefused(*refused);
  CompareWithProtobuf(frame, decoded);
  return 0;
}
