#include "autorecovery/internal/long_checks.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "autorecovery/internal/bookie_answers.h"
#include "autorecovery/internal/check_schedule.h"
#include "autorecovery/internal/ledger_scan.h"
#include "autorecovery/repair_plan.h"
#include "client/internal/recovery_rules.h"
#include "common/base/errors.h"
#include "common/base/try.h"
#include "common/observe/log.h"

namespace stele::autorecovery {
namespace {

// About what a bookie sends for a list of entries that is small.
constexpr int64_t kListBytes = 256;
// Of one check at a ledger whose metadata changes meanwhile.
constexpr int kLooksMax = 4;
// How often a check writes down where it is.
constexpr absl::Duration kNoteInterval = absl::Minutes(1);

}  // namespace

LongChecks::LongChecks(Env env, CheckContext context)
    : env_(env), context_(std::move(context)), scope_(env.executor) {
  const AutorecoveryOptions& options = *context_.options;
  scope_.Spawn(CheckNowAndThen(
      env_, context_.store, context_.settings, metadata::CheckKind::kAllLedgers,
      options.ledger_check_interval, options.log,
      [this](metadata::CheckDate since) { return CheckAllLedgers(std::move(since)); }));
  scope_.Spawn(CheckNowAndThen(env_, context_.store, context_.settings,
                               metadata::CheckKind::kPlacement, options.placement_check_interval,
                               options.log,
                               [this](metadata::CheckDate) { return CheckPlacement(); }));
}

Task<absl::StatusOr<bool>> LongChecks::CheckAllLedgers(metadata::CheckDate since) {
  STELE_CO_TRY(const bool may_work, co_await context_.may_work());
  if (!may_work) co_return false;
  since_ = since;
  if (!is_broken_off_) STELE_CO_TRY_OK(co_await FindPosition());
  is_broken_off_ = true;
  const MonotonicTime begun = env_.clock->Now();
  noted_at_ = begun;
  const LedgerId from = unchecked_.empty() ? begun_ : *unchecked_.begin();
  unchecked_.clear();
  const auto visit = [this](LedgerId ledger) { return CheckLedger(ledger); };
  const absl::Status checked = co_await ForEachLedger(
      &context_.core->ledgers(), from, context_.options->checks_in_flight_max, visit);
  context_.meters->ledger_checks.Record(checked.ok(), begun, env_.clock->Now());
  if (!checked.ok()) {
    co_await NotePosition();
    if (CodeOf(checked) == ErrorCode::kStopped) co_return false;  // switched off meanwhile
    co_return checked;
  }
  is_broken_off_ = false;
  // Its date says it from now on. Who takes that away orders a whole check.
  (co_await context_.records->ClearCheckPosition()).IgnoreError();
  ++context_.status->ledger_checks;
  co_return true;
}

Task<absl::Status> LongChecks::FindPosition() {
  STELE_CO_TRY(const std::optional<metadata::CheckPosition> noted,
               co_await context_.records->ReadCheckPosition());
  const absl::Time now = env_.clock->WallNow();
  const bool goes_on =
      noted.has_value() && noted->since == since_ &&
      absl::AbsDuration(now - noted->noted_at) < context_.options->ledger_check_interval;
  begun_ = goes_on ? noted->next : LedgerId(0);
  unchecked_.clear();
  context_.status->ledgers_in_check = goes_on ? noted->ledgers : 0;
  if (goes_on && context_.options->log != nullptr) {
    context_.options->log->Write(observe::LogLevel::kInfo,
                                 "the check of all ledgers goes on where another auditor left it",
                                 {{"ledger", begun_.value()}});
  }
  co_return absl::OkStatus();
}

Task<void> LongChecks::NotePosition() {
  noted_at_ = env_.clock->Now();
  (co_await context_.records->SetCheckPosition(
       {.since = since_,
        .next = unchecked_.empty() ? begun_ : *unchecked_.begin(),
        .ledgers = context_.status->ledgers_in_check,
        .noted_at = env_.clock->WallNow()}))
      .IgnoreError();
}

Task<absl::Status> LongChecks::CheckLedger(LedgerId ledger) {
  begun_ = std::max(begun_, ledger);
  unchecked_.insert(ledger);
  if (env_.clock->Now() - noted_at_ >= kNoteInterval) co_await NotePosition();
  const absl::Status checked = co_await CheckOne(ledger);
  if (checked.ok()) unchecked_.erase(ledger);
  co_return checked;
}

Task<absl::Status> LongChecks::CheckOne(LedgerId ledger) {
  // Asked now and then, not for each: it costs the store two reads.
  if (ledger.value() % 64 == 0) {
    STELE_CO_TRY(const bool may_work, co_await context_.may_work());
    if (!may_work) co_return MakeError(ErrorCode::kStopped, "the check goes on later");
  }
  auto read = co_await context_.core->ledgers().Read(ledger);
  std::set<BookieId> lacking;
  for (int looks = 1; read.ok(); ++looks) {
    lacking = co_await AskCopies(ledger, read->value);
    if (looks == 1) {
      ++context_.status->ledgers_checked;
      ++context_.status->ledgers_in_check;
      context_.meters->OnChecked(read->value, env_.clock->Now());
    }
    if (lacking.empty()) co_return absl::OkStatus();
    // It may have been repaired, or deleted, while we looked. One that changes again and again is
    // marked all the same: a worker looks before it copies.
    auto again = co_await context_.core->ledgers().Read(ledger);
    const bool is_settled = again.ok() && (again->version == read->version || looks == kLooksMax);
    if (is_settled) break;
    read = std::move(again);
  }
  if (IsMatterOfTheStore(read.status())) co_return read.status();
  if (!read.ok()) co_return absl::OkStatus();  // gone, or the audit's business
  const absl::StatusOr<bool> marked =
      co_await context_.queue->Mark(ledger, {lacking.begin(), lacking.end()});
  if (marked.ok() && *marked) ++context_.status->ledgers_marked;
  co_return marked.ok() || CodeOf(marked.status()) == ErrorCode::kCorruptData ? absl::OkStatus()
                                                                              : marked.status();
}

Task<std::set<BookieId>> LongChecks::AskCopies(LedgerId ledger,
                                               const metadata::LedgerMetadata& metadata) {
  std::set<BookieId> lacking;
  for (const SealedFragment& fragment : SealedFragments(metadata)) {
    for (BookieIndex index = 0; index < metadata.replication().ensemble_size; ++index) {
      const BookieId bookie = fragment.ensemble[static_cast<size_t>(index)];
      if (!context_.core->registry().bookies().IsUp(bookie) ||
          !HoldsEntries(fragment, metadata.replication(), index)) {
        continue;
      }
      co_await context_.throttle->AcquireCheck(kListBytes);
      const auto stored = co_await ListEntries(&context_.core->context(), bookie, ledger);
      // Silence proves nothing: a cluster under load is not to be copied.
      if (!stored.ok()) continue;
      const EntryId missing =
          NextMissing(fragment, metadata.replication(), index,
                      stored->has_value() ? &**stored : nullptr, fragment.first);
      if (!missing.IsNone()) lacking.insert(bookie);
    }
  }
  co_return lacking;
}

Task<absl::StatusOr<bool>> LongChecks::CheckPlacement() {
  STELE_CO_TRY(const bool may_begin, co_await context_.may_work());
  if (!may_begin) co_return false;
  int64_t count = 0;
  const MonotonicTime begun = env_.clock->Now();
  const auto visit = [this, &count](LedgerId ledger) { return CountIfOffRacks(ledger, &count); };
  const absl::Status checked = co_await ForEachLedger(
      &context_.core->ledgers(), LedgerId(0), context_.options->checks_in_flight_max, visit);
  context_.meters->placement_checks.Record(checked.ok(), begun, env_.clock->Now());
  STELE_CO_TRY_OK(checked);
  STELE_CO_TRY(const bool may_work, co_await context_.may_work());
  if (!may_work) co_return false;
  ++context_.status->placement_checks;
  context_.status->ledgers_off_racks = count;
  observe::Log* const log = context_.options->log;
  if (count > 0 && log != nullptr) {
    log->Write(observe::LogLevel::kWarning, "ledgers are in too few racks", {{"ledgers", count}});
  }
  co_return true;
}

Task<absl::Status> LongChecks::CountIfOffRacks(LedgerId ledger, int64_t* count) {
  const auto read = co_await context_.core->ledgers().Read(ledger);
  if (IsMatterOfTheStore(read.status())) co_return read.status();
  if (!read.ok() || !read->value.IsClosed()) co_return absl::OkStatus();
  *count += IsSpreadOverRacks(read->value, context_.options->racks) ? 0 : 1;
  co_return absl::OkStatus();
}

}  // namespace stele::autorecovery
