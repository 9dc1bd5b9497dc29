#include "metadata/cas_loop.h"

#include <optional>
#include <utility>

#include "common/base/errors.h"
#include "common/base/sometimes.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::metadata {
namespace {

absl::Status WithEffect(const absl::Status& status, Effect effect) {
  if (effect == Effect::kNone) return status;
  return MakeError(CodeOf(status), effect, ToStd(status.message()));
}

// The value that `update` makes of the current one; nothing when none is needed.
absl::StatusOr<std::optional<LedgerMetadata>> Decide(LedgerUpdate* update,
                                                     const LedgerMetadata& current) {
  STELE_TRY(const bool needed, update->needed(current));
  if (!needed) return std::optional<LedgerMetadata>();
  STELE_TRY(LedgerMetadata changed, update->apply(current));
  return std::optional<LedgerMetadata>(std::move(changed));
}

}  // namespace

Task<absl::StatusOr<Versioned<LedgerMetadata>>> UpdateLedger(LedgerManager* manager,
                                                             LedgerId ledger,
                                                             Versioned<LedgerMetadata> current,
                                                             LedgerUpdate update,
                                                             RetryOptions retry) {
  const Env& env = manager->env();
  Backoff backoff(env.random, retry);
  bool must_read = false;
  bool first_conflict = true;
  bool lost_answer = false;
  Effect effect = Effect::kNone;  // of the writes since the last successful read
  for (;;) {
    absl::Status status;
    if (must_read) {
      absl::StatusOr<Versioned<LedgerMetadata>> read = co_await manager->Read(ledger);
      if (read.ok()) {
        current = *std::move(read);
        must_read = false;
        effect = Effect::kNone;
      } else {
        status = read.status();
      }
    }
    if (!must_read) {
      STELE_CO_TRY(std::optional<LedgerMetadata> changed, Decide(&update, current.value));
      STELE_SOMETIMES(kUpdateFoundDone, lost_answer && !changed.has_value());
      if (!changed.has_value()) co_return current;
      const absl::StatusOr<Version> version =
          co_await manager->Update(ledger, *changed, current.version);
      if (version.ok()) co_return Versioned<LedgerMetadata>{*std::move(changed), *version};
      status = version.status();
      must_read = true;
      lost_answer = lost_answer || EffectOf(status) == Effect::kUnknown;
      if (EffectOf(status) == Effect::kUnknown) effect = Effect::kUnknown;
    }
    const ErrorCode code = CodeOf(status);
    STELE_SOMETIMES(kUpdateMeetsAnother, code == ErrorCode::kMetadataConflict);
    const bool may_retry = IsTemporary(status) || code == ErrorCode::kMetadataConflict;
    if (!may_retry || env.clock->Now() >= retry.give_up_at) co_return WithEffect(status, effect);
    // A stale starting value is the usual reason of the first conflict; only rivals that come back
    // are given way.
    const bool at_once = code == ErrorCode::kMetadataConflict && first_conflict;
    if (code == ErrorCode::kMetadataConflict) first_conflict = false;
    if (!at_once) co_await SleepFor(env.executor, env.clock, backoff.Next());
  }
}

}  // namespace stele::metadata
