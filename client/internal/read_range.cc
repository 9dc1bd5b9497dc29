#include "client/internal/read_range.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <utility>
#include <variant>

#include "client/internal/recovery_rules.h"
#include "common/async/completion.h"
#include "common/base/check.h"
#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/observe/log.h"
#include "common/quorum/write_set.h"
#include "common/seams/clock.h"
#include "common/wire/entry_packet.h"

namespace stele::client {

std::vector<BookieId> ReplicasOf(ClientContext* context, const metadata::LedgerMetadata& metadata,
                                 EntryId entry, EntryId turn) {
  const metadata::Ensemble& ensemble = metadata.FragmentOf(entry).ensemble;
  const quorum::WriteSet write_set(turn, metadata.replication());
  std::vector<BookieId> replicas;
  for (int offset = 0; offset < write_set.size(); ++offset) {
    replicas.push_back(ensemble[static_cast<size_t>(write_set[offset])]);
  }
  const MonotonicTime now = context->env.clock->Now();
  std::stable_partition(replicas.begin(), replicas.end(), [&](const BookieId& bookie) {
    return !context->slow_bookies->IsMarked(bookie, now);
  });
  return replicas;
}

absl::StatusOr<Entry> ToEntry(const Buffer& packet, const ReadSource& source, EntryId entry) {
  absl::StatusOr<wire::VerifiedEntry> verified =
      wire::VerifyEntry(packet, source.keys->digester, source.cell->id(), entry);
  if (!verified.ok()) return verified.status();
  return Entry{.ledger = source.cell->id(),
               .id = entry,
               .payload = std::move(verified->payload),
               .length_bytes = verified->header.length_bytes};
}

absl::Status ReadError(const ReadSource& source, EntryId entry, ErrorCode code) {
  return MakeError(code, StrCat("ledger ", source.cell->id().value(), ": entry ", entry.value(),
                                " cannot be read"));
}

namespace {

struct RangeResult {
  std::vector<Entry> entries;  // those before the failed one
  ErrorCode error = ErrorCode::kOk;
};

// One run over [first, last] with the metadata of its beginning. Callbacks of requests share it, so
// that late answers find it.
class RangeRead : public std::enable_shared_from_this<RangeRead> {
 public:
  RangeRead(ReadSource source, EntryId first, EntryId last)
      : source_(std::move(source)),
        metadata_(source_.cell->snapshot()),
        base_(first),
        next_(first),
        last_(last),
        done_(source_.context->env.executor) {}

  Completion<RangeResult>& Start() {
    AskMore();
    ArmSpeculation();
    return done_;
  }

 private:
  struct Slot {
    std::vector<BookieId> replicas;
    std::vector<bool> is_answered;  // of those asked
    size_t asked = 0;
    size_t outstanding = 0;
    MonotonicTime asked_at;
    ErrorCode error = ErrorCode::kOk;
    std::optional<Entry> entry;
    bool IsExhausted() const { return outstanding == 0 && asked == replicas.size(); }
  };

  ClientContext* context() const { return source_.context; }

  void AskMore() {
    while (next_ <= last_ && slots_.size() < context()->options.read_entries_in_flight_max) {
      const EntryId entry = next_;
      next_ = next_.Next();
      slots_.push_back({.replicas = ReplicasOf(context(), *metadata_, entry, entry)});
      AskNextReplica(entry);
    }
  }

  void AskNextReplica(EntryId entry) {
    Slot& slot = SlotOf(entry);
    const size_t replica = slot.asked++;
    slot.is_answered.push_back(false);
    ++slot.outstanding;
    slot.asked_at = context()->env.clock->Now();
    context()
        ->bookies->Get(slot.replicas[replica])
        ->Call(wire::ReadRequest{.ledger = source_.cell->id(), .entry = entry}, {},
               [self = shared_from_this(), entry, replica](Answer answer) {
                 self->OnAnswer(entry, replica, std::move(answer));
               });
  }

  Slot& SlotOf(EntryId entry) { return slots_[static_cast<size_t>(entry.value() - base_.value())]; }

  void OnAnswer(EntryId entry, size_t replica, Answer answer) {
    if (is_finished_ || entry < base_) return;
    Slot& slot = SlotOf(entry);
    --slot.outstanding;
    slot.is_answered[replica] = true;
    if (slot.entry.has_value()) return;
    ErrorCode code = answer.code;
    if (code == ErrorCode::kOk) {
      const auto* reply = std::get_if<wire::ReadReply>(&answer.body);
      STELE_CHECK(reply != nullptr);
      absl::StatusOr<Entry> read = ToEntry(reply->body, source_, entry);
      if (read.ok()) {
        slot.entry = *std::move(read);
        MarkOvertaken(slot, replica);
        return Advance();
      }
      code = CodeOf(read.status());
    }
    slot.error = FoldReadError(slot.error, code);
    if (code == ErrorCode::kStopped) return Finish(code);
    if (slot.IsExhausted()) return Advance();
    if (slot.outstanding == 0) AskNextReplica(entry);
  }

