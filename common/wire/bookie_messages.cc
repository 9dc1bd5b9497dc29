#include "common/wire/bookie_messages.h"

namespace stele::wire {

std::string_view NameOf(ReplyCode code) {
  switch (code) {
    case ReplyCode::kOk: return "EOK";
    case ReplyCode::kNoSuchLedger: return "ENOLEDGER";
    case ReplyCode::kNoSuchEntry: return "ENOENTRY";
    case ReplyCode::kBadRequest: return "EBADREQ";
    case ReplyCode::kIoError: return "EIO";
    case ReplyCode::kUnauthorized: return "EUA";
    case ReplyCode::kBadVersion: return "EBADVERSION";
    case ReplyCode::kFenced: return "EFENCED";
    case ReplyCode::kReadOnly: return "EREADONLY";
    case ReplyCode::kTooManyRequests: return "ETOOMANYREQUESTS";
    case ReplyCode::kUnknownLedgerState: return "EUNKNOWNLEDGERSTATE";
  }
  return "unknown";
}

}  // namespace stele::wire
