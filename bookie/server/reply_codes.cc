#include "bookie/server/reply_codes.h"

#include "common/base/errors.h"

namespace stele::bookie {

wire::ReplyCode ReplyCodeOf(const absl::Status& status) {
  switch (CodeOf(status)) {
    case ErrorCode::kOk: return wire::ReplyCode::kOk;
    case ErrorCode::kNoSuchLedger: return wire::ReplyCode::kNoSuchLedger;
    case ErrorCode::kNoSuchEntry: return wire::ReplyCode::kNoSuchEntry;
    case ErrorCode::kInvalidArgument: return wire::ReplyCode::kBadRequest;
    case ErrorCode::kUnauthorized: return wire::ReplyCode::kUnauthorized;
    case ErrorCode::kLedgerFenced: return wire::ReplyCode::kFenced;
    case ErrorCode::kReadOnlyBookie: return wire::ReplyCode::kReadOnly;
    case ErrorCode::kOverloaded: return wire::ReplyCode::kTooManyRequests;
    case ErrorCode::kUnknownLedgerState: return wire::ReplyCode::kUnknownLedgerState;
    default: return wire::ReplyCode::kIoError;
  }
}

}  // namespace stele::bookie
