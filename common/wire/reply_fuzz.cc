// Replies: any bytes are decoded without harm on connections of both versions, and what was
// understood survives encoding. The first byte of the input chooses the version.
#include <cstdint>
#include <variant>

#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/wire/reply_codec.h"
#include "common/wire/wire_test_bytes.h"

namespace stele::wire {
namespace {

OutgoingFrame Encode(const Reply& reply) {
  RequestHeader header;
  header.version = reply.version;
  header.operation = reply.operation;
  header.txn_id = reply.txn_id;
  return EncodeReply(header, reply.code, reply.body);
}

void CheckReply(ProtocolVersion version, const Buffer& frame) {
  const auto reply = DecodeReply(version, frame);
  if (!reply.ok()) {
    const ErrorCode code = CodeOf(reply.status());
    STELE_CHECK(code == ErrorCode::kCorruptData || code == ErrorCode::kProtocolVersion);
    return;
  }
  STELE_CHECK(reply->version == version);
  // A success is never without its body.
  STELE_CHECK(reply->code != ReplyCode::kOk ||
              !std::holds_alternative<std::monostate>(reply->body));
  const Buffer once = Flatten(Encode(*reply));
  const auto again = DecodeReply(version, once);
  STELE_CHECK(again.ok());
  STELE_CHECK(again->operation == reply->operation && again->txn_id == reply->txn_id);
  // v2 does not send kUnknownLedgerState.
  STELE_CHECK(again->code == reply->code || reply->code == ReplyCode::kUnknownLedgerState);
  STELE_CHECK(again->body.index() == reply->body.index());
  STELE_CHECK(once == Flatten(Encode(*again)));
}

}  // namespace
}  // namespace stele::wire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace stele::wire;
  if (size == 0) return 0;
  const auto version = data[0] % 2 == 0 ? ProtocolVersion::kV2 : ProtocolVersion::kV3;
  CheckReply(version, stele::Buffer::Borrow({reinterpret_cast<const char*>(data) + 1, size - 1}));
  return 0;
}
