// History: what a cluster was asked and what it answered, kept outside of it. Append-only: each
// call of a client (or of a probe that speaks to one bookie) is invoked, then ends ok or with an
// error, or never. The simulator and drivers of real processes write the same, and the same
// checkers (checkers.h) judge it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/quorum/write_set.h"
#include "simulation/history/payload.h"

namespace stele::history {

enum class Operation {
  kCreate,
  kOpen,
  kAppend,
  kForce,
  kRead,       // confirmed: up to the LAC
  kReadBatch,  // from `first` on, as many as the bookie likes
  kReadUnconfirmed,
  kReadLac,  // asks the bookies
  kWait,     // WaitForEntry
  kTail,     // TailStream::Next
  kClose,    // of a write handle
  kDelete,
  kMetadata,
  // To one bookie directly.
  kBookieFence,
  kBookieAdd,  // a normal add, neither by a recovery nor with deferred sync
  kBookieLac,
  kBookieWriteLac,
};

enum class LedgerStateSeen { kNone, kOpen, kInRecovery, kClosed };

// What was asked. Fields that an operation has no use for keep their defaults.
struct Question {
  Operation operation = Operation::kCreate;
  LedgerId ledger;       // of kCreate: the one asked for, if any
  int64_t handle = 0;    // of the calls of a handle: the number that kCreate or kOpen was given
  EntryId entry;         // kAppend: the id that it takes. kWait, kTail: the one wanted. kBookieAdd
  EntryId first;         // kRead, kReadUnconfirmed
  EntryId last;          // as `first`; kBookieWriteLac: the LAC
  PayloadTag payload;    // kAppend, kBookieAdd
  bool recover = false;  // kOpen
  bool deferred_sync = false;       // kCreate
  bool caller_ids = false;          // kCreate
  quorum::Replication replication;  // kCreate
  std::string bookie;               // kBookie...
};

struct EntrySeen {
  EntryId entry;
  PayloadTag payload;
};

// What was answered.
struct Answer {
  LedgerId ledger;                                 // kCreate
  EntryId entry;                                   // kAppend: the id taken
  bool has_lac = false;                            // `lac` is given
  EntryId lac;                                     // kOpen, kAppend, kReadLac, kWait, kBookieLac
  LedgerStateSeen state = LedgerStateSeen::kNone;  // kOpen, kMetadata; kTail: kClosed at the end
  EntryId last;                                    // with kClosed, and of kClose
  int64_t length_bytes = -1;                       // with kClosed; -1: not told
  std::vector<EntrySeen> entries;                  // kRead..., kWait, kTail
};

enum class Outcome { kPending, kOk, kError };

// One call. Positions order all events of a history: they count from 0, and a call that has not
// ended ends at kNever.
struct Call {
  static constexpr size_t kNever = SIZE_MAX;

  int64_t id = 0;
  std::string process;
  Question question;
  size_t invoked_at = 0;
  int64_t invoked_nanoseconds = 0;

  Outcome outcome = Outcome::kPending;
  Answer answer;                    // of kOk
  ErrorCode code = ErrorCode::kOk;  // of kError
  Effect effect = Effect::kNone;    // of kError
  size_t ended_at = kNever;
  int64_t ended_nanoseconds = 0;

  bool ok() const { return outcome == Outcome::kOk; }
  bool failed() const { return outcome == Outcome::kError; }
};

// What is no call.
struct Mark {
  enum class Kind {
    kCrash,      // the process is gone; its calls never end
    kReckoning,  // from here on everything that must be readable is read once
    kEnd,        // every call of a living process has ended
    kNote,       // for people: a fault, a restart
    // What only peers of another make may cause; see LedgerCalls.
    kOverride,  // text: a ledger. Its writer has closed it over a recovery
    kLateAck,   // text: a ledger and an entry. Acknowledged by a bookie that forgot its fence
  };
  Kind kind;
  std::string process;  // of kCrash, kNote
  std::string text;     // of kNote and what follows there
  size_t at = 0;
  int64_t nanoseconds = 0;
};

class History {
 public:
  // Times do not decrease. `process` has no spaces.
  //   returns   the call's id
  int64_t Invoke(int64_t nanoseconds, std::string_view process, Question question);
  // With an id that the caller chose: not used before.
  void InvokeAs(int64_t id, int64_t nanoseconds, std::string_view process, Question question);
  // The call is pending.
  void Ok(int64_t nanoseconds, int64_t id, Answer answer);
  void Error(int64_t nanoseconds, int64_t id, ErrorCode code, Effect effect);
  void AddMark(int64_t nanoseconds, Mark::Kind kind, std::string_view process = "",
               std::string_view text = "");

  // In the order of invocation.
  const std::vector<Call>& calls() const { return calls_; }
  const std::vector<Mark>& marks() const { return marks_; }
  // Null: there is none.
  const Call* Find(int64_t id) const;
  // How many events there are.
  size_t size() const { return events_; }

 private:
  Call& Pending(int64_t id);

  std::vector<Call> calls_;
  std::vector<Mark> marks_;
  absl::flat_hash_map<int64_t, size_t> index_of_id_;
  int64_t ids_made_ = 0;
  size_t events_ = 0;
};

}  // namespace stele::history
