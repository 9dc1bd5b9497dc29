// The end of LedgerWriter: failing, forcing, closing.
#include <utility>

#include "client/internal/ledger_writer.h"
#include "client/internal/quorum_call.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::client {

void LedgerWriter::FailHandle(const absl::Status& why) {
  if (!refusal_.ok()) return;
  failure_ = why;
  EndAppends(why);
  StartClose();
}

void LedgerWriter::EndAppends(const absl::Status& why) {
  const ErrorCode code = CodeOf(why);
  const bool is_final = code == ErrorCode::kLedgerFenced || code == ErrorCode::kStopped;
  refusal_ = MakeError(is_final ? code : ErrorCode::kLedgerClosed,
                       StrCat("the handle is closed: ", ToStd(why.message())));
  progress_.is_closed.store(true, std::memory_order_relaxed);
  unsent_.clear();
  context_->pending_append_bytes -= window_.pending_bytes();
  std::vector<QueuedAppend> pending = window_.Drain();
  Publish();
  for (QueuedAppend& append : pending) {
    const Effect effect = append.sent ? Effect::kUnknown : Effect::kNone;
    std::move(append.done)(MakeError(code, effect, ToStd(why.message())));
  }
}

void LedgerWriter::Stop() {
  if (is_detached_) return;
  const absl::Status stopped = MakeError(ErrorCode::kStopped, "the client was closed");
  if (refusal_.ok()) EndAppends(stopped);
  if (!close_result_.has_value()) close_result_ = stopped;
  closed_.NotifyAll();
  Detach();
}

Task<absl::Status> LedgerWriter::Close(std::shared_ptr<LedgerWriter> self) {
  if (self->refusal_.ok()) {
    self->EndAppends(MakeError(ErrorCode::kLedgerClosed, "the handle was closed"));
  }
  if (!self->is_detached_) self->StartClose();
  while (!self->close_result_.has_value()) co_await self->closed_.Wait();
  co_return *self->close_result_;
}

void LedgerWriter::StartClose() {
  if (is_closing_) return;
  is_closing_ = true;
  tasks_->Spawn(RunClose());
}

Task<void> LedgerWriter::RunClose() {
  absl::Status result = co_await Seal();
  Publish();
  if (cell_->value().IsClosed()) {
    progress_.last_add_confirmed.store(cell_->value().last_entry().value(),
                                       std::memory_order_release);
  }
  close_result_ = std::move(result);
  closed_.NotifyAll();
}

Task<absl::Status> LedgerWriter::Seal() {
  if (mode_.durability == AppendWindow::Durability::kDeferred) {
    // Sealing at the LAC would cut off entries that were acknowledged and not forced. A recovery
    // finds them, so the ledger is left to it when they cannot be forced.
    if (!failure_.ok()) co_return failure_;
    STELE_CO_TRY_OK(co_await ForceTo(window_.acknowledged_head()));
  }
  const EntryId last = window_.last_add_confirmed();
  const int64_t length_bytes = window_.length_bytes();
  const bool overrides = context_->options.writer_close_overrides_recovery;
  metadata::LedgerUpdate update;
  update.needed = [overrides](const metadata::LedgerMetadata& now) -> absl::StatusOr<bool> {
    const bool is_recovered = now.state() == metadata::LedgerState::kInRecovery;
    STELE_SOMETIMES(kCloseOverridesRecovery, is_recovered && overrides);
    return now.state() == metadata::LedgerState::kOpen || (is_recovered && overrides);
  };
  update.apply = [last, length_bytes](const metadata::LedgerMetadata& now) {
    return now.WithClosed(last, length_bytes);
  };
  STELE_CO_TRY_OK(co_await cell_->Update(std::move(update)));
  const metadata::LedgerMetadata& now = cell_->value();
  if (!now.IsClosed()) {
    STELE_SOMETIMES(kCloseMeetsRecovery, true);
    co_return MakeError(
        ErrorCode::kLedgerFenced,
        StrCat("ledger ", id().value(), " is being recovered; the recovery closes it"));
  }
  if (now.last_entry() != last) {
    co_return MakeError(
        ErrorCode::kMetadataConflict,
        StrCat("ledger ", id().value(), " was closed at entry ", now.last_entry().value(),
               " by somebody else, not at ", last.value()));
  }
  // The length may differ when a recovery has closed it: it is advisory.
  co_return absl::OkStatus();
}

Task<absl::Status> LedgerWriter::Force(std::shared_ptr<LedgerWriter> self) {
  if (!self->refusal_.ok()) co_return self->refusal_;
  if (self->mode_.durability == AppendWindow::Durability::kOnAck) co_return absl::OkStatus();
  co_return co_await self->ForceTo(self->window_.acknowledged_head());
}

Task<absl::Status> LedgerWriter::ForceTo(EntryId target) {
  if (target <= window_.last_add_confirmed()) co_return absl::OkStatus();
  const absl::Status forced =
      co_await CallQuorum(context_->env.executor, bookies_, static_cast<int>(bookies_.size()),
                          wire::ForceLedgerRequest{.ledger = id()});
  if (!forced.ok()) {
    co_return WithContext(forced, StrCat("ledger ", id().value(), ": force"));
  }
  window_.OnForced(target);
  Publish();
  co_return absl::OkStatus();
}

}  // namespace stele::client
