#include "bookie/index_repair.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "bookie/stopped_storage.h"
#include "common/base/errors.h"
#include "common/base/strings.h"
#include "common/base/try.h"

namespace stele::bookie {
namespace {

Task<absl::StatusOr<std::vector<LedgerId>>> FindUncertain(LedgerStorage* storage) {
  std::vector<LedgerId> uncertain;
  NoPace pace;
  for (const LedgerId ledger : storage->Ledgers()) {
    // What cannot be read is told by the load.
    (co_await storage->CheckIndex(ledger, &pace)).IgnoreError();
    const auto state = co_await storage->Load(ledger);
    if (state.ok() && (*state)->uncertain) uncertain.push_back(ledger);
  }
  co_return uncertain;
}

}  // namespace

Task<absl::StatusOr<IndexRepairReport>> RepairIndexes(Env env, IndexRepairOptions options) {
  STELE_CO_TRY(
      const StoppedStorage stopped,
      co_await OpenStoppedStorage(env, options.ledger_directories, options.index_directories));
  LedgerStorage* const storage = stopped.storage.get();
  IndexRepairReport report{.without_index = storage->StrayLedgers()};
  STELE_CO_TRY(report.uncertain, co_await FindUncertain(storage));
  std::vector<LedgerId> lost = report.without_index;
  lost.insert(lost.end(), report.uncertain.begin(), report.uncertain.end());
  for (const LedgerId ledger : options.ledgers) {
    if (std::find(lost.begin(), lost.end(), ledger) != lost.end()) continue;
    co_return MakeError(ErrorCode::kInvalidArgument,
                        StrCat("ledger ", ledger.value(), " has lost nothing"));
  }
  if (!options.ledgers.empty()) lost = options.ledgers;
  NoPace pace;
  STELE_CO_TRY(report.locations_found, co_await storage->RecoverIndexes(std::move(lost), &pace));
  STELE_CO_TRY_OK(co_await storage->Close());
  co_return report;
}

}  // namespace stele::bookie
