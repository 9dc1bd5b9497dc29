#include "client/internal/long_poll.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "client/internal/recovery_rules.h"
#include "common/async/completion.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/quorum/coverage.h"
#include "common/seams/clock.h"
#include "common/wire/entry_packet.h"

namespace stele::client {
namespace {

// After this time the next bookie is asked too; doubled up to the second.
constexpr absl::Duration kFirstSpeculation = absl::Milliseconds(1500);
constexpr absl::Duration kSpeculationMax = absl::Seconds(5);

// Between questions to bookies that do not know the ledger yet.
constexpr absl::Duration kFirstEntryPause = absl::Milliseconds(100);

using Result = absl::StatusOr<LongPollResult>;

class Poll : public std::enable_shared_from_this<Poll> {
 public:
  Poll(ReadSource source, EntryId entry, absl::Duration timeout, Completer<Result> done)
      : source_(std::move(source)),
        entry_(entry),
        timeout_(timeout),
        metadata_(source_.cell->snapshot()),
        done_(std::move(done)) {
    const metadata::Ensemble& ensemble = metadata_->last_fragment().ensemble;
    const auto order = quorum::WriteSet::EnsembleSet(entry, metadata_->replication());
    for (int offset = 0; offset < order.size(); ++offset) {
      bookies_.push_back(ensemble[static_cast<size_t>(order[offset])]);
    }
    const MonotonicTime now = clock()->Now();
    std::stable_partition(bookies_.begin(), bookies_.end(), [&](const BookieId& bookie) {
      return !source_.context->slow_bookies->IsMarked(bookie, now);
    });
  }

  void AskNext() {
    if (asked_ == bookies_.size() || done_.IsSet()) return;
    const BookieId& bookie = bookies_[asked_++];
    ++outstanding_;
    source_.context->bookies->Get(bookie)->Call(
        wire::ReadRequest{.ledger = source_.cell->id(),
                          .entry = kNoEntry,
                          .previous_lac = entry_.Previous(),
                          .timeout_ms = absl::ToInt64Milliseconds(timeout_),
                          .piggyback_entry = true},
        {.timeout = timeout_ + source_.context->options.read_timeout},
        [self = shared_from_this()](Answer answer) { self->OnAnswer(std::move(answer)); });
    if (asked_ == bookies_.size()) return;
    timer_ = clock()->CallAt(clock()->Now() + speculation_, [this] {
      const std::shared_ptr<Poll> self = shared_from_this();
      AskNext();
    });
    speculation_ = std::min(speculation_ * 2, kSpeculationMax);
  }

 private:
  Clock* clock() const { return source_.context->env.clock; }
  const quorum::Replication& replication() const { return metadata_->replication(); }

  void OnAnswer(Answer answer) {
    --outstanding_;
    if (done_.IsSet()) return;
    ErrorCode code = answer.code;
    if (code == ErrorCode::kOk) code = OnReply(std::get<wire::ReadReply>(answer.body));
    if (done_.IsSet()) return;
    if (code != ErrorCode::kOk) {
      error_ = FoldReadError(error_, code);
      if (code == ErrorCode::kUnauthorized || code == ErrorCode::kStopped) return Fail(code);
      if (IsNegative(code) &&
          ++missing_ > replication().ensemble_size - replication().ack_quorum_size) {
        return Fail(code);
      }
    }
    if (asked_ < bookies_.size()) return AskNext();
    if (outstanding_ > 0) return;
    if (nothing_new_ > 0) return Finish(std::nullopt);
    Fail(error_);
  }

  ErrorCode OnReply(const wire::ReadReply& reply) {
    std::optional<Entry> entry;
    EntryId lac = reply.max_lac.value_or(kNoEntry);
    if (reply.entry == entry_) {
      absl::StatusOr<wire::VerifiedEntry> verified =
          wire::VerifyEntry(reply.body, source_.keys->digester, source_.cell->id(), entry_);
      if (!verified.ok()) return CodeOf(verified.status());
      lac = std::max(lac, verified->header.last_add_confirmed);
      entry = Entry{.ledger = source_.cell->id(),
                    .id = entry_,
                    .payload = std::move(verified->payload),
                    .length_bytes = verified->header.length_bytes};
    }
    last_add_confirmed_ = std::max(last_add_confirmed_, lac);
    if (lac >= entry_) {
      Finish(std::move(entry));
    } else if (++nothing_new_ >= quorum::NothingNewQuorumSize(replication())) {
      Finish(std::nullopt);
    }
    return ErrorCode::kOk;
  }

  void Finish(std::optional<Entry> entry) {
    timer_.reset();
    done_.Set(LongPollResult{last_add_confirmed_, std::move(entry)});
  }
  void Fail(ErrorCode code) {
    timer_.reset();
    done_.Set(MakeError(code, StrCat("ledger ", source_.cell->id().value(), ": waiting for entry ",
                                     entry_.value())));
  }

  const ReadSource source_;
  const EntryId entry_;
  const absl::Duration timeout_;
  const std::shared_ptr<const metadata::LedgerMetadata> metadata_;
  Completer<Result> done_;
  std::vector<BookieId> bookies_;
  size_t asked_ = 0;
  size_t outstanding_ = 0;
  int nothing_new_ = 0;
  int missing_ = 0;
  EntryId last_add_confirmed_;
  ErrorCode error_ = ErrorCode::kOk;
  absl::Duration speculation_ = kFirstSpeculation;
  std::unique_ptr<Timer> timer_;
};

}  // namespace

Task<absl::StatusOr<LongPollResult>> LongPoll(ReadSource source, EntryId entry,
                                              absl::Duration timeout) {
  const Env env = source.context->env;
  const MonotonicTime deadline = env.clock->Now() + timeout;
  for (;;) {
    Completion<Result> done(env.executor);
    const absl::Duration left = std::max(deadline - env.clock->Now(), absl::ZeroDuration());
    const auto poll = std::make_shared<Poll>(source, entry, left, done.GetCompleter());
    poll->AskNext();
    Result result = co_await done;
    if (!IsNegative(CodeOf(result.status()))) co_return result;
    if (env.clock->Now() + kFirstEntryPause >= deadline) co_return LongPollResult{};
    co_await SleepFor(env.executor, env.clock, kFirstEntryPause);
  }
}

}  // namespace stele::client