  void MarkOvertaken(const Slot& slot, size_t winner) {
    heard_.push_back(slot.replicas[winner]);
    for (size_t i = 0; i < winner; ++i) {
      if (!slot.is_answered[i]) {
        context()->slow_bookies->Mark(slot.replicas[i], context()->env.clock->Now());
      }
    }
  }

  // Takes what is done from the front, in the order of entries.
  void Advance() {
    while (!slots_.empty()) {
      Slot& slot = slots_.front();
      if (!slot.entry.has_value()) {
        if (slot.IsExhausted()) return Finish(slot.error);
        break;
      }
      result_.entries.push_back(*std::move(slot.entry));
      slots_.pop_front();
      base_ = base_.Next();
    }
    if (base_ > last_) return Finish(ErrorCode::kOk);
    AskMore();
  }

  void Finish(ErrorCode code) {
    is_finished_ = true;
    timer_.reset();
    result_.error = code;
    done_.GetCompleter().Set(std::move(result_));
  }

  void ArmSpeculation() {
    const absl::Duration period = context()->options.speculative_read_timeout;
    if (is_finished_ || period <= absl::ZeroDuration()) return;
    timer_ =
        context()->env.clock->CallAt(context()->env.clock->Now() + period, [this] { Speculate(); });
  }

  // Asks one more replica for each entry that waits for bookies of which nothing was heard lately.
  void Speculate() {
    const std::shared_ptr<RangeRead> self = shared_from_this();
    const MonotonicTime now = context()->env.clock->Now();
    const std::vector<BookieId> heard = std::exchange(heard_, {});
    for (size_t i = 0; i < slots_.size(); ++i) {
      const Slot& slot = slots_[i];
      if (slot.entry.has_value() || slot.asked == slot.replicas.size() ||
          now - slot.asked_at < context()->options.speculative_read_timeout) {
        continue;
      }
      const auto asked_end = slot.replicas.begin() + static_cast<std::ptrdiff_t>(slot.asked);
      const bool is_alive = std::any_of(slot.replicas.begin(), asked_end, [&](const BookieId& id) {
        return std::find(heard.begin(), heard.end(), id) != heard.end();
      });
      if (!is_alive) AskNextReplica(EntryId(base_.value() + static_cast<int64_t>(i)));
    }
    ArmSpeculation();
  }

  const ReadSource source_;
  const std::shared_ptr<const metadata::LedgerMetadata> metadata_;
  EntryId base_;  // the entry of the first slot
  EntryId next_;  // the first entry not asked for
  const EntryId last_;
  std::deque<Slot> slots_;
  std::vector<BookieId> heard_;  // gave an entry since the last speculation
  RangeResult result_;
  bool is_finished_ = false;
  std::unique_ptr<Timer> timer_;
  Completion<RangeResult> done_;
};

Task<RangeResult> RunRange(ReadSource source, EntryId first, EntryId last) {
  auto read = std::make_shared<RangeRead>(std::move(source), first, last);
  co_return co_await read->Start();
}

}  // namespace

Task<absl::StatusOr<std::vector<Entry>>> ReadOneByOne(ReadSource source, EntryId first,
                                                      EntryId last) {
  STELE_CHECK(!first.IsNone() && first <= last);
  std::vector<Entry> entries;
  for (bool is_refreshed = false;;) {
    const EntryId from(first.value() + static_cast<int64_t>(entries.size()));
    const std::shared_ptr<const metadata::LedgerMetadata> before = source.cell->snapshot();
    RangeResult result = co_await RunRange(source, from, last);
    entries.insert(entries.end(), std::make_move_iterator(result.entries.begin()),
                   std::make_move_iterator(result.entries.end()));
    if (result.error == ErrorCode::kOk) co_return entries;
    const EntryId failed(first.value() + static_cast<int64_t>(entries.size()));
    if (result.error == ErrorCode::kStopped || is_refreshed) {
      co_return ReadError(source, failed, result.error);
    }
    is_refreshed = true;
    const absl::Status refreshed = co_await source.cell->Refresh();
    if (source.cell->value().FragmentOf(failed).ensemble == before->FragmentOf(failed).ensemble) {
      // These bookies do not have it: that proves nothing while others may be meant to.
      const bool may_be_elsewhere =
          !refreshed.ok() && CodeOf(refreshed) != ErrorCode::kNoSuchLedgerMetadata;
      if (IsNegative(result.error) && may_be_elsewhere) {
        const absl::Status error = ReadError(source, failed, result.error);
        co_return WithContext(refreshed, ToStd(error.message()));
      }
      co_return ReadError(source, failed, result.error);
    }
    STELE_SOMETIMES(kReadFollowsChange, true);
  }
}

}  // namespace stele::client
