#include "client/internal/bookie_client.h"

#include <utility>

#include "common/base/check.h"

namespace stele::client {

OutgoingAdd::OutgoingAdd(wire::EntryToAdd entry, Priority priority)
    : entry_(std::move(entry)), priority_(priority) {
  if (entry_.recovery || entry_.deferred_sync) return;
  wire::RequestHeader header;
  header.version = wire::ProtocolVersion::kV2;
  header.high_priority = priority == Priority::kHigh;
  absl::StatusOr<wire::OutgoingFrame> frame = wire::EncodeAdd(header, entry_);
  STELE_CHECK(frame.ok());
  v2_frame_ = *std::move(frame);
}

ErrorCode CodeOfReply(wire::Operation operation, wire::ReplyCode code) {
  switch (code) {
    case wire::ReplyCode::kOk: return ErrorCode::kOk;
    case wire::ReplyCode::kNoSuchLedger: return ErrorCode::kNoSuchLedger;
    case wire::ReplyCode::kNoSuchEntry: return ErrorCode::kNoSuchEntry;
    case wire::ReplyCode::kUnauthorized: return ErrorCode::kUnauthorized;
    case wire::ReplyCode::kBadVersion: return ErrorCode::kProtocolVersion;
    case wire::ReplyCode::kFenced: return ErrorCode::kLedgerFenced;
    case wire::ReplyCode::kReadOnly: return ErrorCode::kReadOnlyBookie;
    case wire::ReplyCode::kTooManyRequests: return ErrorCode::kOverloaded;
    case wire::ReplyCode::kUnknownLedgerState: return ErrorCode::kUnknownLedgerState;
    case wire::ReplyCode::kBadRequest:
    case wire::ReplyCode::kIoError: break;
  }
  const bool is_write = operation == wire::Operation::kAdd ||
                        operation == wire::Operation::kWriteLac ||
                        operation == wire::Operation::kForceLedger;
  return is_write ? ErrorCode::kWriteFailed : ErrorCode::kReadFailed;
}

}  // namespace stele::client
