// AppendWindow: the ordered queue of one ledger's appends that are not acknowledged yet, with all
// the accounting of the writer: ids, LAC, length, failures, and what an ensemble change does to
// them. Pure: LedgerWriter and LedgerRecovery feed it replies and do what it says.
//
// Source: docs/PROTOCOL.md "Append", "Ensemble change".
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/internal/pending_append.h"
#include "common/base/buffer.h"
#include "common/base/errors.h"
#include "common/base/ids.h"
#include "common/base/time.h"
#include "common/quorum/write_set.h"

namespace stele::client {

using AppendDone = absl::AnyInvocable<void(absl::StatusOr<EntryId>) &&>;

// One append in the queue.
struct QueuedAppend {
  PendingAppend acks;
  Buffer payload;
  AppendDone done;
  int64_t length_bytes = 0;  // of the ledger up to and including this entry: goes into the header
  // the LAC in the header; fixed when the entry is first sent, so that all copies are equal
  EntryId header_lac;
  bool sent = false;
  MonotonicTime sent_at;

  EntryId entry() const { return acks.entry(); }
};

class AppendWindow {
 public:
  enum class Ids { kAssigned, kGivenByCaller };
  // kDeferred: acknowledged before it is durable; the LAC moves by OnForced only, and the ensemble
  // never changes.
  enum class Durability { kOnAck, kDeferred };
  // kWhenQuorumAtRisk: bookies are replaced together, when an entry can no longer reach its ack
  // quorum.
  enum class ReplacePolicy { kAtOnce, kWhenQuorumAtRisk };
  // kStartingLac: every header carries the LAC that the window began with. Recovery uses it: its
  // own progress is not yet a promise, since a competing closer may end the ledger earlier.
  enum class HeaderLac { kCurrent, kStartingLac };

  struct Config {
    quorum::Replication replication;
    Ids ids = Ids::kAssigned;
    Durability durability = Durability::kOnAck;
    ReplacePolicy replace_policy = ReplacePolicy::kAtOnce;
    HeaderLac header_lac = HeaderLac::kCurrent;
    EntryId last_add_confirmed;  // where the ledger stands
    int64_t length_bytes = 0;
    size_t pending_bytes_max = SIZE_MAX;
    size_t pending_entries_max = SIZE_MAX;
  };
  explicit AppendWindow(const Config& config);

  // Appends take their place in the queue. The caller checks that the handle is open, and sends.
  //   errors   kOverloaded   none: a limit of the config is reached
  // `done` is moved from only when it is queued.
  // Takes the next id.
  absl::StatusOr<QueuedAppend*> Push(Buffer payload, AppendDone&& done);
  // For kGivenByCaller: in any order, with gaps. kDuplicateEntry when the id is pending or was
  // acknowledged, kInvalidArgument below 0.
  absl::StatusOr<QueuedAppend*> PushAt(EntryId entry, Buffer payload, AppendDone&& done);
  // Recovery: the next id, with the ledger's length that the recovered header states.
  QueuedAppend* PushRecovered(Buffer payload, int64_t length_bytes, AppendDone done);

  // Fixes the header before the first send.
  void MarkSent(QueuedAppend* append, MonotonicTime now);

  // The pending append of this id, or null. The pointer is good until the next call that adds or
  // removes one.
  QueuedAppend* Find(EntryId entry);

  struct Reply {
    EntryId entry;
    BookieIndex index = 0;
    uint32_t epoch = 0;  // epoch(index) when the request was sent
    ErrorCode code = ErrorCode::kOk;
  };
  enum class Step {
    kNothing,
    kDeliver,         // call PopAcknowledged until it is empty
    kReplaceBookies,  // call BeginChange
    kFail,            // the handle is finished: the reply's code says why
  };
  Step OnReply(const Reply& reply);

  // The next acknowledged append in id order, taken out of the queue; HEAD (and the LAC) stand at
  // it already. None while the ensemble changes.
  std::optional<QueuedAppend> PopAcknowledged();

  // --- Ensemble change --- How often the bookie at this position was replaced. Replies to requests
  // of an earlier epoch are dropped, failures too: they would otherwise replace a healthy
  // successor.
  uint32_t epoch(BookieIndex index) const { return epochs_[static_cast<size_t>(index)]; }

  // Failures that came after their entries were acknowledged; the next append starts the change for
  // them.
  bool HasDelayedFailures() const { return !delayed_failures_.empty(); }

  // Nothing is acknowledged, and the LAC stands still, until FinishChange. Gives the positions to
  // replace, sorted.
  std::vector<BookieIndex> BeginChange();
  bool is_changing() const { return is_changing_; }
  // Positions that failed since; asked when the metadata was written, before FinishChange.
  std::vector<BookieIndex> TakeFailuresDuringChange();

  struct Resend {
    EntryId entry;
    BookieIndex index;
  };
  // The bookies at `changed` are new, and the metadata says so. Takes back their acknowledgements
  // for *all* appends; only then may the caller deliver again, and it must, also when `changed` is
  // empty. Gives what has to be sent to them, in id order.
  std::vector<Resend> FinishChange(const std::vector<BookieIndex>& changed);

  // An append whose failed positions could not all be replaced, so that it can never be
  // acknowledged.
  bool HasHopelessAppend() const;

  // Deferred durability: all of the ensemble has made everything up to `target` (a former
  // acknowledged_head()) durable.
  void OnForced(EntryId target);

  // --- The end --- Takes out everything, acknowledged or not, in id order, and takes its payloads
  // off the length. Nothing may be pushed after.
  std::vector<QueuedAppend> Drain();

  EntryId last_add_pushed() const { return last_pushed_; }
  EntryId acknowledged_head() const { return head_; }
  EntryId last_add_confirmed() const { return last_add_confirmed_; }
  // The highest LAC in the header of an acknowledged entry: what readers can learn from stored
  // entries.
  EntryId spread_lac() const { return spread_lac_; }
  int64_t length_bytes() const { return length_bytes_; }
  size_t pending_bytes() const { return pending_bytes_; }
  size_t size() const { return queue_.size(); }
  bool empty() const { return queue_.empty(); }
  const QueuedAppend& front() const { return queue_.front(); }

 private:
  absl::Status CheckLimits(size_t size_bytes) const;
  QueuedAppend* Insert(std::deque<QueuedAppend>::iterator place, EntryId entry, Buffer payload,
                       int64_t length_bytes, AppendDone&& done);
  std::deque<QueuedAppend>::iterator LowerBound(EntryId entry);
  Step OnFailure(QueuedAppend* append, const Reply& reply);
  Step Replace(std::vector<BookieIndex> failures);

  const Config config_;
  std::deque<QueuedAppend> queue_;  // by id
  std::vector<uint32_t> epochs_;
  std::vector<BookieIndex> failures_;          // to replace by the change that begins
  std::vector<BookieIndex> delayed_failures_;  // sorted, unique
  bool is_changing_ = false;
  bool is_drained_ = false;
  EntryId last_pushed_;
  EntryId head_;
  EntryId last_add_confirmed_;
  EntryId spread_lac_;
  int64_t length_bytes_;
  size_t pending_bytes_ = 0;
};

// Codes that end a writer: no other bookie can help.
bool IsFatalForWriter(ErrorCode code);

}  // namespace stele::client
