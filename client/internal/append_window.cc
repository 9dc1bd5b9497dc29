#include "client/internal/append_window.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/check.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"

namespace stele::client {
namespace {

void InsertSorted(std::vector<BookieIndex>& indexes, BookieIndex index) {
  const auto place = std::lower_bound(indexes.begin(), indexes.end(), index);
  if (place == indexes.end() || *place != index) indexes.insert(place, index);
}

}  // namespace

bool IsFatalForWriter(ErrorCode code) {
  return code == ErrorCode::kLedgerFenced || code == ErrorCode::kUnauthorized ||
         code == ErrorCode::kUnsupported || code == ErrorCode::kStopped ||
         code == ErrorCode::kInvalidArgument;
}

AppendWindow::AppendWindow(const Config& config)
    : config_(config),
      epochs_(static_cast<size_t>(config.replication.ensemble_size), 0),
      last_pushed_(config.last_add_confirmed),
      head_(config.last_add_confirmed),
      last_add_confirmed_(config.last_add_confirmed),
      spread_lac_(config.last_add_confirmed),
      length_bytes_(config.length_bytes) {
  STELE_CHECK(config.replication.IsValid());
}

absl::Status AppendWindow::CheckLimits(size_t size_bytes) const {
  STELE_CHECK(!is_drained_);
  if (queue_.size() >= config_.pending_entries_max) {
    return MakeError(ErrorCode::kOverloaded,
                     StrCat(queue_.size(), " appends are pending, the most allowed"));
  }
  // One append always fits, however large.
  if (!queue_.empty() && (pending_bytes_ > config_.pending_bytes_max ||
                          size_bytes > config_.pending_bytes_max - pending_bytes_)) {
    return MakeError(ErrorCode::kOverloaded,
                     StrCat(pending_bytes_, " bytes of appends are pending; at most ",
                            config_.pending_bytes_max, " are allowed"));
  }
  return absl::OkStatus();
}

QueuedAppend* AppendWindow::Insert(std::deque<QueuedAppend>::iterator place, EntryId entry,
                                   Buffer payload, int64_t length_bytes, AppendDone&& done) {
  length_bytes_ = length_bytes;
  pending_bytes_ += payload.size();
  const auto inserted =
      queue_.insert(place, QueuedAppend{.acks = PendingAppend(entry, config_.replication),
                                        .payload = std::move(payload),
                                        .done = std::move(done),
                                        .length_bytes = length_bytes});
  return &*inserted;
}

absl::StatusOr<QueuedAppend*> AppendWindow::Push(Buffer payload, AppendDone&& done) {
  STELE_CHECK(config_.ids == Ids::kAssigned);
  if (absl::Status limits = CheckLimits(payload.size()); !limits.ok()) return limits;
  last_pushed_ = last_pushed_.Next();
  const int64_t length_bytes = length_bytes_ + static_cast<int64_t>(payload.size());
  return Insert(queue_.end(), last_pushed_, std::move(payload), length_bytes, std::move(done));
}

absl::StatusOr<QueuedAppend*> AppendWindow::PushAt(EntryId entry, Buffer payload,
                                                   AppendDone&& done) {
  STELE_CHECK(config_.ids == Ids::kGivenByCaller);
  if (entry.IsNone()) {
    return MakeError(ErrorCode::kInvalidArgument,
                     StrCat("entry id ", entry.value(), " is below 0"));
  }
  // Against HEAD, not the LAC: with deferred durability the LAC lags behind what was acknowledged.
  const auto place = LowerBound(entry);
  if (entry <= head_ || (place != queue_.end() && place->entry() == entry)) {
    return MakeError(ErrorCode::kDuplicateEntry,
                     StrCat("entry ", entry.value(), " was appended before"));
  }
  if (absl::Status limits = CheckLimits(payload.size()); !limits.ok()) return limits;
  last_pushed_ = std::max(last_pushed_, entry);
  // In the order of arrival, as every client of such ledgers does: the length in a header is
  // advisory there.
  const int64_t length_bytes = length_bytes_ + static_cast<int64_t>(payload.size());
  return Insert(place, entry, std::move(payload), length_bytes, std::move(done));
}

QueuedAppend* AppendWindow::PushRecovered(Buffer payload, int64_t length_bytes, AppendDone done) {
  STELE_CHECK(config_.ids == Ids::kAssigned && !is_drained_);
  last_pushed_ = last_pushed_.Next();
  return Insert(queue_.end(), last_pushed_, std::move(payload), length_bytes, std::move(done));
}

void AppendWindow::MarkSent(QueuedAppend* append, MonotonicTime now) {
  STELE_CHECK(!append->sent);
  append->sent = true;
  append->sent_at = now;
  append->header_lac = config_.header_lac == HeaderLac::kStartingLac ? config_.last_add_confirmed
                                                                     : last_add_confirmed_;
}

std::deque<QueuedAppend>::iterator AppendWindow::LowerBound(EntryId entry) {
  if (queue_.empty() || queue_.back().entry() < entry) return queue_.end();
  // Ids are mostly contiguous: guess the place, search only when the guess is wrong.
  const int64_t guess = entry.value() - queue_.front().entry().value();
  if (guess <= 0) return queue_.begin();
  if (guess < std::ssize(queue_) && queue_[static_cast<size_t>(guess)].entry() == entry) {
    return queue_.begin() + guess;
  }
  return std::lower_bound(queue_.begin(), queue_.end(), entry,
                          [](const QueuedAppend& a, EntryId b) { return a.entry() < b; });
}

QueuedAppend* AppendWindow::Find(EntryId entry) {
  const auto place = LowerBound(entry);
  return place != queue_.end() && place->entry() == entry ? &*place : nullptr;
}

AppendWindow::Step AppendWindow::OnReply(const Reply& reply) {
  if (is_drained_ || reply.epoch != epoch(reply.index)) {
    STELE_SOMETIMES(kAppendAckOfReplacedBookie, !is_drained_ && reply.code == ErrorCode::kOk);
    return Step::kNothing;
  }
  QueuedAppend* const append = Find(reply.entry);
  if (reply.code == ErrorCode::kOk) {
    if (append == nullptr) return Step::kNothing;
    append->acks.OnStored(reply.index);
    return append->acks.is_complete() && append == &queue_.front() ? Step::kDeliver
                                                                   : Step::kNothing;
  }
  // Also when the entry was acknowledged before: the ledger is not ours any more, and waiting for
  // the next append to find out would only lose time.
  if (IsFatalForWriter(reply.code)) return Step::kFail;
  return OnFailure(append, reply);
}

AppendWindow::Step AppendWindow::OnFailure(QueuedAppend* append, const Reply& reply) {
  if (append == nullptr || append->acks.is_complete()) {
    if (config_.replace_policy == ReplacePolicy::kAtOnce) {
      InsertSorted(delayed_failures_, reply.index);
    }
    return Step::kNothing;
  }
  append->acks.OnFailure(reply.index);
  if (config_.replace_policy == ReplacePolicy::kAtOnce ||
      reply.code == ErrorCode::kReadOnlyBookie) {
    return Replace({reply.index});
  }
  if (!append->acks.IsQuorumAtRisk()) return Step::kNothing;
  std::vector<BookieIndex> failures;
  const quorum::WriteSet& write_set = append->acks.write_set();
  for (int offset = 0; offset < write_set.size(); ++offset) {
    if (append->acks.HasFailed(write_set[offset])) failures.push_back(write_set[offset]);
  }
  return Replace(std::move(failures));
}

AppendWindow::Step AppendWindow::Replace(std::vector<BookieIndex> failures) {
  // Entries that were acknowledged but not forced are nowhere but on this ensemble, and a new
  // fragment would have to begin below them.
  if (config_.durability == Durability::kDeferred) return Step::kFail;
  if (is_changing_) {
    STELE_SOMETIMES(kAppendFailureDuringChange, true);
    for (BookieIndex index : failures) InsertSorted(delayed_failures_, index);
    return Step::kNothing;
  }
  failures_ = std::move(failures);
  return Step::kReplaceBookies;
}

std::optional<QueuedAppend> AppendWindow::PopAcknowledged() {
  if (queue_.empty() || is_changing_) return std::nullopt;
  QueuedAppend& front = queue_.front();
  if (!front.acks.is_complete() || front.entry() != head_.Next()) return std::nullopt;
  std::optional<QueuedAppend> popped(std::move(front));
  queue_.pop_front();
  pending_bytes_ -= popped->payload.size();
  head_ = popped->entry();
  if (config_.durability == Durability::kOnAck) last_add_confirmed_ = head_;
  spread_lac_ = std::max(spread_lac_, popped->header_lac);
  return popped;
}

std::vector<BookieIndex> AppendWindow::BeginChange() {
  STELE_CHECK(!is_changing_ && !is_drained_);
  is_changing_ = true;
  std::vector<BookieIndex> failures = std::exchange(failures_, {});
  STELE_SOMETIMES(kAppendDelayedChange, failures.empty());
  for (BookieIndex index : TakeFailuresDuringChange()) InsertSorted(failures, index);
  STELE_SOMETIMES(kAppendTwoReplacedAtOnce, failures.size() > 1);
  return failures;
}

std::vector<BookieIndex> AppendWindow::TakeFailuresDuringChange() {
  return std::exchange(delayed_failures_, {});
}

std::vector<AppendWindow::Resend> AppendWindow::FinishChange(
    const std::vector<BookieIndex>& changed) {
  STELE_CHECK(is_changing_ && delayed_failures_.empty());
  for (BookieIndex index : changed) ++epochs_[static_cast<size_t>(index)];
  std::vector<Resend> resends;
  for (QueuedAppend& append : queue_) {
    for (BookieIndex index : changed) {
      if (append.acks.OnBookieReplaced(index) && append.sent) {
        resends.push_back({append.entry(), index});
      }
    }
  }
  is_changing_ = false;
  return resends;
}

bool AppendWindow::HasHopelessAppend() const {
  return std::any_of(queue_.begin(), queue_.end(), [](const QueuedAppend& append) {
    return !append.acks.is_complete() && append.acks.IsQuorumAtRisk();
  });
}

void AppendWindow::OnForced(EntryId target) {
  STELE_CHECK(config_.durability == Durability::kDeferred && target <= head_);
  last_add_confirmed_ = std::max(last_add_confirmed_, target);
}

std::vector<QueuedAppend> AppendWindow::Drain() {
  is_drained_ = true;
  is_changing_ = false;
  std::vector<QueuedAppend> drained(std::make_move_iterator(queue_.begin()),
                                    std::make_move_iterator(queue_.end()));
  queue_.clear();
  for (const QueuedAppend& append : drained) {
    length_bytes_ -= static_cast<int64_t>(append.payload.size());
  }
  pending_bytes_ = 0;
  last_pushed_ = head_;
  delayed_failures_.clear();
  failures_.clear();
  return drained;
}

}  // namespace stele::client
