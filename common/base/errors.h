// Stele's errors. An error travels as absl::Status with our code as a payload, so nobody parses its
// text.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace stele {

// The comment after each code is its number in Apache BookKeeper's client, where one corresponds.
enum class ErrorCode {
  kOk = 0,
  kForeign,               // an absl::Status that we did not make
  kInvalidArgument,       // -14  a caller's value is out of range
  kUnsupported,           // -100 the operation does not apply to this handle or protocol
  kLedgerFenced,          // -101 a recovery took the ledger over
  kLedgerClosed,          // -11  the handle is closed, or the ledger is closed in metadata
  kLedgerExists,          // -20  the id is taken
  kNoSuchLedger,          // -7   a bookie does not know the ledger
  kNoSuchLedgerMetadata,  // -25  the metadata store does not know the ledger
  kNoSuchEntry,           // -13  every replica says that it has no such entry
  kDuplicateEntry,        // -22  this entry id was appended before
  kDigestMismatch,        // -5   no replica passed verification, or the digest type differs
  kNotEnoughBookies,      // -6   no ensemble, or no replacement, can be formed
  kRecoveryFailed,        // -10  the ledger stays in recovery; open it again to retry
  kMetadataConflict,      // -17  another writer changed the metadata in a way that cannot be merged
  kMetadataUnavailable,   // -9   the metadata store cannot be reached; a write may have happened
  kNoSuchKey,             //      metadata store: no such node
  kKeyExists,             //      metadata store: the node exists
  kKeyNotEmpty,           //      metadata store: the node has children
  kUnauthorized,          // -102 wrong password or key
  kReadOnlyBookie,        // -104
  kUnknownLedgerState,    // -108 the bookie cannot say what it had
  kProtocolVersion,       // -16  the peer does not speak our version
  kReadFailed,            // -1   a bookie failed to read
  kWriteFailed,           // -12  a bookie failed to write
  kCorruptData,           //      bytes that cannot be what was written
  kIoError,               //      the operating system failed an operation
  kNoSuchFile,            //      no such file or directory
  kFileExists,            //      a file or directory of that name exists
  kDiskFull,
  kOverloaded,      // -105 a limit is reached
  kDeadline,        // -23  no answer in time
  kAppendDeadline,  // -21  no ack quorum in time
  kConnectionLost,  // -8
  kStopped,         // -19  the client, handle or node is closed
  kConfig,          //      a configuration value is wrong
  kCookieMismatch,  //      a directory belongs to another bookie or cluster
};

// The code's name without the k, for logs and --json: "LedgerFenced".
std::string_view NameOf(ErrorCode code);

// May the operation still take effect although it failed? kUnknown: it may have, or may later.
enum class Effect { kNone, kUnknown };

// Makes an error that carries `code` and sets the matching absl::StatusCode. The effect is kNone.
absl::Status MakeError(ErrorCode code, std::string_view detail);
absl::Status MakeError(ErrorCode code, Effect effect, std::string_view detail);

// kOk for an ok status, kForeign for a status that MakeError did not make.
ErrorCode CodeOf(const absl::Status& status);

// kNone for ok and for errors made without an effect; kForeign errors are kUnknown.
Effect EffectOf(const absl::Status& status);

// The same error with `context` in front of its text: "ledger 7: bookie b1:3181: <text>".
absl::Status WithContext(const absl::Status& status, std::string_view context);

}  // namespace stele
