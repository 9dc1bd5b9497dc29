#include "tools/shell/exit_code.h"

#include "common/base/errors.h"

namespace stele::shell {

ExitCode ExitCodeOf(const absl::Status& status) {
  switch (CodeOf(status)) {
    case ErrorCode::kOk: return ExitCode::kOk;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kConfig: return ExitCode::kUsage;
    case ErrorCode::kNoSuchLedger:
    case ErrorCode::kNoSuchLedgerMetadata:
    case ErrorCode::kNoSuchEntry:
    case ErrorCode::kNoSuchKey:
    case ErrorCode::kNoSuchFile: return ExitCode::kNotFound;
    case ErrorCode::kNotEnoughBookies:
    case ErrorCode::kMetadataUnavailable:
    case ErrorCode::kOverloaded:
    case ErrorCode::kDeadline:
    case ErrorCode::kAppendDeadline:
    case ErrorCode::kConnectionLost:
    case ErrorCode::kRecoveryFailed:
    case ErrorCode::kDiskFull: return ExitCode::kUnavailable;
    case ErrorCode::kLedgerFenced:
    case ErrorCode::kLedgerClosed:
    case ErrorCode::kMetadataConflict: return ExitCode::kFenced;
    case ErrorCode::kDigestMismatch:
    case ErrorCode::kCorruptData:
    case ErrorCode::kUnknownLedgerState: return ExitCode::kDamaged;
    case ErrorCode::kUnauthorized:
    case ErrorCode::kCookieMismatch: return ExitCode::kUnauthorized;
    case ErrorCode::kLedgerExists:
    case ErrorCode::kKeyExists:
    case ErrorCode::kFileExists:
    case ErrorCode::kDuplicateEntry: return ExitCode::kExists;
    default: return ExitCode::kFailed;
  }
}

}  // namespace stele::shell
