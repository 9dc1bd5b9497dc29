// The decisions of ledger recovery and of reads, as functions of what bookies answered. Pure.
//
// Source: docs/PROTOCOL.md "Recovery"; TLA+ AllAckedEntriesAreReadable.
#pragma once

#include <cstdint>
#include <optional>

#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/quorum/coverage.h"
#include "common/quorum/write_set.h"

namespace stele::client {

// A definite "I do not have it". Nothing else is one: not a timeout, not an I/O error, not a failed
// digest, and not a bookie that cannot say what it had.
constexpr bool IsNegative(ErrorCode code) {
  return code == ErrorCode::kNoSuchEntry || code == ErrorCode::kNoSuchLedger;
}

// Folds the errors of one entry's replicas into the one to report. "No such entry" is reported only
// when every replica said so; one unreachable replica makes it kConnectionLost, since the entry may
// be there; any other error is stronger than both and the first such stays.
//   first   kOk: no error yet
ErrorCode FoldReadError(ErrorCode first, ErrorCode incoming);

// What a bookie told about its last entry: the fields of a header that passed verification.
struct LastEntryFields {
  EntryId entry;
  EntryId last_add_confirmed;
  int64_t length_bytes = 0;
};

// Collects the answers of an ensemble to "your last entry", fencing or not.
class LacQuorum {
 public:
  enum class Step {
    kWait,
    kCovered,       // enough is known
    kUnauthorized,  // our key is wrong, nothing more will help
    kImpossible,    // all have answered and it is not covered: error() says why
  };
  // kFencing: a digest that does not match counts as known, because the bookie did fence.
  enum class Kind { kFencing, kPlain };

  LacQuorum(const quorum::Replication& replication, Kind kind);

  // Each bookie answers once. `fields` comes with kOk, unless the bookie had nothing to tell.
  Step OnAnswer(BookieIndex from, ErrorCode code, std::optional<LastEntryFields> fields);

  // The highest LAC heard so far; kNoEntry when none.
  EntryId last_add_confirmed() const { return last_add_confirmed_; }
  ErrorCode error() const { return error_; }

 private:
  const Kind kind_;
  quorum::Coverage coverage_;
  int unanswered_;
  EntryId last_add_confirmed_;
  ErrorCode error_ = ErrorCode::kReadFailed;
};

// Where recovery begins: everything up to here is acknowledged. Earlier fragments were ended by the
// writer behind its LAC, so the floor is the entry before the last fragment; without it an empty
// new fragment would send recovery back to entry 0.
constexpr EntryId RecoveryStart(EntryId highest_lac_heard, EntryId last_fragment_first_entry) {
  const EntryId floor = last_fragment_first_entry.Previous();
  return highest_lac_heard < floor ? floor : highest_lac_heard;
}

// Decides about one entry from the answers to *fencing* reads of it. The decision is made at once
// when it is possible, so that a hung bookie cannot block recovery, and never changes afterwards.
class RecoveryRead {
 public:
  enum class Decision {
    kWait,
    kRecover,  // one valid copy: keep the entry
    kAbsent,   // it was never acknowledged and, the deniers being fenced, never will be: the end
    kUnknown,  // neither can be shown: recovery fails, nothing is truncated
  };

  RecoveryRead(EntryId entry, const quorum::Replication& replication)
      : write_set_(entry, replication),
        negatives_needed_(quorum::NegativeQuorumSize(replication)),
        unanswered_(write_set_.size()) {}

  const quorum::WriteSet& write_set() const { return write_set_; }

  // Each bookie of the write set answers once. kOk: with a copy that passed verification;
  // kDigestMismatch: with one that did not.
  Decision OnAnswer(ErrorCode code);

  Decision decision() const { return decision_; }
  // The folded error, for kUnknown.
  ErrorCode error() const { return error_; }

 private:
  quorum::WriteSet write_set_;
  int negatives_needed_;
  int unanswered_;
  int negatives_ = 0;
  ErrorCode error_ = ErrorCode::kOk;
  Decision decision_ = Decision::kWait;
};

}  // namespace stele::client
