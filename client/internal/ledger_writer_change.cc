// The ensemble change of LedgerWriter.
//
// No bookie is written to before the metadata that names it is durable, and nothing is acknowledged
// between the choice of the new fragment's first entry and the end of the change: the window stands
// still from BeginChange to FinishChange.
#include <algorithm>
#include <utility>

#include "client/internal/ledger_writer.h"
#include "common/async/yield.h"
#include "common/base/check.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::client {
namespace {

// Between two changes of one ledger; doubles from the least to the most.
constexpr absl::Duration kChangePauseMin = absl::Milliseconds(5);
constexpr absl::Duration kChangePauseMax = absl::Seconds(2);
// After so long without a change the next one is a lone one again.
constexpr absl::Duration kChangesForgotten = absl::Seconds(10);

bool Contains(const metadata::Ensemble& ensemble, const std::vector<BookieIndex>& failed,
              const metadata::Ensemble& original) {
  return std::any_of(failed.begin(), failed.end(), [&](BookieIndex index) {
    const auto i = static_cast<size_t>(index);
    return ensemble[i] == original[i];
  });
}

// Replaces those failed members that are still in place, as many as can be.
absl::StatusOr<metadata::Ensemble> WithReplacements(metadata::Ensemble ensemble,
                                                    const std::vector<BookieIndex>& failed,
                                                    const metadata::Ensemble& original,
                                                    PlacementPolicy* placement) {
  std::set<BookieId> excluded;
  for (BookieIndex index : failed) excluded.insert(original[static_cast<size_t>(index)]);
  bool is_changed = false;
  absl::Status error;
  for (BookieIndex index : failed) {
    const auto i = static_cast<size_t>(index);
    if (ensemble[i] != original[i]) continue;
    absl::StatusOr<BookieId> replacement = placement->Replacement(ensemble, excluded);
    if (replacement.ok()) {
      ensemble[i] = *std::move(replacement);
      is_changed = true;
    } else {
      error = replacement.status();
    }
  }
  if (!is_changed) return error;
  return ensemble;
}

}  // namespace

void LedgerWriter::StartChange() { tasks_->Spawn(ChangeEnsemble()); }

Task<absl::Status> LedgerWriter::WriteChange(std::vector<BookieIndex> failed) {
  for (BookieIndex index : failed) {
    context_->placement->Suspect(ensemble_[static_cast<size_t>(index)]);
  }
  const EntryId first_entry = window_.last_add_confirmed().Next();
  STELE_SOMETIMES(kAppendChangeAtFirstEntry, first_entry == EntryId(0));
  metadata::LedgerUpdate update;
  update.needed =
      [failed, original = ensemble_](const metadata::LedgerMetadata& now) -> absl::StatusOr<bool> {
    return now.state() == metadata::LedgerState::kOpen &&
           Contains(now.last_fragment().ensemble, failed, original);
  };
  update.apply =
      [failed, original = ensemble_, first_entry, placement = context_->placement](
          const metadata::LedgerMetadata& now) -> absl::StatusOr<metadata::LedgerMetadata> {
    STELE_TRY(metadata::Ensemble ensemble,
              WithReplacements(now.last_fragment().ensemble, failed, original, placement));
    return now.WithEnsembleFrom(first_entry, std::move(ensemble));
  };
  STELE_CO_TRY_OK(co_await cell_->Update(std::move(update)));
  const metadata::LedgerState state = cell_->value().state();
  STELE_SOMETIMES(kAppendChangeLostToRecovery, state == metadata::LedgerState::kInRecovery);
  STELE_SOMETIMES(kAppendChangeLostToClose, state == metadata::LedgerState::kClosed);
  switch (state) {
    case metadata::LedgerState::kOpen: co_return absl::OkStatus();
    case metadata::LedgerState::kInRecovery:
      co_return MakeError(ErrorCode::kLedgerFenced, Effect::kUnknown,
                          "the ledger is being recovered");
    case metadata::LedgerState::kClosed: break;
  }
  co_return MakeError(ErrorCode::kLedgerClosed, Effect::kUnknown,
                      StrCat("the ledger was closed at entry ", cell_->value().last_entry().value(),
                             " by somebody else"));
}

// A lone change begins at once. Bookies that are dead and still registered fail as fast as they are
// chosen, though, and each choice is a write to the metadata store.
Task<void> LedgerWriter::PaceChanges() {
  Clock* const clock = context_->env.clock;
  if (clock->Now() - last_change_ > kChangesForgotten) change_pause_ = absl::ZeroDuration();
  if (change_pause_ > absl::ZeroDuration()) {
    co_await SleepFor(context_->env.executor, clock, change_pause_);
  }
  change_pause_ = std::clamp(2 * change_pause_, kChangePauseMin, kChangePauseMax);
  last_change_ = clock->Now();
}

Task<void> LedgerWriter::ChangeEnsemble() {
  std::vector<BookieIndex> failed = window_.BeginChange();
  // Whoever starts a change may be in the middle of an append.
  co_await Yield(context_->env.executor);
  while (refusal_.ok() && !failed.empty()) {
    absl::Status written;
    if (++changes_ > context_->options.ensemble_changes_max) {
      written = MakeError(ErrorCode::kWriteFailed, Effect::kUnknown, "too many ensemble changes");
    } else {
      co_await PaceChanges();
      if (!refusal_.ok()) co_return;
      written = co_await WriteChange(std::move(failed));
    }
    if (!refusal_.ok()) co_return;  // closed meanwhile
    if (!written.ok()) {
      FailHandle(WithContext(written, StrCat("ledger ", id().value())));
      co_return;
    }
    failed = window_.TakeFailuresDuringChange();
  }
  if (refusal_.ok()) FinishChange();
}

void LedgerWriter::FinishChange() {
  const metadata::Ensemble& now = cell_->value().last_fragment().ensemble;
  std::vector<BookieIndex> changed;
  for (size_t i = 0; i < ensemble_.size(); ++i) {
    if (ensemble_[i] == now[i]) continue;
    changed.push_back(static_cast<BookieIndex>(i));
    bookies_[i] = context_->bookies->Get(now[i]);
  }
  ensemble_ = now;
  const std::vector<AppendWindow::Resend> resends = window_.FinishChange(changed);
  std::optional<OutgoingAdd> add;
  for (const AppendWindow::Resend& resend : resends) {
    if (!add.has_value() || add->entry().entry != resend.entry) {
      QueuedAppend* const append = window_.Find(resend.entry);
      STELE_CHECK(append != nullptr);
      add = Encode(*append);
    }
    SendTo(*add, resend.index);
  }
  Deliver();
  if (!refusal_.ok()) return;
  if (window_.HasHopelessAppend()) {
    STELE_SOMETIMES(kAppendNoReplacement, true);
    FailHandle(MakeError(ErrorCode::kNotEnoughBookies, Effect::kUnknown,
                         StrCat("ledger ", id().value(), ": no replacement for a failed bookie")));
    return;
  }
  SendUnsent();
}

}  // namespace stele::client
