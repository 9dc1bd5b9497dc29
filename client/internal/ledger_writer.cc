#include "client/internal/ledger_writer.h"

#include <algorithm>
#include <utility>

#include "client/internal/quorum_call.h"
#include "common/base/check.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/seams/clock.h"
#include "common/wire/entry_packet.h"

namespace stele::client {
namespace {

// What a frame has besides the payload, in either protocol and direction, rounded up.
constexpr size_t kFrameOverheadMaxBytes = 256;

AppendWindow::Config WindowConfig(const ClientOptions& options,
                                  const quorum::Replication& replication,
                                  const LedgerWriter::Mode& mode) {
  return {.replication = replication,
          .ids = mode.ids,
          .durability = mode.durability,
          .replace_policy = options.delay_ensemble_change
                                ? AppendWindow::ReplacePolicy::kWhenQuorumAtRisk
                                : AppendWindow::ReplacePolicy::kAtOnce,
          .pending_bytes_max = options.pending_append_bytes_max,
          .pending_entries_max = options.pending_appends_max};
}

}  // namespace

LedgerWriter::LedgerWriter(ClientContext* context, std::shared_ptr<LedgerCell> cell,
                           std::shared_ptr<const LedgerKeys> keys, Mode mode)
    : context_(context),
      cell_(std::move(cell)),
      keys_(std::move(keys)),
      mode_(mode),
      window_(WindowConfig(context->options, cell_->value().replication(), mode)),
      ensemble_(cell_->value().last_fragment().ensemble),
      closed_(context->env.executor),
      tasks_(std::make_unique<TaskScope>(context->env.executor)) {
  for (const BookieId& bookie : ensemble_) bookies_.push_back(context_->bookies->Get(bookie));
  if (context_->options.append_quorum_timeout != absl::InfiniteDuration()) {
    tasks_->Spawn(WatchQuorumTimeout());
  }
  if (context_->options.explicit_lac_interval > absl::ZeroDuration()) tasks_->Spawn(SpreadLac());
}

LedgerWriter::~LedgerWriter() {
  if (!is_detached_) Detach();
}

void LedgerWriter::Detach() {
  is_detached_ = true;
  context_->pending_append_bytes -= window_.pending_bytes();
  context_->bookies->DropSink(this);
  tasks_.reset();
}

absl::Status LedgerWriter::CheckWritable(AppendWindow::Ids ids, size_t size_bytes) const {
  if (!refusal_.ok()) return refusal_;
  if (ids != mode_.ids) {
    return MakeError(ErrorCode::kUnsupported, ids == AppendWindow::Ids::kAssigned
                                                  ? "this handle takes its entry ids from callers"
                                                  : "this handle assigns the entry ids itself");
  }
  const ClientOptions& options = context_->options;
  if (size_bytes + kFrameOverheadMaxBytes > options.frame_size_max_bytes) {
    return MakeError(ErrorCode::kInvalidArgument,
                     StrCat("an entry of ", size_bytes, " bytes does not fit into a frame of ",
                            options.frame_size_max_bytes));
  }
  const size_t pending_bytes = context_->pending_append_bytes;
  if (pending_bytes > 0 &&
      pending_bytes + size_bytes > options.pending_append_bytes_max_of_client) {
    return MakeError(ErrorCode::kOverloaded,
                     StrCat(pending_bytes, " bytes of appends are pending in this client"));
  }
  return absl::OkStatus();
}

void LedgerWriter::Append(Buffer payload, AppendDone done) {
  absl::Status refusal = CheckWritable(AppendWindow::Ids::kAssigned, payload.size());
  if (!refusal.ok()) return RefuseLater(std::move(refusal), std::move(done));
  const absl::StatusOr<QueuedAppend*> pushed = window_.Push(std::move(payload), std::move(done));
  Enqueue(pushed, std::move(done));  // NOLINT(bugprone-use-after-move): not taken when refused
}

void LedgerWriter::AppendAt(EntryId entry, Buffer payload, AppendDone done) {
  absl::Status refusal = CheckWritable(AppendWindow::Ids::kGivenByCaller, payload.size());
  if (!refusal.ok()) return RefuseLater(std::move(refusal), std::move(done));
  const absl::StatusOr<QueuedAppend*> pushed =
      window_.PushAt(entry, std::move(payload), std::move(done));
  Enqueue(pushed, std::move(done));  // NOLINT(bugprone-use-after-move): not taken when refused
}

void LedgerWriter::RefuseLater(absl::Status why, AppendDone done) {
  context_->env.executor->Post([why = std::move(why), done = std::move(done)]() mutable {
    std::move(done)(std::move(why));
  });
}

void LedgerWriter::Enqueue(const absl::StatusOr<QueuedAppend*>& pushed, AppendDone done) {
  if (!pushed.ok()) return RefuseLater(pushed.status(), std::move(done));
  QueuedAppend* const append = *pushed;
  context_->pending_append_bytes += append->payload.size();
  Publish();
  Bookie* const full = unsent_.empty() ? FullBookie(append->acks.write_set()) : nullptr;
  if (unsent_.empty() && full == nullptr) {
    SendFirst(append);
    return;
  }
  STELE_SOMETIMES(kAppendWaitsForSlowBookie, full != nullptr);
  unsent_.push_back(append->entry());
  if (full != nullptr) full->CallWhenRoom(this);
}

Bookie* LedgerWriter::FullBookie(const quorum::WriteSet& write_set) const {
  for (int offset = 0; offset < write_set.size(); ++offset) {
    Bookie* const bookie = bookies_[static_cast<size_t>(write_set[offset])];
    if (!bookie->HasRoom()) return bookie;
  }
  return nullptr;
}

void LedgerWriter::SendUnsent() {
  // The room may come from requests that failed; who follows them is decided by the change.
  if (window_.is_changing()) return;
  while (!unsent_.empty()) {
    QueuedAppend* const append = window_.Find(unsent_.front());
    STELE_CHECK(append != nullptr && !append->sent);
    if (Bookie* const full = FullBookie(append->acks.write_set()); full != nullptr) {
      full->CallWhenRoom(this);
      return;
    }
    unsent_.pop_front();
    SendFirst(append);
  }
}

void LedgerWriter::SendFirst(QueuedAppend* append) {
  if (window_.HasDelayedFailures() && !window_.is_changing()) {
    if (mode_.durability == AppendWindow::Durability::kDeferred) {
      return FailHandle(MakeError(ErrorCode::kWriteFailed, Effect::kUnknown,
                                  "a bookie failed; without durability on acknowledgement it "
                                  "cannot be replaced"));
    }
    StartChange();
  }
  window_.MarkSent(append, context_->env.clock->Now());
  const OutgoingAdd add = Encode(*append);
  const quorum::WriteSet& write_set = append->acks.write_set();
  for (int offset = 0; offset < write_set.size(); ++offset) SendTo(add, write_set[offset]);
}

OutgoingAdd LedgerWriter::Encode(const QueuedAppend& append) const {
  const wire::EntryHeader header{.ledger = id(),
                                 .entry = append.entry(),
                                 .last_add_confirmed = append.header_lac,
                                 .length_bytes = append.length_bytes};
  return OutgoingAdd({.ledger = id(),
                      .entry = append.entry(),
                      .master_key = keys_->master_key,
                      .deferred_sync = mode_.durability == AppendWindow::Durability::kDeferred,
                      .head = wire::EntryHead(header, append.payload.view(), keys_->digester),
                      .payload = append.payload});
}

void LedgerWriter::SendTo(const OutgoingAdd& add, BookieIndex index) {
  bookies_[static_cast<size_t>(index)]->Add(
      add, this, {.entry = add.entry().entry, .index = index, .epoch = window_.epoch(index)});
}

void LedgerWriter::OnAddReply(const AddTag& tag, ErrorCode code) {
  switch (window_.OnReply({tag.entry, tag.index, tag.epoch, code})) {
    case AppendWindow::Step::kNothing: return;
    case AppendWindow::Step::kDeliver: return Deliver();
    case AppendWindow::Step::kReplaceBookies: return StartChange();
    case AppendWindow::Step::kFail: break;
  }
  const bool is_final = IsFatalForWriter(code);
  STELE_SOMETIMES(kAppendFencedByAdd, code == ErrorCode::kLedgerFenced);
  if (code == ErrorCode::kInvalidArgument) {
    // Another bookie would take it no better, and each would lose its connection over it.
    return FailHandle(
        MakeError(code, Effect::kUnknown,
                  StrCat("ledger ", id().value(), ": bookie ",
                         ensemble_[static_cast<size_t>(tag.index)].value(), " hangs up on entry ",
                         tag.entry.value(),
                         ": its nettyMaxFrameSizeBytes is smaller than the frame; raise "
                         "it on all bookies, or lower the client's frame_size_max_bytes (now ",
                         context_->options.frame_size_max_bytes, ")")));
  }
  FailHandle(MakeError(is_final ? code : ErrorCode::kWriteFailed, Effect::kUnknown,
                       StrCat("ledger ", id().value(), ": bookie ",
                              ensemble_[static_cast<size_t>(tag.index)].value(), " answered ",
                              NameOf(code), " to entry ", tag.entry.value())));
}

void LedgerWriter::Deliver() {
  while (std::optional<QueuedAppend> append = window_.PopAcknowledged()) {
    context_->pending_append_bytes -= append->payload.size();
    Publish();
    // The callback may append, close or drop the handle; the window is asked again afterwards.
    std::move(append->done)(append->entry());
  }
}

void LedgerWriter::Publish() {
  progress_.last_add_pushed.store(window_.last_add_pushed().value(), std::memory_order_relaxed);
  progress_.length_bytes.store(window_.length_bytes(), std::memory_order_relaxed);
  progress_.last_add_confirmed.store(window_.last_add_confirmed().value(),
                                     std::memory_order_release);
}

Task<void> LedgerWriter::WatchQuorumTimeout() {
  const absl::Duration timeout = context_->options.append_quorum_timeout;
  while (refusal_.ok()) {
    co_await SleepFor(context_->env.executor, context_->env.clock, timeout / 2);
    if (window_.empty()) continue;
    const QueuedAppend& oldest = window_.front();
    if (oldest.sent && !oldest.acks.is_complete() &&
        context_->env.clock->Now() - oldest.sent_at >= timeout) {
      FailHandle(MakeError(ErrorCode::kAppendDeadline, Effect::kUnknown,
                           StrCat("ledger ", id().value(), ": entry ", oldest.entry().value(),
                                  " has no ack quorum in time")));
    }
  }
}

Task<void> LedgerWriter::SpreadLac() {
  EntryId spread = kNoEntry;
  while (refusal_.ok()) {
    co_await SleepFor(context_->env.executor, context_->env.clock,
                      context_->options.explicit_lac_interval);
    if (spread < window_.spread_lac()) {
      // Entries carry the LAC by themselves while there are new ones; wait one more time.
      spread = window_.spread_lac();
      continue;
    }
    const EntryId lac = window_.last_add_confirmed();
    if (!refusal_.ok() || lac <= spread) continue;
    const quorum::WriteSet write_set(lac, cell_->value().replication());
    std::vector<Bookie*> targets;
    for (int offset = 0; offset < write_set.size(); ++offset) {
      targets.push_back(bookies_[static_cast<size_t>(write_set[offset])]);
    }
    // What fails is sent again at the next tick.
    const absl::Status written = co_await CallQuorum(
        context_->env.executor, std::move(targets), cell_->value().replication().ack_quorum_size,
        wire::WriteLacRequest{.ledger = id(),
                              .lac = lac,
                              .master_key = keys_->master_key,
                              .body = wire::MakeExplicitLacPacket(id(), lac, keys_->digester)});
    if (written.ok()) spread = lac;
  }
}

}  // namespace stele::client
