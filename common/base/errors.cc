#include "common/base/errors.h"

#include <charconv>
#include <optional>

#include "absl/strings/cord.h"
#include "common/base/strings.h"

namespace stele {
namespace {

constexpr absl::string_view kPayloadUrl = "stele/error";

absl::StatusCode StatusCodeFor(ErrorCode code) {
  switch (code) {
    case ErrorCode::kOk: return absl::StatusCode::kOk;
    case ErrorCode::kForeign: return absl::StatusCode::kUnknown;
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kConfig: return absl::StatusCode::kInvalidArgument;
    case ErrorCode::kUnsupported:
    case ErrorCode::kProtocolVersion: return absl::StatusCode::kUnimplemented;
    case ErrorCode::kLedgerFenced:
    case ErrorCode::kLedgerClosed:
    case ErrorCode::kReadOnlyBookie:
    case ErrorCode::kUnknownLedgerState:
    case ErrorCode::kKeyNotEmpty:
    case ErrorCode::kCookieMismatch: return absl::StatusCode::kFailedPrecondition;
    case ErrorCode::kLedgerExists:
    case ErrorCode::kDuplicateEntry:
    case ErrorCode::kKeyExists:
    case ErrorCode::kFileExists: return absl::StatusCode::kAlreadyExists;
    case ErrorCode::kNoSuchLedger:
    case ErrorCode::kNoSuchLedgerMetadata:
    case ErrorCode::kNoSuchEntry:
    case ErrorCode::kNoSuchKey:
    case ErrorCode::kNoSuchFile: return absl::StatusCode::kNotFound;
    case ErrorCode::kDigestMismatch:
    case ErrorCode::kCorruptData: return absl::StatusCode::kDataLoss;
    case ErrorCode::kNotEnoughBookies:
    case ErrorCode::kOverloaded:
    case ErrorCode::kDiskFull: return absl::StatusCode::kResourceExhausted;
    case ErrorCode::kMetadataConflict: return absl::StatusCode::kAborted;
    case ErrorCode::kUnauthorized: return absl::StatusCode::kPermissionDenied;
    case ErrorCode::kDeadline:
    case ErrorCode::kAppendDeadline: return absl::StatusCode::kDeadlineExceeded;
    case ErrorCode::kStopped: return absl::StatusCode::kCancelled;
    case ErrorCode::kRecoveryFailed:
    case ErrorCode::kMetadataUnavailable:
    case ErrorCode::kConnectionLost: return absl::StatusCode::kUnavailable;
    case ErrorCode::kReadFailed:
    case ErrorCode::kWriteFailed:
    case ErrorCode::kIoError: return absl::StatusCode::kInternal;
  }
  return absl::StatusCode::kUnknown;
}

// The payload is "<code> <effect>" in decimal.
struct Payload {
  ErrorCode code;
  Effect effect;
};

std::optional<Payload> PayloadOf(const absl::Status& status) {
  auto cord = status.GetPayload(kPayloadUrl);
  if (!cord.has_value()) return std::nullopt;
  const std::string text(*cord);
  int code = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), code);
  if (parsed.ec != std::errc() || text.size() < 2) return std::nullopt;
  return Payload{static_cast<ErrorCode>(code),
                 text.back() == '1' ? Effect::kUnknown : Effect::kNone};
}

}  // namespace

std::string_view NameOf(ErrorCode code) {
  switch (code) {
    case ErrorCode::kOk: return "Ok";
    case ErrorCode::kForeign: return "Foreign";
    case ErrorCode::kInvalidArgument: return "InvalidArgument";
    case ErrorCode::kUnsupported: return "Unsupported";
    case ErrorCode::kLedgerFenced: return "LedgerFenced";
    case ErrorCode::kLedgerClosed: return "LedgerClosed";
    case ErrorCode::kLedgerExists: return "LedgerExists";
    case ErrorCode::kNoSuchLedger: return "NoSuchLedger";
    case ErrorCode::kNoSuchLedgerMetadata: return "NoSuchLedgerMetadata";
    case ErrorCode::kNoSuchEntry: return "NoSuchEntry";
    case ErrorCode::kDuplicateEntry: return "DuplicateEntry";
    case ErrorCode::kDigestMismatch: return "DigestMismatch";
    case ErrorCode::kNotEnoughBookies: return "NotEnoughBookies";
    case ErrorCode::kRecoveryFailed: return "RecoveryFailed";
    case ErrorCode::kMetadataConflict: return "MetadataConflict";
    case ErrorCode::kMetadataUnavailable: return "MetadataUnavailable";
    case ErrorCode::kNoSuchKey: return "NoSuchKey";
    case ErrorCode::kKeyExists: return "KeyExists";
    case ErrorCode::kKeyNotEmpty: return "KeyNotEmpty";
    case ErrorCode::kUnauthorized: return "Unauthorized";
    case ErrorCode::kReadOnlyBookie: return "ReadOnlyBookie";
    case ErrorCode::kUnknownLedgerState: return "UnknownLedgerState";
    case ErrorCode::kProtocolVersion: return "ProtocolVersion";
    case ErrorCode::kReadFailed: return "ReadFailed";
    case ErrorCode::kWriteFailed: return "WriteFailed";
    case ErrorCode::kCorruptData: return "CorruptData";
    case ErrorCode::kIoError: return "IoError";
    case ErrorCode::kNoSuchFile: return "NoSuchFile";
    case ErrorCode::kFileExists: return "FileExists";
    case ErrorCode::kDiskFull: return "DiskFull";
    case ErrorCode::kOverloaded: return "Overloaded";
    case ErrorCode::kDeadline: return "Deadline";
    case ErrorCode::kAppendDeadline: return "AppendDeadline";
    case ErrorCode::kConnectionLost: return "ConnectionLost";
    case ErrorCode::kStopped: return "Stopped";
    case ErrorCode::kConfig: return "Config";
    case ErrorCode::kCookieMismatch: return "CookieMismatch";
  }
  return "Invalid";
}

absl::Status MakeError(ErrorCode code, std::string_view detail) {
  return MakeError(code, Effect::kNone, detail);
}

absl::Status MakeError(ErrorCode code, Effect effect, std::string_view detail) {
  absl::Status status(StatusCodeFor(code), ToAbsl(detail));
  const std::string payload =
      StrCat(static_cast<int>(code), effect == Effect::kUnknown ? " 1" : " 0");
  // A Cord from a std::string rvalue would need a symbol whose name clang and Debian's GCC mangle
  // differently.
  status.SetPayload(kPayloadUrl, absl::Cord(ToAbsl(payload)));
  return status;
}

ErrorCode CodeOf(const absl::Status& status) {
  if (status.ok()) return ErrorCode::kOk;
  const auto payload = PayloadOf(status);
  return payload.has_value() ? payload->code : ErrorCode::kForeign;
}

Effect EffectOf(const absl::Status& status) {
  if (status.ok()) return Effect::kNone;
  const auto payload = PayloadOf(status);
  return payload.has_value() ? payload->effect : Effect::kUnknown;
}

absl::Status WithContext(const absl::Status& status, std::string_view context) {
  if (status.ok()) return status;
  absl::Status result(status.code(), StrCat(context, ": ", status.message()));
  if (auto cord = status.GetPayload(kPayloadUrl); cord.has_value()) {
    result.SetPayload(kPayloadUrl, *std::move(cord));
  }
  return result;
}

}  // namespace stele
