#include "autorecovery/references.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "autorecovery/internal/ledger_scan.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::autorecovery {
namespace {

constexpr size_t kReadsInFlightMax = 64;

bool Names(const metadata::Fragment& fragment, const BookieId& bookie) {
  return std::find(fragment.ensemble.begin(), fragment.ensemble.end(), bookie) !=
         fragment.ensemble.end();
}

Task<absl::Status> AddReferences(metadata::LedgerManager* ledgers, LedgerId ledger,
                                 References* found) {
  const auto read = co_await ledgers->Read(ledger);
  const ErrorCode code = CodeOf(read.status());
  if (code == ErrorCode::kNoSuchLedgerMetadata) co_return absl::OkStatus();
  if (code == ErrorCode::kCorruptData) {
    found->unreadable.push_back(ledger);
    co_return absl::OkStatus();
  }
  STELE_CO_TRY_OK(read.status());
  const metadata::LedgerMetadata& metadata = read->value;
  for (auto& [bookie, references] : found->of) {
    const auto names = [&bookie](const metadata::Fragment& fragment) {
      return Names(fragment, bookie);
    };
    if (std::none_of(metadata.fragments().begin(), metadata.fragments().end(), names)) continue;
    references.push_back({ledger, !metadata.IsClosed() && names(metadata.last_fragment()),
                          metadata.IsClosed() ? metadata.length_bytes() : 0});
  }
  co_return absl::OkStatus();
}

}  // namespace

Task<absl::StatusOr<References>> FindReferences(metadata::LedgerManager* ledgers,
                                                std::vector<BookieId> bookies) {
  References found;
  for (BookieId& bookie : bookies) found.of[std::move(bookie)];
  const auto visit = [ledgers, &found](LedgerId ledger) {
    return AddReferences(ledgers, ledger, &found);
  };
  STELE_CO_TRY_OK(co_await ForEachLedger(ledgers, LedgerId(0), kReadsInFlightMax, visit));
  std::sort(found.unreadable.begin(), found.unreadable.end());
  for (auto& [bookie, references] : found.of) {
    std::sort(references.begin(), references.end(),
              [](const Reference& a, const Reference& b) { return a.ledger < b.ledger; });
  }
  co_return found;
}

absl::Status CheckAllAreReadable(const References& references) {
  if (references.unreadable.empty()) return absl::OkStatus();
  return MakeError(ErrorCode::kCorruptData,
                   StrCat("the metadata of ledger ", references.unreadable.front().value(),
                          " is damaged: whom it names is not known"));
}

Task<absl::StatusOr<std::vector<Reference>>> ReferencesTo(metadata::LedgerManager* ledgers,
                                                          BookieId bookie) {
  STELE_CO_TRY(References found, co_await FindReferences(ledgers, {bookie}));
  STELE_CO_TRY_OK(CheckAllAreReadable(found));
  co_return std::move(found.of.begin()->second);
}

}  // namespace stele::autorecovery
