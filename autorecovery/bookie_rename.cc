#include "autorecovery/bookie_rename.h"

#include <algorithm>
#include <cstddef>

#include "autorecovery/repair_plan.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"
#include "metadata/cas_loop.h"

namespace stele::autorecovery {
namespace {

using metadata::LedgerMetadata;

bool Contains(const metadata::Ensemble& ensemble, const BookieId& bookie) {
  return std::find(ensemble.begin(), ensemble.end(), bookie) != ensemble.end();
}

}  // namespace

bool NamesInSealed(const LedgerMetadata& metadata, const BookieId& bookie) {
  const std::vector<SealedFragment> sealed = SealedFragments(metadata);
  return std::any_of(sealed.begin(), sealed.end(), [&bookie](const SealedFragment& fragment) {
    return Contains(fragment.ensemble, bookie);
  });
}

std::optional<EntryId> SomeEntryOf(const LedgerMetadata& metadata, const BookieId& bookie) {
  for (const SealedFragment& fragment : SealedFragments(metadata)) {
    for (size_t i = 0; i < fragment.ensemble.size(); ++i) {
      if (fragment.ensemble[i] != bookie) continue;
      const EntryId entry = NextMissing(fragment, metadata.replication(),
                                        static_cast<BookieIndex>(i), nullptr, fragment.first);
      if (!entry.IsNone()) return entry;
    }
  }
  return std::nullopt;
}

absl::StatusOr<LedgerMetadata> WithBookieRenamed(const LedgerMetadata& metadata,
                                                 const BookieId& from, const BookieId& to) {
  LedgerMetadata renamed = metadata;
  for (const SealedFragment& fragment : SealedFragments(metadata)) {
    if (!Contains(fragment.ensemble, from)) continue;
    if (Contains(fragment.ensemble, to)) {
      return MakeError(ErrorCode::kInvalidArgument,
                       StrCat("the fragment that begins with entry ", fragment.first.value(),
                              " names both ", from.value(), " and ", to.value()));
    }
    metadata::Ensemble ensemble = fragment.ensemble;
    std::replace(ensemble.begin(), ensemble.end(), from, to);
    STELE_TRY(renamed, renamed.WithReplacedEnsemble(fragment.first, std::move(ensemble)));
  }
  return renamed;
}

Task<absl::StatusOr<bool>> RenameInLedger(metadata::LedgerManager* ledgers, LedgerId ledger,
                                          BookieId from, BookieId to) {
  auto read = co_await ledgers->Read(ledger);
  if (CodeOf(read.status()) == ErrorCode::kNoSuchLedgerMetadata) co_return false;
  STELE_CO_TRY_OK(read.status());
  if (!NamesInSealed(read->value, from)) co_return false;
  metadata::LedgerUpdate update{
      .needed = [&from](const LedgerMetadata& current) -> absl::StatusOr<bool> {
        return NamesInSealed(current, from);
      },
      .apply = [&from, &to](
                   const LedgerMetadata& current) { return WithBookieRenamed(current, from, to); }};
  const auto written = co_await metadata::UpdateLedger(
      ledgers, ledger, *std::move(read), std::move(update),
      {.give_up_at = ledgers->env().clock->Now() + absl::Minutes(1)});
  // Deleted meanwhile.
  if (CodeOf(written.status()) == ErrorCode::kNoSuchLedgerMetadata) co_return false;
  STELE_CO_TRY_OK(written.status());
  co_return true;
}

}  // namespace stele::autorecovery
